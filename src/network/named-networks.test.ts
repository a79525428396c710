import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { describe, test } from "node:test";
import { contextOn } from "../../test/support/doctor-context.ts";
import { testPools } from "../../test/support/network-plans.ts";
import { isWarderError } from "../vm/error.ts";
import { toCidr } from "../vm/network/cidr.ts";
import type { NetworkName } from "../vm/network/names.ts";
import { toHostPath } from "../vm/path.ts";
import { NamedNetworks, networksDirectory } from "./named-networks.ts";

const [blue, green] = ["blue", "green"] as [NetworkName, NetworkName];

describe("networks that VMs share", () => {
  test("are made by the first VM that names them, found by the next, and have subnets of their own", async (t) => {
    const { host, directory } = contextOn(t);
    const networks = new NamedNetworks(host, networksDirectory(directory), testPools);
    assert.deepEqual(networks.list(), []);
    const first = networks.ensure(blue);
    assert.deepEqual(networks.ensure(blue), first);
    assert.deepEqual([first.number, networks.ensure(green).number], [1, 2]);
    assert.equal(first.subnets.ipv4, "10.100.128.0/24");
    assert.deepEqual(
      new NamedNetworks(host, networksDirectory(directory), testPools).list().map(({ name }) => name),
      ["blue", "green"],
    );
    await networks.remove(blue);
    await networks.remove(blue);
    assert.equal(networks.get(blue), undefined);
    assert.equal(networks.ensure("red" as NetworkName).number, 1);
  });

  test("are as many as the pool has room for", (t) => {
    const { host, directory } = contextOn(t);
    const pools = { ...testPools, ipv4: toCidr("10.0.0.0/22") };
    const networks = new NamedNetworks(host, toHostPath(`${directory}/networks`), pools);
    networks.ensure(blue);
    networks.ensure(green);
    assert.throws(
      () => networks.ensure("red" as NetworkName),
      (error) => isWarderError(error) && error.code === "addresses-exhausted",
    );
  });

  test("whose file was damaged are an error, and none that is made up", (t) => {
    const { host, directory } = contextOn(t);
    const networks = new NamedNetworks(host, networksDirectory(directory), testPools);
    networks.ensure(blue);
    writeFileSync(`${directory}/networks/blue`, "{");
    assert.throws(
      () => networks.get(blue),
      (error) => isWarderError(error) && error.code === "network-failed",
    );
  });
});
