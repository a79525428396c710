import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { networksSchema } from "./spec.ts";

const problems = (input: unknown) =>
  networksSchema.safeParse(input).error?.issues.map(({ path, message }) => `${path.join(".")}: ${message}`) ?? [];

describe("a VM's interfaces", () => {
  test("are described in a word or in full", () => {
    const [one, two, three] = networksSchema.parse(["egress", "network=blue", { mode: "bridge", bridge: "br0" }]);
    assert.equal(one?.mode, "egress");
    assert.deepEqual([two?.mode, two?.network], ["network", "blue"]);
    assert.deepEqual(
      [three?.mode, three?.bridge, three?.allow, three?.newConnectionsPerSecond],
      ["bridge", "br0", [], 500],
    );
  });

  test("may be none", () => assert.deepEqual(networksSchema.parse([]), []));

  test("are refused with a member of another mode, or without their own", () => {
    assert.deepEqual(problems([{ mode: "egress", bridge: "br0" }]), ["0.bridge: has no meaning with the mode egress"]);
    assert.deepEqual(problems(["bridge"]), ["0.bridge: is needed with the mode bridge"]);
    assert.deepEqual(problems([{ mode: "egress", address: "10.0.0.2/24" }]), [
      "0.address: is only for the mode bridge: others lease one",
    ]);
    assert.deepEqual(problems([{ mode: "network", network: "blue", publish: ["80:80"], allow: ["10.0.0.0/8"] }]), [
      "0.allow: has no meaning in a network of VMs alone",
      "0.publish: has no meaning in a network of VMs alone",
    ]);
    assert.match(problems([{ mode: "tap", tap: "tap0", allow: ["10.0.0.0/8"] }])[0] ?? "", /its maker's/);
    assert.match(problems([{ mode: "bridge", bridge: "br0", allow: ["host:80"] }])[0] ?? "", /by its address/);
  });

  test("are refused with a gateway that is no neighbour", () => {
    const bridge = { mode: "bridge", bridge: "br0", address: "192.168.7.11/24" };
    assert.deepEqual(problems([{ ...bridge, gateway: "192.168.7.1" }]), []);
    assert.deepEqual(problems([{ ...bridge, gateway: "192.168.8.1" }]), [
      "0.gateway: must be in 192.168.7.0/24, where the address is",
    ]);
    assert.deepEqual(problems([{ ...bridge, gateway: "192.168.7.11" }]), [
      "0.gateway: must not be the VM's own address",
    ]);
    assert.deepEqual(problems([{ mode: "bridge", bridge: "br0", gateway6: "fd00::1" }]), [
      "0.gateway6: needs an address beside it",
    ]);
    assert.deepEqual(problems([{ ...bridge, address6: "192.168.7.12/24" }]), [
      "0.address6: must be an IPv6 address with its length",
    ]);
  });

  test("are refused with one port of the host twice, also on two interfaces", () =>
    assert.deepEqual(
      problems([
        { mode: "isolated", publish: ["8080:80", "8080:81/udp"] },
        { mode: "egress", publish: ["127.0.0.1:8080:80"] },
      ]),
      ["1.publish: port 8080 of the host is there twice"],
    ));

  test("are refused with one address twice, or with the caller's devices beside Warder's", () => {
    const bridge = { mode: "bridge", bridge: "br0", address: "192.168.7.11/24" };
    assert.deepEqual(problems([bridge, bridge]), [": must not have the same address twice"]);
    assert.match(problems(["tap=tap0", "egress"])[0] ?? "", /the caller's own/);
    assert.match(problems([{ ...bridge, publish: ["8080:80"] }])[0] ?? "", /same port twice/);
    assert.deepEqual(problems([{ ...bridge, publish: ["80:80", "443"] }]), []);
  });

  test("are told apart by all that is wrong with them at once", () =>
    assert.deepEqual(
      problems([{ mode: "egress", allow: ["10.0.0.1/8"], publish: ["x"], mac: "01:00:00:00:00:00", dns: ["a"] }])
        .length,
      4,
    ));

  test("are at most eight", () => assert.equal(problems(Array.from({ length: 9 }, () => "isolated")).length, 1));

  test("are parsed or refused, whatever is given", () =>
    fc.assert(fc.property(fc.anything(), (input) => void networksSchema.safeParse(input))));
});
