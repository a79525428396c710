import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { networksSchema } from "../vm/network/spec.ts";
import { type NetworkFlags, net, networkFlagOf, networkFlagProblems, toNetworks } from "./net-flags.ts";

const read = (text: string) => {
  const parsed = net(text);
  assert.ok("value" in parsed, text);
  return parsed.value;
};
const flags = (nets: readonly string[], more: Omit<NetworkFlags, "net"> = {}): NetworkFlags => ({
  net: nets.map(read),
  ...more,
});

describe("--net", () => {
  test("is a mode, with a name where the mode has one", () => {
    assert.deepEqual(read("egress"), { mode: "egress" });
    assert.deepEqual(read("network=blue"), { mode: "network", network: "blue" });
    assert.equal(read("none"), "none");
  });
  test("may have options", () =>
    assert.deepEqual(read("bridge=br0,address=192.168.7.11/24,gateway=192.168.7.1,mac=02:00:00:00:00:01,ipv6=off"), {
      mode: "bridge",
      bridge: "br0",
      address: "192.168.7.11/24",
      gateway: "192.168.7.1",
      mac: "02:00:00:00:00:01",
      ipv6: false,
    }));
  test("is refused as anything else, and never throws", () => {
    for (const text of [
      "",
      "bridge",
      "egress=x",
      "lan",
      "egress,",
      "egress,speed=1",
      "egress,ipv6=maybe",
      "constructor=x",
    ])
      assert.ok("problem" in net(text), text);
    fc.assert(fc.property(fc.string(), (text) => void net(text)));
  });
});

describe("the flags about networks", () => {
  test("say nothing where none is given, and `none` says that there are none", () => {
    assert.equal(toNetworks({}), undefined);
    assert.deepEqual(toNetworks(flags(["none"])), []);
  });
  test("open doors of the first interface that can have any", () =>
    assert.deepEqual(
      toNetworks(
        flags(["network=blue", "egress", "isolated"], { allow: ["10.0.0.1"], publish: ["80"], dns: ["1.1.1.1"] }),
      ),
      [
        { mode: "network", network: "blue" },
        { mode: "egress", allow: ["10.0.0.1"], publish: ["80"], dns: ["1.1.1.1"] },
        { mode: "isolated" },
      ],
    ));
  test("make an interface for doors alone", () =>
    assert.deepEqual(toNetworks({ publish: ["8080:80"] }), [{ mode: "isolated", publish: ["8080:80"] }]));
  test("add the caller's devices and CNI networks", () =>
    assert.deepEqual(toNetworks({ tap: ["tap0"], cni: ["lan"] }), [
      { mode: "tap", tap: "tap0" },
      { mode: "cni", cni: "lan" },
    ]));
  test("leave doors that lead nowhere to be refused by name", () => {
    const { error } = networksSchema.safeParse(toNetworks(flags(["network=blue"], { publish: ["80"] })));
    assert.deepEqual(
      error?.issues.map(({ path }) => path.join(".")),
      ["0.publish"],
    );
  });
  test("are refused beside `none`", () => {
    assert.equal(networkFlagProblems(flags(["none", "egress"])).length, 1);
    assert.equal(networkFlagProblems(flags(["none"], { publish: ["80"] })).length, 1);
    assert.deepEqual(networkFlagProblems(flags(["none"])), []);
  });
  test("are known by the fields that they become", () => {
    assert.equal(networkFlagOf("networks[1].allow[0]"), "--allow");
    assert.equal(networkFlagOf("networks[0].bridge"), "--net");
    assert.equal(networkFlagOf("networks"), "--net");
    assert.equal(networkFlagOf("memoryMib"), undefined);
  });
});
