import { once } from "node:events";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { openHost } from "../../src/host/real/host.ts";
import { toVmId } from "../../src/vm/id.ts";
import { toHostPath } from "../../src/vm/path.ts";
import { type VsockSpec, vsockSchema } from "../../src/vm/vsock.ts";
import { VsockBroker } from "../../src/vsock/broker.ts";
import { ControlServer } from "../../src/vsock/control-server.ts";
import type { VsockPlace } from "../../src/vsock/place.ts";
import { RemoteVsock } from "../../src/vsock/remote.ts";
import { FakeVsock, type FakeVsockOptions } from "./fake-vsock.ts";

/** A broker, and the stand-in of a guest. */
export interface BrokerFixture extends AsyncDisposable {
  readonly broker: VsockBroker;
  readonly control: ControlServer;
  /** The broker as another process has it. */
  readonly remote: RemoteVsock;
  readonly guest: FakeVsock;
  /** The VM's directory, with the jail's root in it. */
  readonly directory: string;
  readonly warnings: string[];
}

/** Opens both, in a directory that is gone afterwards, of a path too long for a socket's. */
export async function openBroker(spec: object = {}, options: FakeVsockOptions = {}): Promise<BrokerFixture> {
  const top = fs.mkdtempSync(join(tmpdir(), "warder-vsock-"));
  const directory = join(top, "long".repeat(30));
  fs.mkdirSync(`${directory}/root`, { recursive: true });
  // The stand-in sees its socket by a short path, as Firecracker does in its jail.
  fs.symlinkSync(`${directory}/root`, `${top}/r`);
  const warnings: string[] = [];
  const host = openHost();
  const place: VsockPlace = {
    id: toVmId("vm-1"),
    directory: toHostPath(directory),
    root: toHostPath(`${directory}/root`),
    uid: process.getuid?.() ?? 0,
    gid: process.getgid?.() ?? 0,
  };
  const broker = new VsockBroker({
    host,
    place,
    spec: vsockSchema.parse(spec) as VsockSpec,
    warn: (_message, details) => void warnings.push(String(details.error)),
  });
  const guest = await FakeVsock.open(`${top}/r/v.sock`, options);
  await broker.open();
  const control = new ControlServer(host, place, broker);
  await control.open();
  return {
    broker,
    control,
    remote: new RemoteVsock(host, place),
    guest,
    directory,
    warnings,
    async [Symbol.asyncDispose]() {
      control.close();
      broker[Symbol.dispose]();
      await guest[Symbol.asyncDispose]();
      fs.rmSync(top, { recursive: true });
    },
  };
}

/** All that comes until the other side has ended; this side goes on. */
export async function heard(stream: Duplex): Promise<string> {
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => void chunks.push(chunk)).resume();
  if (!stream.readableEnded) await once(stream, "end");
  return Buffer.concat(chunks).toString();
}
