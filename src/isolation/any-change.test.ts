import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ProcTree } from "../../test/support/proc-tree.ts";
import type { ControlPhase } from "../vm/isolation.ts";
import type { KernelView } from "./facts.ts";
import { compareHeld, compareRunning } from "./prove.ts";
import { readHeld, readRunning } from "./read.ts";

/**
 * Facts of a perfect process that can change without being a gap, each with the reason. Every other fact that is read
 * must be decisive: change it to anything else, and some control is no longer proven. A fact that is read for nothing
 * fails these tests, as does a comparison that lets one slip.
 */
const indifferent: Record<ControlPhase, readonly [why: string, path: RegExp][]> = {
  held: [
    ["no filter is there before the guest runs", /^threads\.read\.0\.(noNewPrivs|seccomp)$/],
    ["only the main thread is there, whatever it calls itself", /^threads\.read\.0\.name$/],
    ["only reported", /^(threads\.read\.0\.umask|resourceLimits\.coreSize\..*)$/],
    ["the value of another's argument", /^commandLine\.[034]$/],
    ["must only differ from the other's", /^(root\.host|namespaces\.(mount|pid)|managerNamespaces\..*)\./],
  ],
  running: [
    ["named by the executable and by KVM", /^threads\.read\.[03]\.name$/],
    ["proven before the guest ran", /^threads\.read\.\d\.(cpus|namespacePids|umask)$/],
    ["any random device's node will do", /^descriptors\.read\.9\.(target|file\.(device|inode))$/],
    ["a regular file, whichever device number that has", /^descriptors\.read\.10\.(target|file\.(kind|deviceNumber))$/],
  ],
};

const indifferentAlways: readonly [why: string, path: RegExp][] = [
  ["a mere number", /^threads\.read\.\d\.tid$/],
  ["only reported", /\.capabilities\.bounding$/],
  ["hierarchies without the VM's controllers", /\.cgroups\.(name=systemd|)$/],
  ["any null device's node will do", /^descriptors\.read\.0\.(target|file\.(device|inode))$/],
  ["a known file is known by its identity", /^descriptors\.read\.[1-4]\.(target|file\.(kind|deviceNumber))$/],
  ["only a memfd's matters", /^descriptors\.read\.\d+\.file\.links$/],
  ["any number above the three", /^descriptors\.read\.([3-9]|10)\.number$/],
];

type Leaf = string | number | boolean;

function isLeaf(value: unknown): value is Leaf {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean";
}

/** Every fact of a view with its path; `value` is left out of the paths. */
function leaves(node: unknown, path: readonly string[] = []): (readonly string[])[] {
  if (isLeaf(node)) return [path];
  if (typeof node !== "object" || node === null) return [];
  return Object.entries(node).flatMap(([key, child]) => leaves(child, [...path, key]));
}

function nameOf(path: readonly string[]): string {
  return path.filter((key) => key !== "value").join(".");
}

/** A copy of a view in which one fact is another. */
function change(view: KernelView, path: readonly string[], to: (from: Leaf) => Leaf): KernelView {
  const replace = (node: unknown, [key, ...rest]: readonly string[]): unknown => {
    if (key === undefined) return isLeaf(node) ? to(node) : node;
    const entries = Object.entries(node as Record<string, unknown>);
    const changed = entries.map(([name, child]) => [name, name === key ? replace(child, rest) : child]);
    return Array.isArray(node) ? changed.map(([, child]) => child) : Object.fromEntries(changed);
  };
  return { ...view, facts: replace(view.facts, path) as KernelView["facts"] };
}

const phases = {
  held: { read: readHeld, compare: compareHeld },
  running: { read: readRunning, compare: compareRunning },
};

for (const phase of ["held", "running"] as const) {
  using tree = new ProcTree(phase);
  const { wanted } = tree;
  const { read, compare } = phases[phase];
  const view = read(tree.host, tree.process, wanted);
  const rules = [...indifferent[phase], ...indifferentAlways];
  const all = leaves(view.facts);
  const decisive = all.filter((path) => !rules.some(([, pattern]) => pattern.test(nameOf(path))));
  const unprovenAfter = (path: readonly string[], text: string, number: number) => {
    const changed = change(view, path, (from) => {
      if (typeof from === "boolean") return !from;
      if (typeof from === "number") return from + 100 + number;
      // Never the same in other words, as `0` is for a mask of sixteen noughts: nothing of the kernel's ends so.
      return `${text}?`;
    });
    const { controls, unread } = compare(wanted, changed);
    return [...controls.filter((control) => !control.ok).map((control) => control.name), ...unread];
  };

  test(`${phase}: whichever decisive fact changes, and to whatever, at least one control is not proven`, () => {
    const property = fc.property(fc.constantFrom(...decisive), fc.string(), fc.nat(), (path, text, number) => {
      assert.notDeepEqual(unprovenAfter(path, text, number), [], nameOf(path));
    });
    fc.assert(property, { numRuns: 1000 });
  });

  test(`${phase}: each decisive fact has been changed, not only those that chance picked`, () => {
    for (const path of decisive) assert.notDeepEqual(unprovenAfter(path, "other", 0), [], nameOf(path));
  });

  test(`${phase}: each fact that is said to be indifferent is there, and is so`, () => {
    for (const [why, pattern] of rules) {
      const matching = all.filter((path) => pattern.test(nameOf(path)));
      assert.notDeepEqual(matching, [], `${why}: ${pattern} is no fact`);
      for (const path of matching) assert.deepEqual(unprovenAfter(path, "other", 0), [], `${why}: ${nameOf(path)}`);
    }
  });
}
