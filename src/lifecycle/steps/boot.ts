import type { FirecrackerClient } from "../../firecracker/client.ts";
import {
  type ConfigDocument,
  configDocument,
  type GuestDevices,
  type GuestFiles,
  requireDocument,
} from "../../firecracker/config-document.ts";
import { waitUntilReady } from "../../firecracker/ready.ts";
import { EndedEarly, waitForReader } from "../../jailer/launch.ts";
import { WarderError } from "../../vm/error.ts";
import type { HostPath, JailPath } from "../../vm/path.ts";
import { connectApi } from "../api.ts";
import { endsSoon } from "../end-guard.ts";
import type { Step } from "../engine.ts";
import { metadataDevice } from "../metadata-device.ts";
import { networkInterfaces, withGuestNetwork } from "../network-devices.ts";
import { need, type StartContext } from "../start-context.ts";
import { vsockDevice } from "./open-vsock.ts";

/** What Firecracker logs once the guest runs. */
const STARTED = "Successfully started microvm";

/**
 * Lets the guest run: hands Firecracker its configuration and waits until it says that the VM runs. Meanwhile the
 * question that {@link answer} waits for is on its way: asked at once, it waits in Firecracker until the VM is built; one
 * that came later might meet the guest's end, which some releases never get over (see `end-guard.ts`).
 */
export const boot: Step<StartContext> = {
  name: "boot",
  async run(context, signal) {
    if (context.answered === undefined) await release(context, signal);
    if (!(await hasStarted(context, signal))) throw await explainFailure(context);
  },
  undo(context) {
    context.client?.close();
    delete context.client;
  },
};

/** Ready means: Firecracker has answered on its API, with this VM's id. A guest that has ended already needs no API. */
export const answer: Step<StartContext> = {
  name: "answer",
  async run(context, signal) {
    try {
      await need(context, "answered");
    } catch (error) {
      signal.throwIfAborted();
      if (!(await endsSoon(context))) throw error;
    }
  },
};

async function release(context: StartContext, signal: AbortSignal): Promise<void> {
  const { machinery, plan } = context;
  const document = documentOf(context);
  context.client = connectApi(machinery.host, plan);
  requireDocument(context.client.version, document);
  const text = JSON.stringify(document);
  const writer = context.configWriter ?? (await readerOf(context, signal));
  delete context.configWriter;
  machinery.host.fifos.send(writer, text);
  context.answered = askWhoIsThere(context, context.client, signal);
}

async function readerOf(context: StartContext, signal: AbortSignal): Promise<number> {
  const { machinery, plan } = context;
  try {
    return await waitForReader(machinery.host, plan.layout, { ended: need(context, "ended") }, signal);
  } catch (error) {
    throw error instanceof EndedEarly ? await explainFailure(context) : error;
  }
}

function askWhoIsThere(context: StartContext, client: FirecrackerClient, signal: AbortSignal): Promise<unknown> {
  const { plan, machinery } = context;
  const { clock } = machinery.host;
  const timeoutMs = plan.spec.startTimeoutMs;
  const answered = waitUntilReady(client, plan.id, "Running", {
    clock,
    signal,
    timeoutMs,
    exited: need(context, "ended"),
  });
  // A start that fails before it gets to the answer is not interested in why there is none.
  answered.catch(() => undefined);
  return answered;
}

/** True once the guest has run, even if it has ended since; false where Firecracker ended before. */
async function hasStarted(context: StartContext, signal: AbortSignal): Promise<boolean> {
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([need(context, "drains").log.waitFor(STARTED), aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

function documentOf(context: StartContext): ConfigDocument {
  const { plan, machinery } = context;
  const pathOf = (role: string): JailPath | HostPath => {
    const asset = plan.assets.find((each) => each.role === role);
    if (asset === undefined) throw new TypeError(`no asset has the role ${role}`);
    return plan.spec.jailed ? asset.inside : machinery.host.files.resolve(asset.path);
  };
  const files: GuestFiles = {
    kernel: pathOf("kernel"),
    ...(plan.spec.initrd === undefined ? {} : { initrd: pathOf("initrd") }),
    drives: Object.fromEntries(plan.spec.drives.map(({ id }) => [id, pathOf(`drive ${id}`)])),
  };
  return configDocument(withGuestNetwork(plan.spec, need(context, "record")), files, devicesOf(context));
}

function devicesOf(context: StartContext): GuestDevices {
  const record = need(context, "record");
  const vsock = vsockDevice(record);
  return { ...networkInterfaces(record), ...metadataDevice(record), ...(vsock === undefined ? {} : { vsock }) };
}

async function explainFailure(context: StartContext): Promise<WarderError> {
  const exit = await need(context, "ended");
  const lines = need(context, "drains")
    .log.tail.replaceAll(/[^\x20-\x7e\n]/g, "")
    .trim()
    .split("\n");
  const errors = lines.filter((line) => /error|panic|fail/i.test(line));
  const said = (errors.length > 0 ? errors : lines).slice(-3).join("; ");
  return new WarderError("firecracker-failed", {
    doing: `booting ${context.plan.id}`,
    why: `Firecracker ended with ${exit.signal ?? `status ${exit.code}`}: ${said}`,
    cure: "Check kernel, disks and kernel arguments; the lines above are Firecracker's",
  });
}
