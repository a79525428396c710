import { DatabaseSync } from "node:sqlite";
import { type Tenant, tenantProblem } from "../vm/belongings.ts";
import { type FieldProblem, messageOf, WarderError } from "../vm/error.ts";
import { type Caller, isRole, type Role, roles } from "./caller.ts";
import { formatToken, hashSecret, isSecret, makeToken, parseToken } from "./token.ts";

/** A token without its secret. */
export interface Token {
  readonly id: string;
  readonly name: string;
  /** Absent: of all tenants. */
  readonly tenant?: Tenant;
  readonly role: Role;
  /** Milliseconds since 1970, as are the others. */
  readonly createdAt: number;
  /** Absent: never. */
  readonly expiresAt?: number;
  /** To the minute; absent: never. */
  readonly lastUsedAt?: number;
}

/** What a token is to be. */
export interface TokenRequest {
  readonly name: string;
  /** Absent: of all tenants. */
  readonly tenant?: string;
  readonly role: string;
  readonly lifetimeMs?: number;
}

const schema = `
  CREATE TABLE IF NOT EXISTS tokens (
    id            TEXT PRIMARY KEY,
    name          TEXT NOT NULL,
    tenant        TEXT,
    role          TEXT NOT NULL,
    hash          BLOB NOT NULL,
    created_at    INTEGER NOT NULL,
    expires_at    INTEGER,
    last_used_at  INTEGER
  ) STRICT;
`;

const BUSY_TIMEOUT_MS = 5_000;
/** Whoever looks at `lastUsedAt` asks for days; a write for each call would be a write for nothing. */
const LAST_USED_STEP_MS = 60_000;
const NAME_MAX_LENGTH = 64;

/** Tokens, kept as hashes in a file for root alone. Several processes may have it open at once. */
export class TokenStore implements Disposable {
  readonly #database: DatabaseSync;
  readonly #now: () => number;

  private constructor(database: DatabaseSync, now: () => number) {
    this.#database = database;
    this.#now = now;
  }

  /**
   * Opens the file, in a directory that nobody else can look into, or makes it.
   *
   * @param now - Milliseconds since 1970.
   * @throws {@link WarderError} `store-failed`.
   */
  static open(path: string, now: () => number): TokenStore {
    return attempt(`opening the tokens in ${path}`, () => {
      const database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
      // A token that was made or revoked must stay so over a power cut, and nothing here is in a hurry.
      database.exec(`PRAGMA synchronous = FULL; ${schema}`);
      return new TokenStore(database, now);
    });
  }

