import assert from "node:assert/strict";
import * as fs from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { VmService } from "../../gen/vmprovisioner/v1/vm_pb.js";
import { afterwards } from "../support/afterwards.ts";
import { requires } from "../support/capability.ts";
import { DaemonProcess } from "../support/rpc/daemon-process.ts";
import { load, loadSettings } from "../support/rpc/load.ts";
import { makeBed } from "../support/warder-fixture.ts";

const kernel = join(import.meta.dirname, "../../guests/idle.elf");
const LOAD_MS = 3_000;

describe("a daemon that dies in the middle of its work", requires("root", "kvm", "real-binaries"), () => {
  test("has lost nothing that it said was done", async (context) => {
    const bed = afterwards(context).use(makeBed());
    const directory = fs.mkdtempSync("/var/tmp/warder-load-");
    afterwards(context).defer(() => fs.rmSync(directory, { recursive: true, force: true }));
    const disk = join(directory, "disk.img");
    fs.writeFileSync(disk, Buffer.alloc(1024 * 1024));
    const daemon = afterwards(context).use(await DaemonProcess.start(bed, loadSettings));
    const over = new AbortController();
    const transport = createConnectTransport({ baseUrl: daemon.url, httpVersion: "2" });
    const loaded = load(transport, { clients: 8, kernel, disk, over: over.signal, keepEvery: 5 });
    await pause(LOAD_MS);
    await daemon.end("SIGKILL");
    over.abort();
    const { made, unknown, latencies, errors } = await loaded;
    assert.ok(latencies.deleteVm.length > 0 && made.size > 0, `there was no load: ${JSON.stringify(errors)}`);

    const next = afterwards(context).use(await DaemonProcess.start(bed, loadSettings));
    const client = createClient(VmService, createConnectTransport({ baseUrl: next.url, httpVersion: "1.1" }));
    const found = new Set<string>();
    for (let pageToken = ""; ; ) {
      const page = await client.listVms({ pageSize: 100, pageToken });
      for (const { vmId } of page.vms) found.add(vmId);
      pageToken = page.nextPageToken;
      if (pageToken === "") break;
    }
    const isGone = (id: string) => !found.has(id) && !unknown.has(id);
    assert.deepEqual([...made].filter(isGone), [], "made, and gone");
    const isBack = (id: string) => !made.has(id) && !unknown.has(id);
    assert.deepEqual([...found].filter(isBack), [], "deleted, and there");
  });
});
