import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import * as fs from "node:fs";
import { describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import type { Vm } from "../../src/lifecycle/vm.ts";
import type { VmExit } from "../../src/vm/exit.ts";
import { requires } from "../support/capability.ts";
import { guest, openFixture, type WarderFixture } from "../support/warder-fixture.ts";

const real = requires("root", "kvm", "real-binaries");

/** A real end, and what must be known of it: its cause, its status or signal, and a line of evidence. */
interface Case {
  readonly what: string;
  readonly end: (vm: Vm) => Promise<unknown> | unknown;
  readonly spec?: object;
  readonly cause: VmExit["cause"];
  readonly status: number | NodeJS.Signals | null;
  readonly evidence: RegExp;
}

const pidOf = (vm: Vm) => vm.inspect().pid ?? assert.fail("no process");
const signal = (name: NodeJS.Signals) => (vm: Vm) => void process.kill(pidOf(vm), name);

const cases: readonly Case[] = [
  {
    what: "a guest that reset itself",
    spec: { kernel: "probe" },
    end: () => undefined,
    cause: "guest-ended",
    status: 0,
    evidence: /exit status 0/,
  },
  {
    what: "a stop by SIGTERM",
    end: (vm) => vm.stop({ ladder: [{ method: "sigterm", timeoutMs: 5_000 }] }),
    cause: "killed",
    status: "SIGTERM",
    evidence: /by a manager with sigterm/,
  },
  { what: "a kill", end: (vm) => vm.kill(), cause: "killed", status: "SIGKILL", evidence: /with sigkill/ },
  {
    what: "a stranger's SIGKILL",
    end: signal("SIGKILL"),
    cause: "killed-by-stranger",
    status: "SIGKILL",
    evidence: /SIGKILL, which no manager sent/,
  },
  {
    what: "a stranger's SIGTERM",
    end: signal("SIGTERM"),
    cause: "killed-by-stranger",
    status: "SIGTERM",
    evidence: /SIGTERM/,
  },
  {
    what: "a signal that Firecracker ends itself by",
    end: signal("SIGSEGV"),
    cause: "firecracker-error",
    status: 150,
    evidence: /status 150: SIGSEGV/,
  },
  {
    what: "a panic of Firecracker's",
    end: signal("SIGABRT"),
    cause: "firecracker-error",
    status: "SIGABRT",
    evidence: /SIGABRT/,
  },
  {
    what: "a system call that the filter forbids",
    end: callForbidden,
    cause: "seccomp",
    status: 148,
    evidence: /bad syscall \(63\)/,
  },
  {
    what: "want of memory in the VM's cgroup",
    end: useUpMemory,
    cause: "out-of-memory",
    status: "SIGKILL",
    evidence: /the kernel counted [1-9]\d* kill\(s\) in the VM's cgroup, whose limit was met/,
  },
];

describe("the cause of an end", real, () => {
  for (const { what, end, spec, cause, status, evidence } of cases) {
    test(`${cause}: ${what}`, async () => {
      await using fixture = await openFixture();
      const vm = await fixture.warder.run({ kernel: guest("tick"), ...spec });
      await check(vm, vm.wait(), { end, cause, status, evidence });
    });

    if (spec !== undefined) continue;
    test(`${cause}: ${what}, of a VM that was taken over`, async () => {
      await using fixture = await openFixture();
      const vm = await takenOver(fixture);
      await check(vm, vm.wait(), { end, cause, status, evidence });
    });
  }
});

async function takenOver(fixture: WarderFixture): Promise<Vm> {
  const first = await fixture.reopen();
  const { id } = await first.run({ kernel: guest("tick") });
  await first[Symbol.asyncDispose]();
  const vm = fixture.warder.get(id);
  assert.equal(vm.lookAfter(), true);
  return vm;
}

async function check(vm: Vm, ended: Promise<VmExit>, wanted: Omit<Case, "what" | "spec">): Promise<void> {
  await wanted.end(vm);
  const exit = await ended;
  assert.equal(exit.cause, wanted.cause, exit.evidence.join("\n"));
  assert.equal(exit.code ?? exit.signal, wanted.status);
  assert.match(exit.evidence.join("\n"), wanted.evidence);
  assert.deepEqual(vm.record.exit, exit);
}

/** Has the main thread make a system call that no Firecracker makes: uname(2), 63 on x86-64. */
function callForbidden(vm: Vm): void {
  const script = `
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
ATTACH, GETREGS, SETREGS, DETACH = 16, 12, 13, 17
pid = int(sys.argv[1])
if libc.ptrace(ATTACH, pid, None, None) != 0: sys.exit("attach")
os.waitpid(pid, 0x40000000)
registers = ctypes.create_string_buffer(27 * 8)
libc.ptrace(GETREGS, pid, None, registers)
values = list(struct.unpack("27Q", registers.raw))
RAX, ORIG_RAX, RIP = 10, 15, 16
values[RAX], values[ORIG_RAX], values[RIP] = 63, 2**64 - 1, values[RIP] - 2
registers.raw = struct.pack("27Q", *values)
libc.ptrace(SETREGS, pid, None, registers)
libc.ptrace(DETACH, pid, None, None)`;
  execFileSync("python3", ["-c", script, String(pidOf(vm))]);
}

/**
 * Puts hungry processes into the VM's cgroup, in which the kernel is to end Firecracker first: they are two, as the kernel
 * looks at the size of each.
 */
async function useUpMemory(vm: Vm): Promise<void> {
  const { memory } = vm.record.cgroup?.directories ?? {};
  fs.writeFileSync(`/proc/${pidOf(vm)}/oom_score_adj`, "1000");
  const hungry = `
import os, sys, time
sys.stdin.read(1)
os.fork()
hoard = bytearray(130 << 20)
for i in range(0, len(hoard), 4096): hoard[i] = 1
time.sleep(5)`;
  const child = spawn("python3", ["-c", hungry], { stdio: ["pipe", "ignore", "ignore"] });
  const exited = new Promise((resolve) => child.once("exit", resolve));
  try {
    fs.writeFileSync(`${memory}/cgroup.procs`, String(child.pid));
    child.stdin.write("x");
    const { pid } = vm.inspect();
    const deadline = performance.now() + 20_000;
    while (fs.existsSync(`/proc/${pid}/root/.`)) {
      assert.ok(performance.now() < deadline, "Firecracker was not killed");
      await pause(5);
    }
  } finally {
    child.kill("SIGKILL");
    await exited;
  }
}