  /**
   * Makes a token.
   *
   * @returns It, and the text that its bearer shows, which is told here and kept nowhere.
   * @throws {@link WarderError} `invalid-argument` with all wrong fields.
   */
  create(request: TokenRequest): { readonly token: Token; readonly secret: string } {
    refuseWrong(request);
    const parts = makeToken();
    const { name, tenant, role, lifetimeMs } = request;
    const createdAt = this.#now();
    const expiresAt = lifetimeMs === undefined ? null : createdAt + lifetimeMs;
    this.#run(
      "INSERT INTO tokens (id, name, tenant, role, hash, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
      [parts.id, name, tenant ?? null, role, hashSecret(parts.secret), createdAt, expiresAt],
    );
    const token = this.list().find(({ id }) => id === parts.id);
    if (token === undefined) throw new TypeError("a token that was made is not there");
    return { token, secret: formatToken(parts) };
  }

  /** All tokens, oldest first, those that have expired too. */
  list(): Token[] {
    return attempt("listing tokens", () => {
      return this.#database.prepare("SELECT * FROM tokens ORDER BY created_at, id").all().map(toToken);
    });
  }

  /**
   * Makes a token worthless for good.
   *
   * @throws {@link WarderError} `token-not-found`.
   */
  revoke(id: string): void {
    if (this.#run("DELETE FROM tokens WHERE id = ?", [id]) > 0) return;
    throw new WarderError("token-not-found", {
      doing: `revoking the token ${id}`,
      why: "no token has this id",
      cure: "See `warder token ls`",
    });
  }

  /** Who shows this text; `undefined` where it is no token, or none that is worth anything. */
  authenticate(text: string): Caller | undefined {
    const parts = parseToken(text);
    if (parts === undefined) return undefined;
    const row = attempt("looking a token up", () => {
      return this.#database.prepare("SELECT * FROM tokens WHERE id = ?").get(parts.id);
    });
    if (row === undefined || !isSecret(parts.secret, row.hash as Uint8Array)) return undefined;
    const token = toToken(row);
    if (!this.#isValid(token)) return undefined;
    this.#noteUse(token);
    const { id, name, tenant, role } = token;
    return { name, key: `token:${id}`, role, tokenId: id, ...(tenant === undefined ? {} : { tenant }) };
  }

  /** Whether a token is still worth what it was. */
  isWorth(id: string): boolean {
    const row = attempt("looking a token up", () => {
      return this.#database.prepare("SELECT * FROM tokens WHERE id = ?").get(id);
    });
    return row !== undefined && this.#isValid(toToken(row));
  }

  [Symbol.dispose](): void {
    if (this.#database.isOpen) this.#database.close();
  }

  #isValid({ expiresAt }: Token): boolean {
    return expiresAt === undefined || this.#now() < expiresAt;
  }

  #noteUse({ id, lastUsedAt }: Token): void {
    const now = this.#now();
    if (lastUsedAt !== undefined && now - lastUsedAt < LAST_USED_STEP_MS) return;
    try {
      this.#run("UPDATE tokens SET last_used_at = ? WHERE id = ?", [now, id]);
    } catch {
      // On a full disk callers are let in all the same: who else would make room?
    }
  }

  #run(sql: string, values: readonly (string | number | null | Uint8Array)[]): number {
    return attempt("writing the tokens", () => Number(this.#database.prepare(sql).run(...values).changes));
  }
}

function refuseWrong({ name, tenant, role, lifetimeMs }: TokenRequest): void {
  const isName = name.length >= 1 && name.length <= NAME_MAX_LENGTH && /^[\x20-\x7e]+$/.test(name);
  const tenantFault = tenant === undefined ? undefined : tenantProblem(tenant);
  const isLifetime = lifetimeMs === undefined || (Number.isSafeInteger(lifetimeMs) && lifetimeMs > 0);
  const fields: FieldProblem[] = [
    ...(isName ? [] : [{ field: "name", problem: `must be 1 to ${NAME_MAX_LENGTH} printable ASCII characters` }]),
    ...(tenantFault === undefined ? [] : [{ field: "tenant", problem: tenantFault }]),
    ...(isRole(role) ? [] : [{ field: "role", problem: `must be one of ${roles.join(", ")}` }]),
    ...(isLifetime ? [] : [{ field: "lifetime", problem: "must be longer than nothing" }]),
  ];
  if (fields.length === 0) return;
  throw new WarderError("invalid-argument", {
    doing: "making a token",
    why: fields.length === 1 ? "one field is wrong" : `${fields.length} fields are wrong`,
    fields,
  });
}

function toToken(row: Record<string, unknown>): Token {
  return {
    id: String(row.id),
    name: String(row.name),
    ...(row.tenant === null ? {} : { tenant: row.tenant as Tenant }),
    role: row.role as Role,
    createdAt: Number(row.created_at),
    ...(row.expires_at === null ? {} : { expiresAt: Number(row.expires_at) }),
    ...(row.last_used_at === null ? {} : { lastUsedAt: Number(row.last_used_at) }),
  };
}

function attempt<T>(doing: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw new WarderError("store-failed", {
      doing,
      why: messageOf(cause),
      cure: "Check the state directory: its owner, and whether it has room left",
      cause,
    });
  }
}
