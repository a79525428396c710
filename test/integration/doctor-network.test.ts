import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { test } from "node:test";
import { examine, Place } from "../support/doctor-place.ts";
import { inOwnNetwork } from "../support/network/own-network.ts";

inOwnNetwork(import.meta.filename, () => {
  test("devices and rules of each kind that VMs' networks have are tried for real, and leave nothing", async (t) => {
    const found = await examine(new Place(t).settings);
    for (const code of ["network-devices", "packet-filter"])
      assert.equal(found[code]?.status, "ok", `${code}: ${found[code]?.found}`);
    assert.deepEqual(fs.readdirSync("/sys/class/net"), ["lo"]);
    assert.equal(execFileSync("nft", ["list", "tables"], { encoding: "utf8" }), "");
  });

  test("another's chain that drops all that is forwarded is named", async (t) => {
    execFileSync("nft", [
      "add table ip filter; add chain ip filter FORWARD { type filter hook forward priority 0; policy drop; }",
    ]);
    const finding = (await examine(new Place(t).settings))["forward-policy"];
    assert.deepEqual(
      [finding?.status, finding?.found],
      ["warning", "ip filter FORWARD drops all that it does not know"],
    );
    assert.match(finding?.cure ?? "", /wrd-/);
    execFileSync("nft", ["flush", "ruleset"]);
  });
});
