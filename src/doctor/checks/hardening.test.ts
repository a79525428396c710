import assert from "node:assert/strict";
import { test } from "node:test";
import { contextOn, runCheck } from "../../../test/support/doctor-context.ts";
import { hardeningChecks } from "./hardening.ts";

const kernel61 = { "proc/sys/kernel/osrelease": "6.1.0\n" };
const cgroup2 = (options: string): string => `cgroup2 /sys/fs/cgroup cgroup2 ${options} 0 0\n`;
const flaws = "sys/devices/system/cpu/vulnerabilities";
const swapHead = "Filename\tType\tSize\tUsed\tPriority\n";

for (const { code, what, files, status, found } of [
  {
    code: "cgroup-favordynmods",
    what: "cgroups that favour changes",
    files: { ...kernel61, "proc/self/mounts": cgroup2("rw,favordynmods") },
    status: "ok",
    found: /is on/,
  },
  {
    code: "cgroup-favordynmods",
    what: "cgroups that don't",
    files: { ...kernel61, "proc/self/mounts": cgroup2("rw,nsdelegate") },
    status: "warning",
    found: /is off/,
  },
  {
    code: "cgroup-favordynmods",
    what: "cgroups of an older kernel",
    files: { "proc/sys/kernel/osrelease": "5.10.0\n" },
    status: "ok",
    found: /doesn't need/,
  },
  {
    code: "cgroup-favordynmods",
    what: "a host without cgroups",
    files: kernel61,
    status: "skipped",
    found: /no cgroups/,
  },
  { code: "swap", what: "a host without swap", files: { "proc/swaps": swapHead }, status: "ok", found: /none is on/ },
  {
    code: "swap",
    what: "swap on a disk",
    files: { "proc/swaps": `${swapHead}/dev/sda2 partition 1 0 -2\n` },
    status: "warning",
    found: /\/dev\/sda2/,
  },
  {
    code: "swap",
    what: "swap in memory",
    files: { "proc/swaps": `${swapHead}/dev/zram0 partition 1 0 100\n` },
    status: "ok",
    found: /only in memory/,
  },
  { code: "swap", what: "a kernel without swap", files: {}, status: "ok", found: /has none/ },
  { code: "ksm", what: "merged pages", files: { "sys/kernel/mm/ksm/run": "1\n" }, status: "warning", found: /is on/ },
  { code: "ksm", what: "unmerged pages", files: { "sys/kernel/mm/ksm/run": "2\n" }, status: "ok", found: /is off/ },
  {
    code: "smt",
    what: "SMT",
    files: { "sys/devices/system/cpu/smt/active": "1\n" },
    status: "warning",
    found: /is on/,
  },
  { code: "smt", what: "no SMT", files: { "sys/devices/system/cpu/smt/active": "0\n" }, status: "ok", found: /is off/ },
  { code: "smt", what: "a kernel that doesn't say", files: {}, status: "skipped", found: /doesn't say/ },
  {
    code: "cpu-vulnerabilities",
    what: "flaws of which one is open",
    files: {
      [`${flaws}/mds`]: "Mitigation: Clear CPU buffers\n",
      [`${flaws}/l1tf`]: "Vulnerable: SMT on\n",
      [`${flaws}/srbds`]: "Not affected\n",
    },
    status: "warning",
    found: /^not mitigated: l1tf$/,
  },
  {
    code: "cpu-vulnerabilities",
    what: "flaws that are all mended",
    files: { [`${flaws}/mds`]: "Not affected\n" },
    status: "ok",
    found: /mitigated or absent/,
  },
  {
    code: "nx-huge-pages",
    what: "a remedy that isn't needed",
    files: { "sys/module/kvm/parameters/nx_huge_pages": "Y\n", [`${flaws}/itlb_multihit`]: "Not affected\n" },
    status: "warning",
    found: /not affected/,
  },
  {
    code: "nx-huge-pages",
    what: "a remedy that is needed",
    files: {
      "sys/module/kvm/parameters/nx_huge_pages": "Y\n",
      [`${flaws}/itlb_multihit`]: "KVM: Mitigation: Split huge pages\n",
    },
    status: "ok",
    found: /needed/,
  },
] as const) {
  test(`${what}: ${status} for ${code}`, async (t) => {
    const verdict = await runCheck(hardeningChecks, code, contextOn(t, { files }));
    assert.equal(verdict.status, status);
    assert.match(verdict.found, found);
  });
}
