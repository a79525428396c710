/**
 * What this machine can do, decided in one place. A test says what it needs, and is skipped with the reason where that
 * is missing:
 *
 *   test("boots a Linux guest", requires("root", "kvm-hardware-speed"), async () => …)
 *
 * WARDER_REQUIRE=kvm,root (or `all`) names what must be there: a test that misses it fails instead.
 */
import type { TestOptions } from "node:test";
import { type Capability, missing, PROBES } from "./capability-probes.ts";

export type { Capability } from "./capability-probes.ts";

/** How each capability is looked for, and what must be there. */
export interface Machine {
  readonly probes: Readonly<Record<Capability, () => string | undefined>>;
  /** The value of WARDER_REQUIRE. */
  readonly required: string | undefined;
}

/** What node:test needs to know of a test that misses something: nothing if it misses nothing. */
export type Requirement = Pick<TestOptions, "skip" | "signal">;

const thisMachine: Machine = { probes: PROBES, required: process.env.WARDER_REQUIRE };

/**
 * Options for a test, suite or hook of node:test that needs the given capabilities.
 *
 * @throws where WARDER_REQUIRE names something that is no capability: a misspelt one would require nothing
 */
export function requires(...capabilities: readonly Capability[]): Requirement {
  return requirement(thisMachine, capabilities);
}

/** {@link requires} for any machine. */
export function requirement({ probes, required }: Machine, capabilities: readonly Capability[]): Requirement {
  const isRequired = parseRequired(required);
  const gaps = capabilities.flatMap((capability) => {
    const detail = missing(probes, capability);
    return detail === undefined ? [] : [{ capability, detail }];
  });
  if (gaps.length === 0) return {};
  const reason = `needs ${gaps.map(({ capability }) => capability).join(" + ")}: ${gaps.map(({ detail }) => detail).join("; ")}`;
  // An aborted test fails with the reason of its signal, whether it is a test or a suite.
  if (gaps.some(({ capability }) => isRequired(capability))) {
    return { signal: AbortSignal.abort(new Error(`${reason} (and WARDER_REQUIRE=${required} says it must be there)`)) };
  }
  return { skip: reason };
}

function parseRequired(text = ""): (capability: Capability) => boolean {
  const names = text
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
  const unknown = names.filter((name) => name !== "all" && !(name in PROBES));
  if (unknown.length > 0) {
    throw new Error(
      `WARDER_REQUIRE names ${unknown.join(", ")}, which is no capability; known: all, ${Object.keys(PROBES).join(", ")}`,
    );
  }
  return (capability) => names.includes("all") || names.includes(capability);
}
