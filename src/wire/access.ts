import type { MessageInitShape } from "@bufbuild/protobuf";
import type { TokenSchema, Token as WireToken } from "../../gen/warder/v1/access_service_pb.js";
import { RoleSchema } from "../../gen/warder/v1/host_service_pb.js";
import { enumCodec } from "./enums.ts";
import { fromTimestamp, present, toTimestamp } from "./values.ts";

/** What callers may do. */
export const roleWords = enumCodec(RoleSchema, ["read", "operate", "admin"] as const);

/** A token without its secret, as both sides of the wire have it. */
export interface TokenView {
  readonly id: string;
  readonly name: string;
  /** Absent: of all tenants. */
  readonly tenant?: string;
  readonly role: "read" | "operate" | "admin";
  /** Milliseconds since 1970, as are the others. */
  readonly createdAt: number;
  readonly expiresAt?: number;
  readonly lastUsedAt?: number;
}

/** A token for the wire. */
export function toWireToken(token: TokenView): MessageInitShape<typeof TokenSchema> {
  const { id, name, tenant, role, createdAt, expiresAt, lastUsedAt } = token;
  return present({
    ...{ id, name, tenant },
    role: roleWords.toWire(role),
    createdAt: toTimestamp(createdAt),
    expiresAt: expiresAt === undefined ? undefined : toTimestamp(expiresAt),
    lastUsedAt: lastUsedAt === undefined ? undefined : toTimestamp(lastUsedAt),
  });
}

/** A token of the wire. */
export function fromWireToken(token: WireToken): TokenView {
  const { id, name, tenant, role, createdAt, expiresAt, lastUsedAt } = token;
  return {
    ...{ id, name },
    ...(tenant === "" ? {} : { tenant }),
    role: roleWords.fromWire(role) ?? "read",
    createdAt: fromTimestamp(createdAt),
    ...(expiresAt === undefined ? {} : { expiresAt: fromTimestamp(expiresAt) }),
    ...(lastUsedAt === undefined ? {} : { lastUsedAt: fromTimestamp(lastUsedAt) }),
  };
}
