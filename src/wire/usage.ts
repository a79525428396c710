import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Usage, UsageSchema } from "../../gen/warder/v1/vm_service_pb.js";

/** What a VM uses: whole numbers, each absent where it is not counted. */
export type UsageView = { readonly [Member in Exclude<keyof Usage, "$typeName" | "$unknown">]?: number };

/** Usage for the wire. */
export function toWireUsage(usage: UsageView): MessageInitShape<typeof UsageSchema> {
  return mapMembers(usage, (value) => BigInt(Math.round(value)));
}

/** Usage of the wire. */
export function fromWireUsage(usage: Usage | undefined): UsageView {
  const { $typeName: _name, $unknown: _unknown, ...members } = usage ?? ({} as Usage);
  return mapMembers(members as Record<string, bigint | undefined>, Number);
}

function mapMembers<From, To>(members: Readonly<Record<string, From | undefined>>, convert: (value: From) => To) {
  const known = Object.entries(members).filter((entry): entry is [string, From] => entry[1] !== undefined);
  return Object.fromEntries(known.map(([name, value]) => [name, convert(value)]));
}
