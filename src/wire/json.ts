import { fromJson, type JsonValue, toJson } from "@bufbuild/protobuf";
import { type Value, ValueSchema } from "@bufbuild/protobuf/wkt";

/** JSON for the wire. What is no JSON, such as a function, is refused by whoever checks it there. */
export function toWireJson(json: unknown): Value {
  return fromJson(ValueSchema, JSON.parse(JSON.stringify(json) ?? "null") as JsonValue);
}

/** JSON of the wire; `undefined` where none was sent. */
export function fromWireJson(value: Value | undefined): unknown {
  return value === undefined || value.kind.case === undefined ? undefined : toJson(ValueSchema, value);
}
