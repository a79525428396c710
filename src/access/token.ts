import { createHash, randomBytes, timingSafeEqual } from "node:crypto";

/** The two parts of a token: a name to find it by, and a secret that nobody can guess. */
export interface TokenParts {
  /** 16 hexadecimal digits. */
  readonly id: string;
  /** 64 hexadecimal digits. */
  readonly secret: string;
}

/** A word that secret scanners can look for. */
const PREFIX = "warder";

const grammar = new RegExp(`^${PREFIX}_([0-9a-f]{16})_([0-9a-f]{64})$`);

/** A token that nobody has. */
export function makeToken(): TokenParts {
  return { id: randomBytes(8).toString("hex"), secret: randomBytes(32).toString("hex") };
}

/** The token as its bearer has it. */
export function formatToken({ id, secret }: TokenParts): string {
  return `${PREFIX}_${id}_${secret}`;
}

/** `undefined`: it can not be one. */
export function parseToken(text: string): TokenParts | undefined {
  const [, id, secret] = grammar.exec(text) ?? [];
  return id === undefined || secret === undefined ? undefined : { id, secret };
}

/**
 * What is kept of a secret. One round of SHA-256 is enough for what has 256 bits of chance in it: a slow hash is for
 * passwords, which can be guessed.
 */
export function hashSecret(secret: string): Buffer {
  return createHash("sha256").update(secret).digest();
}

/** Whether a secret is the one that was kept, in the same time for every wrong one. */
export function isSecret(secret: string, hash: Uint8Array): boolean {
  const own = hashSecret(secret);
  return own.length === hash.length && timingSafeEqual(own, hash);
}
