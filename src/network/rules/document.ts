import type { Chain, Rule, Statement, Table } from "./expressions.ts";

/** A document for `nft -j -f -`: commands that take effect together, or not at all. */
export interface NftDocument {
  readonly nftables: readonly object[];
}

const metainfo = { metainfo: { json_schema_version: 1 } };

/** Puts tables in place of those of the same names, in one step: there is no moment without rules. Pure. */
export function replaceTables(tables: readonly Table[]): NftDocument {
  return { nftables: [metainfo, ...tables.flatMap((table) => [...removalOf(table), ...creationOf(table)])] };
}

/** Removes tables, whether they are there or not. Pure. */
export function removeTables(tables: readonly Pick<Table, "family" | "name">[]): NftDocument {
  return { nftables: [metainfo, ...tables.flatMap(removalOf)] };
}

/**
 * Puts a table's chains in place of those of the same names, and leaves what is in its sets and counters: for a table
 * that VMs share. Pure.
 */
export function refreshTable(table: Table): NftDocument {
  const { family, name } = table;
  const objects = objectsOf(table);
  const flushes = table.chains.map((chain) => ({ flush: { chain: { family, table: name, name: chain.name } } }));
  const [rules, others] = [objects.filter((each) => "rule" in each), objects.filter((each) => !("rule" in each))];
  return {
    nftables: [metainfo, { add: { table: { family, name } } }, ...others.map(add), ...flushes, ...rules.map(add)],
  };
}

/** Adds elements to a set, or takes them out of it, whether they are in it or not. Pure. */
export function changeElements(
  verb: "add" | "delete",
  table: Pick<Table, "family" | "name">,
  set: string,
  elements: readonly unknown[],
): object[] {
  if (elements.length === 0) return [];
  const element = { family: table.family, table: table.name, name: set, elem: elements };
  return verb === "add" ? [{ add: { element } }] : [{ add: { element } }, { delete: { element } }];
}

/** What `nft -j list` prints of a table that is as wanted, less handles and counts. Pure. */
export function objectsOf(table: Table): object[] {
  const { family, name } = table;
  return [
    ...table.counters.map((counter) => ({ counter: { family, table: name, name: counter } })),
    ...(table.sets ?? []).map((set) => ({ set: { family, table: name, name: set.name, type: set.type } })),
    ...table.chains.map((chain) => ({ chain: chainOf(table, chain) })),
    ...table.chains.flatMap((chain) => chain.rules.map((each) => ({ rule: ruleOf(table, chain, each) }))),
  ];
}

function removalOf({ family, name }: Pick<Table, "family" | "name">): object[] {
  // What is not there can not be deleted, so it is added first.
  return [{ add: { table: { family, name } } }, { delete: { table: { family, name } } }];
}

function creationOf(table: Table): object[] {
  return [{ add: { table: { family: table.family, name: table.name } } }, ...objectsOf(table).map(add)];
}

function add(object: object): object {
  return { add: object };
}

function chainOf({ family, name: table }: Table, { name, hook }: Chain): object {
  if (hook === undefined) return { family, table, name };
  const { type, hook: place, priority: prio, policy, device } = hook;
  return { family, table, name, type, hook: place, prio, policy, ...(device === undefined ? {} : { dev: device }) };
}

function ruleOf({ family, name: table }: Table, chain: Chain, { comment, statements }: Rule): object {
  return {
    family,
    table,
    chain: chain.name,
    expr: statements as Statement[],
    ...(comment === undefined ? {} : { comment }),
  };
}
