import { objectsOf } from "./document.ts";
import type { Table } from "./expressions.ts";

/** What `nft -j list ruleset` printed. */
export type FoundRuleset = readonly Readonly<Record<string, Readonly<Record<string, unknown>>>>[];

/** Reads what `nft -j` printed; throws a RangeError where it is something else. */
export function parseRuleset(text: string): FoundRuleset {
  const parsed: unknown = JSON.parse(text);
  const found = (parsed as { nftables?: unknown } | null)?.nftables;
  if (!Array.isArray(found)) throw new RangeError("nft printed something that is no list of rules");
  return found as FoundRuleset;
}

/**
 * What is not as wanted in a table that was read back: nothing, or one clause for each difference. Counts and handles
 * are the kernel's own; whatever else is in the table and was not put there is a difference, too. Pure.
 */
export function tableDifferences(wanted: Table, found: FoundRuleset): string[] {
  const own = found.flatMap((each) => Object.entries(each)).filter(([, object]) => isOf(wanted, object));
  if (!found.some((each) => isTable(wanted, each))) return [`the table ${wanted.family} ${wanted.name} is not there`];
  const expected = objectsOf(wanted).flatMap((each) => Object.entries(each));
  return [...objectDifferences(expected, own), ...ruleDifferences(wanted, expected, own)];
}

/** Tables that are there beside the wanted ones, as clauses. Pure. */
export function strangers(wanted: readonly Table[], found: FoundRuleset): string[] {
  return found.flatMap(({ table }) => {
    if (table === undefined || wanted.some((each) => each.family === table.family && each.name === table.name))
      return [];
    return [`there is another table, ${table.family} ${table.name}`];
  });
}

/** Packets and bytes of each named counter of a table. */
export function countersOf(
  table: Pick<Table, "family" | "name">,
  found: FoundRuleset,
): { readonly name: string; readonly packets: number; readonly bytes: number }[] {
  return found.flatMap(({ counter }) =>
    counter !== undefined && isOf(table, counter)
      ? [{ name: String(counter.name), packets: Number(counter.packets), bytes: Number(counter.bytes) }]
      : [],
  );
}

type Entry = readonly [kind: string, object: Readonly<Record<string, unknown>>];

function isTable({ family, name }: Table, { table }: FoundRuleset[number]): boolean {
  return table?.family === family && table.name === name;
}

function isOf({ family, name }: Pick<Table, "family" | "name">, object: Readonly<Record<string, unknown>>): boolean {
  return object.family === family && object.table === name;
}

/** Chains, sets and counters: each by its name. */
function objectDifferences(expected: readonly Entry[], own: readonly Entry[]): string[] {
  const index = (entries: readonly Entry[]) =>
    new Map(
      entries
        .filter(([kind]) => kind !== "rule")
        .map(([kind, object]) => [`${kind} ${object.name}`, canonical(object)]),
    );
  const [wanted, found] = [index(expected), index(own)];
  return [
    ...[...wanted].flatMap(([name, text]) => {
      if (!found.has(name)) return [`the ${name} is not there`];
      return found.get(name) === text ? [] : [`the ${name} is another`];
    }),
    ...[...found.keys()]
      .filter((name) => !wanted.has(name))
      .map((name) => `there is a ${name} that was not made for it`),
  ];
}

/** Rules: those of a chain in their order. */
function ruleDifferences({ chains }: Table, expected: readonly Entry[], own: readonly Entry[]): string[] {
  const of = (entries: readonly Entry[], chain: string) =>
    entries.flatMap(([kind, object]) => (kind === "rule" && object.chain === chain ? [canonical(object.expr)] : []));
  return chains.flatMap(({ name }) => {
    const [wanted, found] = [of(expected, name), of(own, name)];
    if (wanted.length !== found.length) return [`the chain ${name} has ${found.length} rules, not ${wanted.length}`];
    const position = wanted.findIndex((text, index) => text !== found[index]);
    return position < 0 ? [] : [`rule ${position + 1} of the chain ${name} is another: ${found[position]}`];
  });
}

/** What the kernel counts, numbers or leaves out. */
const unstable = new Set(["handle", "packets", "bytes", "elem", "dev", "comment"]);

/** A text that is the same for the same meaning: members in order, a list of one the same as its only item. */
function canonical(value: unknown): string {
  return JSON.stringify(simplify(value));
}

function simplify(value: unknown): unknown {
  if (Array.isArray(value)) return value.length === 1 ? simplify(value[0]) : value.map(simplify);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([name]) => !unstable.has(name));
  // `{"counter": {"packets": 0, "bytes": 0}}` is a counter of a rule's own, wanted as `{"counter": null}`.
  if (entries.length === 0) return null;
  return Object.fromEntries(
    entries.map(([name, member]) => [name, simplify(member)] as const).sort(([one], [other]) => (one < other ? -1 : 1)),
  );
}
