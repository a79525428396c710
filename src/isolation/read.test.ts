import assert from "node:assert/strict";
import { test } from "node:test";
import { ProcTree } from "../../test/support/proc-tree.ts";
import type { Files, Host } from "../host/host.ts";
import type { ControlPhase } from "../vm/isolation.ts";
import { controlNames, type PhaseProof, proveHeld, proveRunning } from "./prove.ts";
import { readHeld } from "./read.ts";

type Call = (method: keyof Files, path: string) => void;

/** The same host, with `before` called ahead of every call for files. */
function observe(host: Host, before: Call): Host {
  const files = new Proxy(host.files, {
    get(target, method: keyof Files) {
      const original: unknown = target[method];
      if (typeof original !== "function") return original;
      return (...args: unknown[]): unknown => {
        before(method, String(args[0]));
        return Reflect.apply(original, target, args);
      };
    },
  });
  return { ...host, files };
}

/** Proves a perfect process while something happens just before the call for files with this number. */
function proveWith(
  phase: ControlPhase,
  number: number,
  happening: (tree: ProcTree) => void,
): PhaseProof & { calls: number } {
  using tree = new ProcTree(phase);
  let calls = 0;
  const host = observe(tree.host, () => {
    if (calls++ === number) happening(tree);
  });
  const prove = phase === "held" ? proveHeld : proveRunning;
  return { ...prove(host, tree.process, tree.wanted), calls };
}

const happenings: Record<string, (tree: ProcTree) => void> = {
  "is gone": (tree) => tree.remove("proc/4242"),
  "is a zombie": (tree) => tree.edit(tree.ofProcess("stat"), ") S ", ") Z "),
  "is dead": (tree) => tree.edit(tree.ofProcess("stat"), ") S ", ") X "),
  "is another that has got its pid": (tree) => tree.edit(tree.ofProcess("stat"), " 117366 ", " 117367 "),
  "exits, and has no memory and descriptors any more": (tree) => {
    tree.edit(tree.ofProcess("stat"), " 4194560 ", " 4194564 ");
    tree.write(tree.ofProcess("cmdline"), "");
    tree.remove(tree.ofProcess("fd"));
    tree.mkdir(tree.ofProcess("fd"));
  },
};

for (const phase of ["held", "running"] as const) {
  for (const [what, happening] of Object.entries(happenings)) {
    test(`${phase}: whenever the process ${what}, that is told, and nothing read since is believed`, () => {
      const { calls } = proveWith(phase, -1, happening);
      using tree = new ProcTree(phase);
      const names = controlNames(tree.wanted, phase).sort();
      for (let number = 0; number < calls; number++) {
        const proof = proveWith(phase, number, happening);
        const wrong = proof.controls.filter((control) => !control.ok);
        const known = [...proof.controls.map((control) => control.name), ...proof.unread];
        assert.deepEqual([proof.vanished, wrong, known.sort()], [true, [], names], `before call ${number}`);
      }
    });
  }

  test(`${phase}: what was read before the process ended is kept`, () => {
    const { calls } = proveWith(phase, -1, () => undefined);
    const proof = proveWith(phase, calls - 1, (tree) => tree.remove("proc/4242"));
    assert.ok(proof.controls.some((control) => control.name === "uid"));
    assert.ok(proof.unread.includes("descriptors"));
  });
}

test("a process of before the last boot is not taken for the one that has its numbers now", () => {
  using tree = new ProcTree("held");
  const proof = proveHeld(tree.host, { ...tree.process, bootId: "another" }, tree.wanted);
  assert.deepEqual([proof.vanished, proof.controls], [true, []]);
});

test("a process that ends between the opening and the reading of a text is gone", () => {
  using tree = new ProcTree("held");
  const host = observe(tree.host, (_method, path) => {
    if (path.endsWith("/stat")) throw Object.assign(new Error("no such process"), { code: "ESRCH" });
  });
  assert.equal(proveHeld(host, tree.process, tree.wanted).vanished, true);
});

test("what can not be read of a live process is a gap, and the rest is read all the same", () => {
  using tree = new ProcTree("held");
  const host = observe(tree.host, (method, path) => {
    if (method === "readLink" || path.endsWith("/environ")) throw Object.assign(new Error("no"), { code: "EACCES" });
  });
  const { controls, vanished } = proveHeld(host, tree.process, tree.wanted);
  const wrong = controls.filter((control) => !control.ok).map(({ name, found }) => [name, found]);
  assert.deepEqual(wrong, [
    ["descriptors", "unreadable: EACCES"],
    ["environment", "unreadable: EACCES"],
  ]);
  assert.equal(vanished, false);
});

test("a defect is thrown, not taken for a gap", () => {
  using tree = new ProcTree("held");
  const host = observe(tree.host, (_method, path) => {
    if (path.endsWith("/limits")) throw new TypeError("a defect");
  });
  assert.throws(() => readHeld(host, tree.process, tree.wanted), /a defect/);
});

test("without a security module the label is none", () => {
  using tree = new ProcTree("held");
  const host = observe(tree.host, (_method, path) => {
    if (path.endsWith("/attr/current")) throw Object.assign(new Error("no"), { code: "EINVAL" });
  });
  const label = proveHeld(host, tree.process, tree.wanted).controls.find((control) => control.name === "mac-label");
  assert.deepEqual([label?.found, label?.ok], ["none", false]);
});

