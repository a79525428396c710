/** The metadata store. */
import { Refusal } from "./refusal.ts";

type Json = { readonly [key: string]: unknown };

/** Holds one JSON document; a patch needs a document to change. */
export class Mmds {
  readonly #limitBytes: number;
  #document: unknown;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  put(document: unknown): void {
    this.#store(document);
  }

  patch(change: unknown): void {
    if (this.#document === undefined) {
      throw new Refusal("mmds", "The MMDS data store is not initialized.", "NotInitialized");
    }
    this.#store(merge(this.#document, change));
  }

  /** The document with its keys sorted, as the real store keeps them. */
  get text(): string {
    return JSON.stringify(sortKeys(this.#document ?? {}));
  }

  #store(document: unknown): void {
    if (Buffer.byteLength(JSON.stringify(document)) > this.#limitBytes) {
      throw new Refusal("mmdsLimit", "The MMDS patch request doesn't fit.", "DataStoreLimitExceeded", 413);
    }
    this.#document = document;
  }
}

/** RFC 7396: null removes, objects merge, all else replaces. */
function merge(target: unknown, change: unknown): unknown {
  if (!isObject(change)) return change;
  const merged: Record<string, unknown> = isObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(change)) {
    if (value === null) delete merged[key];
    else merged[key] = merge(merged[key], value);
  }
  return merged;
}

function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (!isObject(value)) return value;
  const keys = Object.keys(value).sort();
  return Object.fromEntries(keys.map((key) => [key, sortKeys(value[key])]));
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
