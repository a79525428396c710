import { type DescField, type DescMessage, fromJson, ScalarType } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";

/** What a message is made of, as `create` of its schema takes it. */
export type MessageInit = Readonly<Record<string, unknown>>;

/** Below it messages are left out: none of ours means to be deeper. */
const DEPTH = 5;

/** Ids that VMs of a fuzzed host may have. */
export const IDS = ["a", "b", "c"] as const;

/** Texts that have hurt somebody. */
const nasty = [
  ...["", "..", "../../etc/passwd", "/", "/dev/zero", "a\0b", "\u202e", "𝒳".repeat(70), "x".repeat(5000), "%s%n"],
  ...["vm-0", "__proto__", "constructor", "-1", "1e999", "{}", "default", "00:00:00:00:00:00", "10.0.0.0/8", "probe"],
];

const anyText = fc.oneof(fc.constantFrom(...nasty), fc.string({ unit: "binary", maxLength: 40 }));
const anyId = fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...IDS) }, { weight: 1, arbitrary: anyText });
const anyJson = fc.jsonValue({ maxDepth: 3 });
const anyObject = fc.dictionary(fc.string({ maxLength: 8 }), anyJson, { maxKeys: 3 });

/** Any message of a type, made from its descriptor: right in its form, and in nothing else. */
export function messageOf(desc: DescMessage, depth = DEPTH): fc.Arbitrary<MessageInit> {
  const members = desc.members.map((member): fc.Arbitrary<MessageInit> => {
    if (member.kind === "oneof") {
      const cases = member.fields.map((field) =>
        fieldOf(field, depth).map((value) => ({ [member.localName]: { case: field.localName, value } })),
      );
      return rarely(fc.oneof(...cases));
    }
    if (member.fieldKind === "message" && depth === 0) return fc.constant({});
    return rarely(fieldOf(member, depth).map((value) => ({ [member.localName]: value })));
  });
  return fc.tuple(...members).map((parts) => Object.assign({}, ...parts) as MessageInit);
}

/** Half of all fields are left out: the others get their turn so. */
function rarely(arbitrary: fc.Arbitrary<MessageInit>): fc.Arbitrary<MessageInit> {
  return fc.oneof(fc.constant({}), arbitrary);
}

function fieldOf(field: DescField, depth: number): fc.Arbitrary<unknown> {
  switch (field.fieldKind) {
    case "scalar":
      return scalarOf(field.scalar, field.name);
    case "enum":
      return enumOf(field.enum.values.map(({ number }) => number));
    case "message":
      return childOf(field.message, depth);
    case "map":
      return fc.dictionary(anyText, field.mapKind === "scalar" ? scalarOf(field.scalar, "") : anyText, { maxKeys: 3 });
    case "list":
      return fc.array(itemOf(field, depth), { maxLength: 3 });
  }
}

function itemOf(field: DescField & { fieldKind: "list" }, depth: number): fc.Arbitrary<unknown> {
  if (field.listKind === "message") return childOf(field.message, depth);
  if (field.listKind === "enum") return enumOf(field.enum.values.map(({ number }) => number));
  return scalarOf(field.scalar, field.name);
}

/** Types that stand for JSON are made from it; of others it is the fields. */
function childOf(desc: DescMessage, depth: number): fc.Arbitrary<unknown> {
  if (desc.typeName === "google.protobuf.Struct") return anyObject;
  if (desc.typeName === "google.protobuf.Value") return anyJson.map((value) => fromJson(ValueSchema, value as never));
  return depth === 0 ? fc.constant({}) : messageOf(desc, depth - 1);
}

/** Values of tomorrow too: enums are open. */
function enumOf(known: readonly number[]): fc.Arbitrary<number> {
  return fc.oneof(fc.constantFrom(...known), fc.integer({ min: -3, max: 2 ** 31 - 1 }));
}

function scalarOf(type: ScalarType, name: string): fc.Arbitrary<unknown> {
  switch (type) {
    case ScalarType.STRING:
      return name === "id" || name.endsWith("_id") ? anyId : anyText;
    case ScalarType.BYTES:
      return fc.uint8Array({ maxLength: 64 });
    case ScalarType.BOOL:
      return fc.boolean();
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return fc.double();
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return fc.oneof(fc.bigInt(-2n, 5n), fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n));
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return fc.oneof(fc.bigInt(0n, 5n), fc.bigInt(0n, 2n ** 64n - 1n));
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return fc.oneof(fc.nat(5), fc.integer({ min: 0, max: 2 ** 32 - 1 }));
    default:
      return fc.oneof(fc.integer({ min: -2, max: 5 }), fc.integer());
  }
}
