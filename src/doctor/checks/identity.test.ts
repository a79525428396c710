import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { contextOn, runCheck } from "../../../test/support/doctor-context.ts";
import type { Verdict } from "../report.ts";
import { identityChecks } from "./identity.ts";

const quiet = {
  "etc/passwd": "root:x:0:0:root:/root:/bin/bash\nalice:x:1000:1000::/home/alice:/bin/bash\n",
  "etc/group": "root:x:0:\nalice:x:1000:\n",
};

function check(
  t: TestContext,
  files: Readonly<Record<string, string>>,
  uidRange = { first: 500_000, count: 10_000 },
): Promise<Verdict> {
  return runCheck(identityChecks, "uid-range", contextOn(t, { files: { ...quiet, ...files }, settings: { uidRange } }));
}

test("a range that nobody has is fine", async (t) => {
  assert.deepEqual(await check(t, {}), { status: "ok", found: "500000 to 509999 is nobody else's" });
});

for (const [what, file, line] of [
  ["a user", "etc/passwd", "bob:x:509999:100::/:/bin/false"],
  ["a user's group", "etc/passwd", "bob:x:100:500000::/:/bin/false"],
  ["a group", "etc/group", "bob:x:500000:"],
] as const) {
  test(`${what} in the range is a problem, and named`, async (t) => {
    const verdict = await check(t, { [file]: `${quiet[file]}${line}\n` });
    assert.equal(verdict.status, "problem");
    assert.match(verdict.found, /belongs to bob \(50\d+\)/);
  });
}

test("accounts at the range's edges are no collision", async (t) => {
  const passwd = `${quiet["etc/passwd"]}before:x:499999:1::/:\nafter:x:510000:1::/:\n`;
  assert.equal((await check(t, { "etc/passwd": passwd })).status, "ok");
});

test("subordinate ids of containers that touch the range are worth a warning", async (t) => {
  const verdict = await check(t, { "etc/subuid": "alice:100000:65536\nbob:450000:65536\n" });
  assert.deepEqual(
    [verdict.status, verdict.found],
    ["warning", "500000 to 509999 is shared with containers of bob (450000 to 515535)"],
  );
});

test("many collisions are counted, not all named", async (t) => {
  const lines = Array.from({ length: 8 }, (_each, index) => `u${index}:x:${500_000 + index}:1::/:\n`).join("");
  assert.match((await check(t, { "etc/passwd": lines })).found, /u4 \(500004\) and 3 more$/);
});

for (const [what, uidRange, found] of [
  ["root", { first: 0, count: 10 }, /holds root/],
  ["the system's accounts", { first: 990, count: 20 }, /system's own accounts/],
  ["nobody", { first: 65_000, count: 1000 }, /holds 65534/],
  ["ids beyond the last", { first: 4_294_967_290, count: 10 }, /beyond the last user id/],
  ["nothing", { first: 500_000, count: 0 }, /is no range/],
] as const) {
  test(`a range of ${what} is a problem`, async (t) => {
    const verdict = await check(t, {}, uidRange);
    assert.equal(verdict.status, "problem");
    assert.match(verdict.found, found);
  });
}

test("a range outside this user namespace is a problem with a cure of its own", async (t) => {
  const map = "         0     100000      65536\n";
  const verdict = await check(t, { "proc/self/uid_map": map, "proc/self/gid_map": map });
  assert.deepEqual(
    [verdict.status, verdict.found],
    ["problem", "500000 to 509999 is not mapped in this user namespace"],
  );
  assert.match(verdict.cure ?? "", /inside this container's ids/);
});

test("the first user namespace holds every range", async (t) => {
  const map = "         0          0 4294967295\n";
  assert.equal((await check(t, { "proc/self/uid_map": map, "proc/self/gid_map": map })).status, "ok");
});

test("lines that are no accounts are passed over", async (t) => {
  const passwd = "# comment\n+::::::\nbroken\nnis:x:notanumber:1::/:\n\n";
  assert.equal((await check(t, { "etc/passwd": passwd, "etc/subuid": "# none\nbob\n" })).status, "ok");
});
