import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { anyNetwork, networkOf } from "../../../test/support/network-plans.ts";
import { toVmId } from "../../vm/id.ts";
import { countersOf, parseRuleset, strangers, tableDifferences } from "./compare.ts";
import { changeElements, objectsOf, refreshTable, removeTables, replaceTables } from "./document.ts";
import type { Chain, Table } from "./expressions.ts";
import { insideTables } from "./inside.ts";
import { guardTable, hostPortElements, publishedTable } from "./outside.ts";

/** What nft would print of tables that are in force, with handles and counts as it gives them. */
function printed(tables: readonly Table[]): string {
  const objects = tables.flatMap((table, handle) => [
    { table: { family: table.family, name: table.name, handle } },
    ...objectsOf(table).map((object) =>
      Object.fromEntries(
        Object.entries(object).map(([kind, body]) => [
          kind,
          { ...body, handle: 7, ...(kind === "counter" ? { packets: 3, bytes: 9 } : {}) },
        ]),
      ),
    ),
  ]);
  return JSON.stringify({
    nftables: [{ metainfo: { version: "1.0.6", json_schema_version: 1 } }, ...objects],
  }).replaceAll('{"counter":null}', '{"counter":{"packets":5,"bytes":420}}');
}

const allChains = (tables: readonly Table[]) => tables.flatMap(({ chains }) => chains);
const verdictOf = ({ rules }: Chain) => Object.keys(rules.at(-1)?.statements.at(-1) ?? {})[0];

