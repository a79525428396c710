import { roles } from "../../access/caller.ts";
import type { Token, TokenStore } from "../../access/token-store.ts";
import { type CommonRequest, defineCommand } from "../command.ts";
import { oneOf, secondsWithin, text } from "../flag-parsers.ts";
import { toggle, value } from "../flags.ts";
import { harmless, printJson, printLine, printNote, printTable, type Terminal } from "../terminal.ts";

const verbs = ["create", "ls", "revoke"] as const;
type Verb = (typeof verbs)[number];

const TEN_YEARS_SECONDS = 10 * 365 * 24 * 3600;

/** `warder token`, parsed. */
export interface TokenCommandRequest extends CommonRequest {
  readonly verb: Verb;
  /** The new token's name, or the id of one that is to be revoked. Empty for `ls`. */
  readonly name: string;
  /** Absent: of all tenants. */
  readonly tenant?: string;
  readonly role: string;
  readonly lifetimeMs?: number;
}

export const tokenCommand = defineCommand({
  operands: { name: "create|ls|revoke [NAME]", count: "each", help: "what to do; the new token's name, or an id" },
  flags: {
    tenant: value("--tenant <name>", text, "whose VMs its bearer sees"),
    allTenants: toggle("--all-tenants", "its bearer sees everybody's VMs"),
    role: value("--role <role>", oneOf(...roles), "what its bearer may do: read, operate or admin (read)"),
    lifetime: value("--lifetime <seconds>", secondsWithin(1, TEN_YEARS_SECONDS), "when it expires (never)"),
  },
  details:
    "A token is shown once, when it is made; what is kept is a hash. A daemon that runs takes new tokens at once, and\n" +
    "ends what is under way with a revoked one within seconds. Callers send `Authorization: Bearer` and the token.",
  examples: [
    ["warder token create ci --tenant acme --role operate", "Let a pipeline run VMs of the tenant acme"],
    ["warder token ls", "Who has tokens, and when they were used last"],
    ["warder token revoke 0123456789abcdef", "Take one back"],
  ],
  parse: ({ flags, operands: [verb = "", name = ""], common, refuse }): TokenCommandRequest => {
    const known = verbs.find((each) => each === verb);
    if (known === undefined && verb !== "") refuse(verb, `is not known: it must be ${verbs.join(", ")}`);
    if (known === "ls" && name !== "") refuse(name, "is one argument too many");
    if (known !== undefined && known !== "ls" && name === "") refuse("NAME", "is needed");
    if (known === "create" && (flags.tenant === undefined) === (flags.allTenants !== true))
      refuse(
        "--tenant",
        flags.tenant === undefined ? "is needed, or --all-tenants" : "has no meaning with --all-tenants",
      );
    return {
      ...common,
      verb: known ?? "ls",
      name,
      ...(flags.tenant === undefined ? {} : { tenant: flags.tenant }),
      role: flags.role ?? "read",
      ...(flags.lifetime === undefined ? {} : { lifetimeMs: flags.lifetime }),
    };
  },
  execute: token,
});

/** Makes, lists or revokes tokens. */
export async function token(request: TokenCommandRequest, terminal: Terminal): Promise<number> {
  const { openTokens } = await import("../../rpc/life/open-tokens.ts");
  using tokens = openTokens(request.overrides);
  switch (request.verb) {
    case "create":
      create(request, terminal, tokens);
      break;
    case "ls":
      list(request, terminal, tokens.list());
      break;
    case "revoke":
      tokens.revoke(request.name);
      if (request.json) printJson(terminal, { id: request.name, revoked: true });
      else printLine(terminal, harmless(request.name));
  }
  return 0;
}

/** The token alone on standard output, so that a script can take it. */
function create(request: TokenCommandRequest, terminal: Terminal, tokens: TokenStore): void {
  const made = tokens.create(request);
  if (request.json) printJson(terminal, { ...toDocument(made.token), secret: made.secret });
  else {
    printLine(terminal, made.secret);
    printNote(terminal, `warder: this is shown once; take it back with \`warder token revoke ${made.token.id}\``);
  }
}

function list({ json }: TokenCommandRequest, terminal: Terminal, tokens: readonly Token[]): void {
  if (json) printJson(terminal, tokens.map(toDocument));
  else {
    const rows = tokens.map(({ id, name, tenant, role, expiresAt, lastUsedAt }) => {
      return [id, harmless(name), tenant ?? "(all)", role, day(expiresAt, "never"), day(lastUsedAt, "never")];
    });
    printTable(terminal, ["ID", "NAME", "TENANT", "ROLE", "EXPIRES", "LAST USED"], rows);
  }
}

function toDocument({ createdAt, expiresAt, lastUsedAt, tenant, ...rest }: Token): Record<string, unknown> {
  const time = (at: number | undefined) => (at === undefined ? null : new Date(at).toISOString());
  return {
    ...rest,
    tenant: tenant ?? null,
    createdAt: time(createdAt),
    expiresAt: time(expiresAt),
    lastUsedAt: time(lastUsedAt),
  };
}

function day(at: number | undefined, otherwise: string): string {
  return at === undefined ? otherwise : new Date(at).toISOString().slice(0, 16).replace("T", " ");
}
