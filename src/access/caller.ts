import type { Tenant } from "../vm/belongings.ts";

/** What a caller may do; each role may do what those before it may. `read` looks, `operate` has VMs, `admin` the host. */
export const roles = ["read", "operate", "admin"] as const;
export type Role = (typeof roles)[number];

/** Who calls, once that is known. */
export interface Caller {
  /** For logs and people: a token's name, a certificate's subject, a local user. */
  readonly name: string;
  /** What it is known by, and counted by: `token:…`, `certificate:…`, `user:…`, `socket` or `anonymous`. */
  readonly key: string;
  /** Whose VMs it sees; absent: everybody's. */
  readonly tenant?: Tenant;
  readonly role: Role;
  /** The token that it showed. */
  readonly tokenId?: string;
}

/** Parses a {@link Role}. */
export function isRole(text: string): text is Role {
  return (roles as readonly string[]).includes(text);
}

/** Whether a role is enough. */
export function mayDo(role: Role, needed: Role): boolean {
  return roles.indexOf(role) >= roles.indexOf(needed);
}
