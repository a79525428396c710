import type { Caller, Role } from "../../access/caller.ts";
import { callerOfCertificate } from "../../access/certificate.ts";
import type { Connection } from "../../access/local-peer.ts";
import { defaultTenant } from "../../vm/belongings.ts";
import { WarderError } from "../../vm/error.ts";
import type { Arrival, ShownCertificate } from "./arrival.ts";

/** What callers are known by. */
export interface IdentityDeps {
  /** The bearer of a token. */
  readonly bearerOf: (token: string) => Caller | undefined;
  /** User of the process at the other end of a loopback connection, where that can be said. */
  readonly userOf: (connection: Connection) => number | undefined;
  /** Whether a user of this machine may do everything: root, the daemon's own, the members of its group. */
  readonly isTrustedUser: (uid: number) => boolean;
  /** What anybody at the loopback port may do. */
  readonly anonymousRole: Role | "none";
}

/**
 * Who makes a request. A token counts wherever it is shown, so that a caller can do with less than its door gives it;
 * then a certificate; then the door itself: the Unix socket is open to those only who may do everything, and at the
 * loopback port the kernel knows whose process it is.
 *
 * @throws {@link WarderError} `unauthenticated`.
 */
export function identify(arrival: Arrival, headers: Headers, deps: IdentityDeps): Caller {
  const authorization = headers.get("authorization");
  if (authorization !== null) return bearer(authorization, deps);
  if (arrival.certificate !== undefined) return holder(arrival.certificate);
  switch (arrival.door) {
    case "socket":
      return { name: "local", key: "socket", role: "admin" };
    case "loopback":
      return localUser(arrival, deps);
    case "tls":
      throw unknown("it shows neither a token nor a certificate");
  }
}

function bearer(authorization: string, { bearerOf }: IdentityDeps): Caller {
  const [, token] = /^bearer ([\x21-\x7e]+)$/i.exec(authorization) ?? [];
  if (token === undefined) throw unknown("its Authorization is not `Bearer` and a token");
  const caller = bearerOf(token);
  // Which of these it is is nobody's business who guesses.
  if (caller === undefined) throw unknown("its token is wrong, expired or revoked");
  return caller;
}

function holder({ content, problem }: ShownCertificate): Caller {
  if (problem !== undefined) throw unknown(`its certificate is not believed: ${problem}`);
  const caller = callerOfCertificate(content);
  if (typeof caller === "string") throw unknown(`its certificate names no caller: ${caller}`);
  return caller;
}

function localUser({ connection }: Arrival, { userOf, isTrustedUser, anonymousRole }: IdentityDeps): Caller {
  const uid = connection === undefined ? undefined : userOf(connection);
  if (uid !== undefined && isTrustedUser(uid)) return { name: `uid ${uid}`, key: `user:${uid}`, role: "admin" };
  if (anonymousRole === "none") {
    throw unknown(
      `${uid === undefined ? "its user is not known" : `user ${uid} is not trusted`}, and it shows no token`,
    );
  }
  const name = uid === undefined ? "anonymous" : `uid ${uid}`;
  return { name, key: uid === undefined ? "anonymous" : `user:${uid}`, role: anonymousRole, tenant: defaultTenant };
}

function unknown(why: string): WarderError {
  return new WarderError("unauthenticated", {
    doing: "finding out who calls",
    why,
    cure: "Send `Authorization: Bearer` and a token made with `warder token create`; docs/doors.md has the other ways",
  });
}
