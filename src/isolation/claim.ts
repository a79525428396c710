import type { Control } from "../vm/isolation.ts";
import type { Bounded, FactName, KernelFacts, KernelView, ThreadFacts } from "./facts.ts";

/** What the kernel says, beside what a claim wants. */
export interface Finding {
  readonly found: string;
  readonly ok: boolean;
}

/** One control before it is compared: its name, what is wanted, the facts it needs, and the judgement on them. */
export interface Claim {
  readonly name: string;
  readonly wanted: string;
  readonly needs: readonly FactName[];
  /** `undefined` where the facts say that it can not be told any more. */
  judge(facts: Partial<KernelFacts>): Finding | undefined;
}

/** What comparing came to. Every claim is in exactly one of the two. */
export interface Comparison {
  readonly controls: readonly Control[];
  /** Names of the controls that could not be read before the process ended. */
  readonly unread: readonly string[];
}

/** What a control wants that is reported, and never a gap. */
export const ANYTHING = "any";

/** Makes a claim whose judgement sees exactly the facts it needs. */
export function claim<Need extends FactName>(
  name: string,
  wanted: string,
  needs: readonly Need[],
  judge: (facts: Pick<KernelFacts, Need>) => Finding | undefined,
): Claim {
  // `compare` hands over a judge's facts only when all that it needs are there.
  return { name, wanted, needs, judge: (facts) => judge(facts as Pick<KernelFacts, Need>) };
}

/** Makes a claim that only reports. */
export function report<Need extends FactName>(
  name: string,
  needs: readonly Need[],
  describe: (facts: Pick<KernelFacts, Need>) => string,
): Claim {
  return claim(name, ANYTHING, needs, (facts) => ({ found: describe(facts), ok: true }));
}

/** Compares claims with a view. Pure. */
export function compare(claims: readonly Claim[], view: KernelView): Comparison {
  const controls: Control[] = [];
  const unread: string[] = [];
  for (const each of claims) {
    const finding = findFor(each, view);
    if (finding === undefined) unread.push(each.name);
    else controls.push(toControl(each, view, finding));
  }
  return { controls, unread };
}

/** `undefined` where a fact is missing, or does not tell. A fact that could not be read of a live process is a gap. */
function findFor(each: Claim, { facts }: KernelView): Finding | undefined {
  const values: Partial<Record<FactName, unknown>> = {};
  for (const need of each.needs) {
    const reading = facts[need];
    if (reading === undefined) return undefined;
    if ("unreadable" in reading) return { found: `unreadable: ${reading.unreadable}`, ok: false };
    values[need] = reading.value;
  }
  return each.judge(values as Partial<KernelFacts>);
}

function toControl(each: Claim, view: KernelView, { found, ok }: Finding): Control {
  return Object.freeze({ name: each.name, phase: view.phase, wanted: each.wanted, found: printable(found), ok });
}

const FOUND_MAX_CHARACTERS = 300;

/** What nearly every text is made of: spares it the look at Unicode's classes, whose first use costs half a millisecond. */
const PLAIN = /^[ -~×…]*$/;

/**
 * Text of the kernel's that may hold names which a jailed process chose, made safe for terminals and logs: no control
 * or direction-changing characters, no endless length.
 */
function printable(text: string): string {
  const short = text.length > FOUND_MAX_CHARACTERS ? `${text.slice(0, FOUND_MAX_CHARACTERS)}…` : text;
  if (PLAIN.test(short)) return short;
  return short.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
}

/**
 * The finding on something that must hold for every thread: the one value that all share, or each thread that is not
 * as wanted. No thread at all, or one that was not looked at, is a gap: nothing must pass for want of a look.
 */
export function everyThread(
  threads: Bounded<ThreadFacts>,
  describe: (thread: ThreadFacts) => string,
  isWanted: (thread: ThreadFacts) => boolean,
): Finding {
  const { read, skipped } = threads;
  const [first] = read;
  if (first === undefined) return { found: "no thread", ok: false };
  const wrong = read.filter((thread) => !isWanted(thread));
  const unseen = skipped === 0 ? [] : [`${skipped} threads more than can be read`];
  if (wrong.length === 0) return { found: [describe(first), ...unseen].join("; "), ok: skipped === 0 };
  const texts = new Set(read.map(describe));
  // All wrong in the same way: the value says it all.
  if (wrong.length === read.length && texts.size === 1)
    return { found: [describe(first), ...unseen].join("; "), ok: false };
  return {
    found: [...wrong.map((thread) => `${nameOf(thread)}: ${describe(thread)}`), ...unseen].join("; "),
    ok: false,
  };
}

function nameOf(thread: ThreadFacts): string {
  return `thread ${thread.tid} (${thread.name})`;
}
