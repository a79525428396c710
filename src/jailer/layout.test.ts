import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isWarderError } from "../vm/error.ts";
import { toVmId } from "../vm/id.ts";
import { toHostPath, toJailPath } from "../vm/path.ts";
import { hostPathOf, layOut, layOutUnjailed } from "./layout.ts";

const base = toHostPath("/srv/jailer");
const socket = toJailPath("/run/firecracker.socket");
const firecracker = toHostPath("/usr/bin/firecracker");
const code = (wanted: string) => (error: unknown) => isWarderError(error) && error.code === wanted;

describe("layOut()", () => {
  test("puts everything where the jailer does", () => {
    const layout = layOut(base, toHostPath("/opt/firecracker-v1.14.1"), toVmId("vm-1"), socket);
    assert.equal(layout.directory, "/srv/jailer/firecracker-v1.14.1/vm-1");
    assert.equal(layout.root, "/srv/jailer/firecracker-v1.14.1/vm-1/root");
    assert.equal(layout.socket, "/srv/jailer/firecracker-v1.14.1/vm-1/root/run/firecracker.socket");
    assert.equal(layout.alias, "/srv/jailer/vm-1");
  });
  test("keeps what the manager reads by name out of the jail", () => {
    const { io, root } = layOut(base, firecracker, toVmId("vm-1"), socket);
    assert.ok(!io.startsWith(`${root}/`));
  });
  test("refuses the id that is the binary's name", () => {
    assert.throws(() => layOut(base, firecracker, toVmId("firecracker"), socket), code("invalid-argument"));
  });
  test("takes a socket path of 107 bytes and no longer one", () => {
    const fixed = layOut(base, firecracker, toVmId("x"), socket).socket.length - 1;
    assert.equal(layOut(base, firecracker, toVmId("x".repeat(107 - fixed)), socket).socket.length, 107);
    assert.throws(
      () => layOut(base, firecracker, toVmId("x".repeat(108 - fixed)), socket),
      (error: Error) => code("socket-path-too-long")(error) && /1 bytes shorter/.test(error.message),
    );
  });
});

test("hostPathOf() is the one way out of a jail", () => {
  const layout = layOut(base, firecracker, toVmId("vm-1"), socket);
  assert.equal(hostPathOf(layout, toJailPath("/kernel")), "/srv/jailer/firecracker/vm-1/root/kernel");
});

test("layOutUnjailed() keeps an unjailed VM out of the jails", () => {
  const layout = layOutUnjailed(
    toHostPath("/var/lib/warder"),
    firecracker,
    toVmId("vm-1"),
    "/tmp/firecracker-{id}.sock",
  );
  assert.equal(layout.socket, "/tmp/firecracker-vm-1.sock");
  assert.equal(layout.directory, "/var/lib/warder/unjailed/vm-1");
});