test("an SELinux context is read without its final NUL", () => {
  using tree = new ProcTree("held");
  tree.write(tree.ofProcess("attr/current"), "system_u:system_r:warder_t:s0\0");
  const wanted = { ...tree.wanted, label: "system_u:system_r:warder_t:s0" };
  const label = proveHeld(tree.host, tree.process, wanted).controls.find((control) => control.name === "mac-label");
  assert.equal(label?.ok, true);
});

test("values of environment variables are not kept: they can be secrets", () => {
  using tree = new ProcTree("held");
  tree.write(tree.ofProcess("environ"), "TOKEN=s3cret\0");
  assert.ok(!JSON.stringify(readHeld(tree.host, tree.process, tree.wanted)).includes("s3cret"));
});

test("a thread and a descriptor that are gone when they are read are left out", () => {
  using tree = new ProcTree("running");
  const host = observe(tree.host, (method, path) => {
    if (path.endsWith("/4246/status") && method === "readText") tree.remove(tree.ofProcess("task/4246"));
    if (path.endsWith("/fd/5") && method === "readLink") tree.remove(tree.ofProcess("fd/5"));
  });
  const { controls } = proveRunning(host, tree.process, tree.wanted);
  const foundOf = (name: string) => controls.find((control) => control.name === name)?.found;
  assert.equal(foundOf("threads"), "firecracker, fc_api, fc_vcpu 0");
  assert.match(foundOf("descriptors") ?? "", /anonymous inode × 2/);
});

test("a thread that ends, and a cgroup that is removed, while they are read are not taken for the process's end", () => {
  using tree = new ProcTree("running");
  const host = observe(tree.host, (_method, path) => {
    if (path.endsWith("/4246/cgroup")) throw Object.assign(new Error("no such process"), { code: "ESRCH" });
    if (path.endsWith("/pids.max")) throw Object.assign(new Error("no such device"), { code: "ENODEV" });
  });
  const { controls, vanished } = proveRunning(host, tree.process, tree.wanted);
  const wrong = controls.filter((control) => !control.ok).map(({ name, found }) => [name, found]);
  assert.deepEqual([wrong, vanished], [[["limit.pids", "not set"]], false]);
});

test("a thread that exits, and so has lost its cgroups, is left out", () => {
  using tree = new ProcTree("running");
  tree.edit(tree.ofProcess("task/4246/stat"), " 4194560 ", " 4194564 ");
  tree.write(tree.ofProcess("task/4246/cgroup"), "4:memory:/\n0::/\n");
  const { controls } = proveRunning(tree.host, tree.process, tree.wanted);
  assert.deepEqual(
    controls.filter((control) => !control.ok),
    [],
  );
});

test("a process with very many threads and descriptors is a gap, and does not hold its manager up", () => {
  using tree = new ProcTree("running");
  let calls = 0;
  const files: Files = {
    ...observe(tree.host, () => calls++).files,
    list: (path) => [...tree.host.files.list(path), ...Array.from({ length: 100_000 }, (_, index) => `9${index}`)],
  };
  const { controls } = proveRunning({ ...tree.host, files }, tree.process, tree.wanted);
  const foundOf = (name: string) => controls.find((control) => control.name === name)?.found ?? "";
  assert.match(foundOf("seccomp"), /; \d+ threads more than can be read$/);
  assert.match(foundOf("descriptors"), /^\d+ more than can be read$/);
  assert.ok(calls < 10_000);
});

/** Calls that open something, or look at what lies behind a name in the jail. */
const opening: readonly (keyof Files)[] = ["readText", "readHead", "list", "resolve", "copy", "watch"];

test("held: nothing is opened but text of /proc and the cgroups, and nothing of the jail", () => {
  assert.deepEqual(
    openedBy("held").filter((path) => !isText(path)),
    [],
  );
});

test("running: nothing is opened but text, and no name in the jail is looked up", () => {
  assert.deepEqual(
    openedBy("running").filter((path) => !isText(path)),
    [],
  );
  using tree = new ProcTree("running");
  const host = observe(tree.host, (_method, path) => assert.ok(!path.startsWith(tree.path("jail")), path));
  proveRunning(host, tree.process, tree.wanted);
});

for (const phase of ["held", "running"] as const) {
  test(`${phase}: no text is read twice, but the one that says whether the process is whole`, () => {
    const texts = openedBy(phase).filter((path) => path !== "/proc/4242/stat");
    assert.deepEqual(texts, [...new Set(texts)]);
  });
}

test("a cgroup of v2, which all controllers share, is read once", () => {
  using tree = new ProcTree("held", 2);
  let reads = 0;
  const host = observe(tree.host, (_method, path) => {
    if (path.endsWith("/cgroup.procs")) reads++;
  });
  proveHeld(host, tree.process, tree.wanted);
  assert.equal(reads, 1);
});

function openedBy(phase: ControlPhase): string[] {
  using tree = new ProcTree(phase);
  const opened: string[] = [];
  const host = observe(tree.host, (method, path) => {
    if (opening.includes(method)) opened.push(path.slice(tree.directory.length));
  });
  (phase === "held" ? proveHeld : proveRunning)(host, tree.process, tree.wanted);
  return opened;
}

function isText(path: string): boolean {
  const ofProcess =
    /^\/proc\/4242\/(stat|limits|environ|cmdline|attr\/current|mountinfo|fd|task|task\/\d+\/(status|cgroup|stat))$/;
  return ofProcess.test(path) || /^\/sys\/fs\/cgroup\/[a-z]+\/jailer\/vm-1\/[a-z_.]+$/.test(path);
}
