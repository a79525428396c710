import type { Client } from "@connectrpc/connect";
import type { AccessService } from "../../gen/warder/v1/access_service_pb.js";
import { fromWireToken, roleWords, type TokenView } from "../wire/access.ts";
import { asking, type CallOptions } from "./call.ts";

/** What a token is to be. */
export interface NewToken {
  readonly name: string;
  /** Absent: of all tenants. */
  readonly tenant?: string;
  readonly role: TokenView["role"];
  /** Absent: it does not expire. */
  readonly lifetimeMs?: number;
}

/** Who may do what at a daemon. */
export class RemoteAccess {
  readonly #calls: Client<typeof AccessService>;

  /** @internal Made by `WarderClient`. */
  constructor(calls: Client<typeof AccessService>) {
    this.#calls = calls;
  }

  /** Makes a token. Its secret is told here, and nowhere else. */
  async createToken(
    { name, tenant, role, lifetimeMs }: NewToken,
    options: CallOptions = {},
  ): Promise<{ readonly token: TokenView; readonly secret: string }> {
    const request = {
      name,
      tenant: tenant ?? "",
      allTenants: tenant === undefined,
      role: roleWords.toWire(role),
      lifetimeSeconds: BigInt(Math.ceil((lifetimeMs ?? 0) / 1000)),
    };
    const { token, secret } = await asking("making a token", options, (given) =>
      this.#calls.createToken(request, given),
    );
    if (token === undefined) throw new TypeError("the daemon made a token without telling which");
    return { token: fromWireToken(token), secret };
  }

  /** All tokens, oldest first, without their secrets. */
  async listTokens(options: CallOptions = {}): Promise<TokenView[]> {
    const { tokens } = await asking("listing tokens", options, (given) => this.#calls.listTokens({}, given));
    return tokens.map(fromWireToken);
  }

  /** Makes a token worthless. */
  async revokeToken(id: string, options: CallOptions = {}): Promise<void> {
    await asking(`revoking the token ${id}`, options, (given) => this.#calls.revokeToken({ id }, given));
  }
}
