import type { ServiceImpl } from "@connectrpc/connect";
import type { AccessService } from "../../../gen/warder/v1/access_service_pb.js";
import type { TokenStore } from "../../access/token-store.ts";
import { type FieldProblem, WarderError } from "../../vm/error.ts";
import { roleWords, toWireToken } from "../../wire/access.ts";

/** `warder.v1.AccessService` over the tokens. Documented in its `.proto`. */
export function accessService(
  tokens: Pick<TokenStore, "create" | "list" | "revoke">,
): ServiceImpl<typeof AccessService> {
  return {
    createToken({ name, tenant, allTenants, role, lifetimeSeconds }) {
      refuseUnclear(tenant, allTenants);
      const { token, secret } = tokens.create({
        name,
        ...(allTenants ? {} : { tenant }),
        role: roleWords.fromWire(role) ?? "",
        ...(lifetimeSeconds === 0n ? {} : { lifetimeMs: Number(lifetimeSeconds) * 1000 }),
      });
      return { token: toWireToken(token), secret };
    },

    listTokens() {
      return { tokens: tokens.list().map(toWireToken) };
    },

    revokeToken({ id }) {
      tokens.revoke(id);
      return {};
    },
  };
}

/** A tenant that was forgotten must not come to mean all of them. */
function refuseUnclear(tenant: string, allTenants: boolean): void {
  if ((tenant === "") === allTenants) return;
  const fields: FieldProblem[] = [
    { field: "tenant", problem: allTenants ? "must be empty where all_tenants is set" : "is needed, or all_tenants" },
  ];
  throw new WarderError("invalid-argument", {
    doing: "reading the request for a token",
    why: "one field is wrong",
    fields,
  });
}