describe("the rules in a VM's namespace", () => {
  test("drop what no rule lets pass: every chain that the kernel calls by its policy, every other by its last rule", () =>
    fc.assert(
      fc.property(anyNetwork, ({ network }) => {
        for (const chain of allChains(insideTables(network))) {
          if (chain.hook?.type === "nat") continue;
          if (chain.hook !== undefined) assert.equal(chain.hook.policy, "drop", chain.name);
          assert.equal(verdictOf(chain), "drop", chain.name);
        }
      }),
    ));

  test("check the source of every interface before all else", () =>
    fc.assert(
      fc.property(anyNetwork, ({ network }) => {
        const [source] = insideTables(network);
        assert.equal(source?.family, "netdev");
        assert.deepEqual(
          source?.chains.map(({ hook }) => hook?.device),
          network.interfaces.map(({ tap }) => tap),
        );
        for (const chain of source?.chains ?? [])
          assert.equal(JSON.stringify(chain.rules[0]?.statements).includes('"!="'), true);
      }),
    ));

  test("name nothing that was not planned: every text in them is a name, an address or a word of nft", () =>
    fc.assert(
      fc.property(anyNetwork, ({ id, network }) => {
        const published = publishedTable(id, network);
        const documents = [
          replaceTables(insideTables(network)),
          replaceTables(published === undefined ? [] : [published]),
        ];
        JSON.stringify(documents, (_key, value) => {
          if (typeof value === "string") assert.match(value, /^[A-Za-z0-9_.:/*@ =!-]+$/);
          assert.ok(typeof value !== "number" || Number.isSafeInteger(value));
          return value;
        });
      }),
    ));

  test("open the public internet only after the closed ranges, and what was allowed before them", () => {
    const [, policy] = insideTables(networkOf([{ mode: "egress", allow: ["169.254.169.254:80"] }]));
    const out = policy?.chains.find(({ name }) => name === "out-0");
    const texts = out?.rules.map((rule) => JSON.stringify(rule)) ?? [];
    const position = (part: string) => texts.findIndex((text) => text.includes(part));
    assert.ok(position('"169.254.169.254"') < position('"closed"'));
    assert.ok(position('"closed"') < position("public internet"));
    assert.ok(position("public internet") > 0);
  });

  test("open nothing by themselves to an isolated VM", () => {
    const [, policy] = insideTables(networkOf([{ mode: "isolated", allow: ["10.0.0.5:443"] }]));
    const out = policy?.chains.find(({ name }) => name === "out-0");
    const accepts = out?.rules.filter(({ statements }) => "accept" in (statements.at(-1) ?? {}));
    assert.equal(accepts?.length, 1);
    assert.match(JSON.stringify(accepts), /10\.0\.0\.5.*443/);
  });

  test("stay closed beside a network that plugins make, and pass nothing of that by themselves", () => {
    const tables = insideTables(networkOf(["cni=lan", "egress"]));
    const [source, policy] = tables;
    assert.deepEqual(source?.chains[0]?.rules.length, 2);
    assert.ok(policy?.chains.some(({ name }) => name === "out-1"));
    assert.ok(!policy?.chains.some(({ name }) => name === "out-0"));
    assert.deepEqual(
      tables.map(({ family }) => family),
      ["netdev", "inet"],
    );
  });
});

describe("the rules on the host", () => {
  test("publish by both families where no address is named, and by the address's own where one is", () => {
    const rules = (publish: string[], ipv6 = true) =>
      publishedTable(toVmId("vm-1"), networkOf([{ mode: "isolated", publish }], { ipv6 }))?.chains[0]?.rules.length;
    assert.equal(rules(["80:80"]), 2);
    assert.equal(rules(["80:80"], false), 1);
    assert.equal(rules(["127.0.0.1:80:80"]), 1);
    assert.equal(rules(["[fd00::7]:80:80"], false), undefined);
    assert.equal(publishedTable(toVmId("vm-1"), networkOf(["egress"])), undefined);
  });

  test("let a VM to the ports of the host that were opened to it", () => {
    const network = networkOf([{ mode: "isolated", allow: ["host:3128", "host:53/udp"] }]);
    const [eth0] = network.interfaces;
    assert.ok(eth0?.uplink?.kind === "routed");
    assert.deepEqual(hostPortElements(network), [
      { concat: [eth0.uplink.outside, "169.254.1.1", "tcp", 3128] },
      { concat: [eth0.uplink.outside, "169.254.1.1", "udp", 53] },
    ]);
    assert.deepEqual(hostPortElements(networkOf(["network=blue", "isolated"])), []);
  });
});

describe("documents for nft", () => {
  const commands = (document: { nftables: readonly object[] }) =>
    document.nftables.slice(1).map((each) => Object.keys(each)[0]);

  test("replace a table in one step, whether it is there or not", () => {
    assert.deepEqual(commands(replaceTables([guardTable])).slice(0, 3), ["add", "delete", "add"]);
    assert.deepEqual(commands(removeTables([guardTable])), ["add", "delete"]);
  });
  test("refresh a shared table without taking anything out of its sets", () =>
    assert.ok(!commands(refreshTable(guardTable)).includes("delete")));
  test("take an element out, whether it is in the set or not", () => {
    assert.deepEqual(
      changeElements("delete", guardTable, "s", [1]).map((each) => Object.keys(each)[0]),
      ["add", "delete"],
    );
    assert.deepEqual(changeElements("add", guardTable, "s", []), []);
  });
});

describe("rules that are read back", () => {
  test("are as wanted when they are what was given, whatever nft adds", () =>
    fc.assert(
      fc.property(anyNetwork, ({ network }) => {
        const tables = insideTables(network);
        const found = parseRuleset(printed(tables));
        assert.deepEqual(
          tables.flatMap((table) => tableDifferences(table, found)),
          [],
        );
        assert.deepEqual(strangers(tables, found), []);
      }),
    ));

  test("are not when a rule is missing, added, moved or changed", () =>
    fc.assert(
      fc.property(anyNetwork, fc.nat(), fc.constantFrom("drop", "add", "swap", "change"), ({ network }, seed, kind) => {
        const tables = insideTables(network);
        const document = JSON.parse(printed(tables)) as { nftables: { rule?: { expr: unknown[] } }[] };
        const rules = document.nftables.flatMap((each, index) => (each.rule === undefined ? [] : [index]));
        const at = rules[seed % Math.max(1, rules.length)];
        if (at === undefined) return;
        const before = JSON.stringify(document);
        if (kind === "drop") document.nftables.splice(at, 1);
        if (kind === "add") document.nftables.splice(at, 0, structuredClone(document.nftables[at]) as object);
        if (kind === "swap") document.nftables.splice(at, 2, ...document.nftables.slice(at, at + 2).reverse());
        if (kind === "change") document.nftables[at]?.rule?.expr.push({ log: null });
        if (JSON.stringify(document) === before) return;
        const differences = tables.flatMap((table) => tableDifferences(table, parseRuleset(JSON.stringify(document))));
        // Two equal neighbours, and neighbours of different chains, can be swapped without any meaning.
        if (kind !== "swap") assert.notDeepEqual(differences, []);
      }),
    ));

  test("are told by a clause each", () => {
    const tables = insideTables(networkOf(["egress"]));
    const [source, policy] = tables as [Table, Table];
    const empty = parseRuleset('{"nftables": []}');
    assert.deepEqual(tableDifferences(policy, empty), ["the table inet warder is not there"]);
    const open = {
      ...policy,
      chains: policy.chains.map((chain) => ({
        ...chain,
        ...(chain.hook === undefined ? {} : { hook: { ...chain.hook, policy: "accept" as const } }),
      })),
    };
    assert.ok(tableDifferences(policy, parseRuleset(printed([open]))).includes("the chain forward is another"));
    const more = {
      ...policy,
      chains: [...policy.chains, { name: "extra", rules: [] }],
      counters: policy.counters.slice(1),
    };
    assert.deepEqual(tableDifferences(policy, parseRuleset(printed([more]))), [
      "the counter closed is not there",
      "there is a chain extra that was not made for it",
    ]);
    assert.deepEqual(strangers([source], parseRuleset(printed(tables))), ["there is another table, inet warder"]);
  });

  test("are counted", () =>
    assert.deepEqual(countersOf(guardTable, parseRuleset(printed([guardTable]))), [
      { name: "to-host", packets: 3, bytes: 9 },
      { name: "to-vm", packets: 3, bytes: 9 },
    ]));

  test("are no rules when nft printed something else", () => assert.throws(() => parseRuleset("[]"), RangeError));
});
