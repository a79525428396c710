import { create, type DescMethod, toBinary, toJson } from "@bufbuild/protobuf";
import fc from "fast-check";
import { procedureOf, services } from "../../src/rpc/gate/permissions.ts";
import { metaldConfig } from "../support/rpc/requests.ts";
import { IDS, type MessageInit, messageOf } from "./messages.ts";

/** A request whose messages are right in their form; a call that takes a stream gets several. */
export interface TypedRequest {
  readonly method: DescMethod;
  readonly messages: readonly MessageInit[];
}

/** Bytes at a path, with a content type: whether they are anything is the daemon's to find out. */
export interface RawRequest {
  readonly path: string;
  readonly contentType: string;
  readonly body: Uint8Array;
}

const methods = services.flatMap((service) => service.methods);

/** Requests that do something: without VMs most others would come to nothing. */
const makers: readonly fc.Arbitrary<TypedRequest>[] = methods
  .filter(({ name }) => ["CreateVm", "RunVm"].includes(name))
  .map((method) =>
    fc.constantFrom(...IDS).map((id) => ({
      method,
      messages: [method.input.field.spec === undefined ? { vmId: id, config: metaldConfig } : specOf(id)],
    })),
  );

function specOf(id: string): MessageInit {
  return { spec: { id, kernel: "probe" } };
}

/** Any request of any call. */
export const anyTyped: fc.Arbitrary<TypedRequest> = fc.oneof(
  { weight: 1, arbitrary: fc.oneof(...makers) },
  { weight: 9, arbitrary: fc.oneof(...methods.map(typedOf)) },
);

function typedOf(method: DescMethod): fc.Arbitrary<TypedRequest> {
  const maxLength = method.methodKind === "unary" || method.methodKind === "server_streaming" ? 1 : 3;
  return fc.array(messageOf(method.input), { minLength: 1, maxLength }).map((messages) => ({ method, messages }));
}

const contentTypes = [
  ...["application/json", "application/proto", "application/connect+json", "application/connect+proto"],
  ...["application/grpc", "application/grpc+json", "application/grpc-web+proto", "application/grpc-web-text+proto"],
  ...["application/x-www-form-urlencoded", "text/plain", ""],
];

/** What JSON documents may do to who reads them, and no generator comes upon. */
const deep = [
  "[".repeat(100_000),
  `{"spec":${'{"more":{"a":'.repeat(20_000)}1${"}}".repeat(20_000)}}`,
  `{"data":${"[".repeat(50_000)}${"]".repeat(50_000)}}`,
  `{"data":${'{"a":'.repeat(50_000)}1${"}".repeat(50_000)}}`,
  `{"config":{"cpu":${'{"cpu":'.repeat(30_000)}{}${"}".repeat(30_000)}}}`,
  '{"id":"a","id":"b","vm_id":"a","vmId":"b"}',
  '{"__proto__":{"id":"a"},"constructor":{"prototype":{}}}',
];

/** The same in binary: one field in another in another, of every small number. */
const nested = [1, 2, 4, 5, 6, 20].map((number) => {
  let bytes = Buffer.alloc(0);
  for (let depth = 0; depth < 2000; depth++) bytes = Buffer.concat([field(number, bytes.length), bytes]);
  return bytes;
});

function field(number: number, length: number): Buffer {
  const bytes: number[] = [];
  for (let rest of [number * 8 + 2, length]) {
    for (; rest > 127; rest >>>= 7) bytes.push((rest & 127) | 128);
    bytes.push(rest);
  }
  return Buffer.from(bytes);
}

const anyPath = fc.oneof(
  { weight: 20, arbitrary: fc.constantFrom(...methods.map(procedureOf)) },
  { weight: 1, arbitrary: fc.webPath().map((path) => `/${path.replace(/^\/+/, "")}`) },
);

/** A right document with one of its values exchanged for any other. */
const spoiltJson: fc.Arbitrary<Buffer> = fc
  .tuple(anyTyped, fc.nat(), fc.jsonValue({ maxDepth: 2 }))
  .map(([{ method, messages }, place, value]) =>
    Buffer.from(JSON.stringify(spoil(jsonOf(method, messages), place, value))),
  );

function jsonOf(method: DescMethod, [message = {}]: readonly MessageInit[]): unknown {
  try {
    return toJson(method.input, create(method.input, message));
  } catch {
    // What has no form in JSON, such as a number that is none.
    return {};
  }
}

/** Exchanges one value; which, the place says. */
function spoil(document: unknown, place: number, value: unknown): unknown {
  if (typeof document !== "object" || document === null) return value;
  const names = Object.keys(document);
  const name = names[place % Math.max(1, names.length)];
  if (name === undefined) return value;
  const copy = structuredClone(document) as Record<string, unknown>;
  copy[name] = spoil(copy[name], Math.floor(place / names.length), value);
  return copy;
}

/** A right message with some of its bytes exchanged, or cut off. */
const spoiltBytes: fc.Arbitrary<Buffer> = fc
  .tuple(anyTyped, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }), fc.nat())
  .map(([{ method, messages }, changes, length]) => {
    const bytes = Buffer.from(toBinary(method.input, create(method.input, messages[0])));
    for (const [at, byte] of changes) if (bytes.length > 0) bytes[at % bytes.length] = byte;
    return length % 3 === 0 ? bytes.subarray(0, length % (bytes.length + 1)) : bytes;
  });

/** With the five bytes that gRPC and Connect's streams put before a message, right or wrong. */
const framed = (body: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer> =>
  fc
    .tuple(body, fc.constantFrom(0, 0, 0, 1, 2, 255), fc.constantFrom(0, 0, 0, 1, -1, 2 ** 31))
    .map(([bytes, flags, off]) => {
      const head = Buffer.alloc(5);
      head[0] = flags;
      head.writeUInt32BE((bytes.length + off) >>> 0, 1);
      return Buffer.concat([head, bytes]);
    });

const anyBody: fc.Arbitrary<Uint8Array> = fc.oneof(
  { weight: 8, arbitrary: spoiltJson },
  { weight: 8, arbitrary: spoiltBytes },
  { weight: 8, arbitrary: framed(fc.oneof(spoiltJson, spoiltBytes)) },
  { weight: 4, arbitrary: fc.uint8Array({ maxLength: 300 }) },
  { weight: 2, arbitrary: fc.json().map((text) => Buffer.from(text)) },
  { weight: 1, arbitrary: fc.constantFrom(...deep).map((text) => Buffer.from(text)) },
  { weight: 1, arbitrary: fc.constantFrom(...nested) },
);

/** Any bytes, at any path. */
export const anyRaw: fc.Arbitrary<RawRequest> = fc.record({
  path: anyPath,
  contentType: fc.constantFrom(...contentTypes),
  body: anyBody,
});
