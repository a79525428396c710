import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { anyNetwork, networkOf } from "../../test/support/network-plans.ts";
import { withNetworkArguments } from "./guest-arguments.ts";

describe("a guest's kernel arguments", () => {
  test("have the first interface's address for the kernel, and every interface's for the guest", () =>
    assert.equal(
      withNetworkArguments(
        "console=ttyS0 -- sh -c 'ip addr'",
        networkOf([{ mode: "egress", dns: ["1.1.1.1", "fd00::53"] }, "network=blue"]),
      ),
      "console=ttyS0 ip=10.100.0.2::10.100.0.1:255.255.128.0::eth0:off:1.1.1.1" +
        " warder.eth0=10.100.0.2/17,10.100.0.1,fd57:6172:6465::2/128,fe80::1" +
        " warder.eth1=10.100.128.2/24,,fd57:6172:6465::8002/128,fe80::1 -- sh -c 'ip addr'",
    ));

  test("keep a caller's own `ip=` alone", () => {
    const added = withNetworkArguments("ip=dhcp quiet", networkOf(["egress"], { ipv6: false }));
    assert.equal(added, "ip=dhcp quiet warder.eth0=10.100.0.2/17,10.100.0.1,,");
    assert.match(withNetworkArguments("zip=1", networkOf(["egress"])), / ip=10/);
  });

  test("stay as they are without interfaces", () => {
    assert.equal(withNetworkArguments("quiet", networkOf([])), "quiet");
    assert.equal(withNetworkArguments("quiet", networkOf(["tap=tap0"])), "quiet");
  });

  test("begin and end with the caller's, and are printable ASCII", () =>
    fc.assert(
      fc.property(anyNetwork, fc.stringMatching(/^[a-z=0-9]{0,20}$/), ({ network }, own) => {
        const text = withNetworkArguments(own, network);
        assert.ok(text.startsWith(own));
        assert.match(text, /^[\x20-\x7e]*$/);
        assert.doesNotMatch(text, /undefined|NaN/);
      }),
    ));
});
