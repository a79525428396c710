import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import type { Vm } from "../../src/lifecycle/vm.ts";
import { heard } from "../support/broker-fixture.ts";
import { requires } from "../support/capability.ts";
import { buildLabGuest, LAB_PATIENCE_MS, type LabGuest } from "../support/lab-guest.ts";
import { openFixture, type WarderFixture } from "../support/warder-fixture.ts";

const needs = requires("in-lab", "cgroup-v2", "real-binaries", "gcc", "tap");
const peer = new URL("guest/peer.c", import.meta.url).pathname;
const SHELL = 1;

let guest: LabGuest | undefined;
let fixture: WarderFixture | undefined;
let vm: Vm;

/** What a command in the guest prints. */
async function inGuest(command: string): Promise<string> {
  const stream = await vm.vsock.connect(SHELL, { timeoutMs: LAB_PATIENCE_MS });
  stream.write(`${command}; exit\n`);
  return heard(stream);
}

/** A request of a program in the guest: busybox has no client that can send headers or PUT. */
const ask = (method: string, path: string, header = "") =>
  `(printf '${method} ${path} HTTP/1.0\\r\\n${header}\\r\\n'; sleep 1) | nc -w 30 169.254.169.254 80`;

/** The same with a token, which only a PUT gets. */
async function askWithToken(path: string): Promise<string> {
  const answer = await inGuest(ask("PUT", "/latest/api/token", "X-metadata-token-ttl-seconds: 60\\r\\n"));
  const token = answer.trim().split(/\s/).at(-1) ?? "";
  assert.match(token, /^[A-Za-z0-9+/=]{40,}$/, answer);
  return inGuest(ask("GET", path, `X-metadata-token: ${token}\\r\\nAccept: application/json\\r\\n`));
}

describe("a Linux guest's metadata", { ...needs, timeout: 4 * LAB_PATIENCE_MS }, () => {
  before(async () => {
    guest = buildLabGuest(peer);
    fixture = await openFixture();
    const up = "ip addr add 192.0.2.2/24 dev eth0; ip link set eth0 up; ip route add 169.254.169.254 dev eth0";
    const command = `${up}; peer serve ${SHELL} shell`;
    vm = await fixture.warder.run(
      guest.spec(command, {
        networks: [{ mode: "isolated" }],
        vsock: {},
        metadata: { data: { role: "db", disks: { first: "vda" } } },
      }),
    );
    await met("its shell listens", () => vm.readConsole().includes("peer: shell"));
  });
  after(async () => {
    await fixture?.[Symbol.asyncDispose]();
    guest?.[Symbol.dispose]();
  });

  test("are refused to who has no token", async () => {
    assert.match(await inGuest(ask("GET", "/role")), /^HTTP\/1\.\d 401 /);
  });

  test("are told to who has one", async () => {
    assert.match(await askWithToken("/role"), /200 [\s\S]*"db"$/);
    assert.match(await askWithToken("/disks"), /\{"first":"vda"\}$/);
    assert.match(await askWithToken("/nothing"), /^HTTP\/1\.\d 404 /);
  });

  test("are told as they were changed", async () => {
    await vm.metadata.patch({ role: "web", disks: null });
    assert.match(await askWithToken("/"), /\{"role":"web"\}$/);
  });
});

async function met(what: string, condition: () => boolean): Promise<void> {
  const deadline = performance.now() + LAB_PATIENCE_MS;
  while (!condition()) {
    assert.ok(performance.now() < deadline, `not in time: ${what}`);
    await pause(100);
  }
}
