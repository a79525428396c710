import { notFound } from "../store/store.ts";
import { WarderError } from "../vm/error.ts";
import type { VmId } from "../vm/id.ts";
import { type JsonObject, type MetadataSpec, mergePatch, metadataProblem, parseMetadata } from "../vm/metadata.ts";
import type { VmRecord } from "../vm/record.ts";
import { connectApi } from "./api.ts";
import type { Driver } from "./driver.ts";
import type { Machinery } from "./machinery.ts";
import { atRest } from "./set-rate-limit.ts";

/** What a guest is served of itself. Changes hold at once where the VM runs, and for its next runs. */
export class VmMetadata {
  readonly #machinery: Machinery;
  readonly #id: VmId;
  readonly #driver: Pick<Driver, "adjust">;

  /** @internal Made by `Vm`. */
  constructor(machinery: Machinery, id: VmId, driver: Pick<Driver, "adjust">) {
    this.#machinery = machinery;
    this.#id = id;
    this.#driver = driver;
  }

  /**
   * What the guest is served, as it was set last.
   *
   * @throws {@link WarderError} `wrong-state` where the VM has none.
   */
  get(): JsonObject {
    const record = this.#machinery.store.get(this.#id);
    if (record === undefined) throw notFound(this.#id);
    return metadataOf(record).data;
  }

  /**
   * Takes the place of all that the guest is served.
   *
   * @throws {@link WarderError} `invalid-argument` where the data are no JSON object, or too large; `wrong-state`.
   */
  set(data: unknown, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    return this.#change(data, options, (given) => given);
  }

  /**
   * Merges into what the guest is served (RFC 7396): `null` removes a member.
   *
   * @throws As {@link set} does.
   */
  patch(changes: unknown, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    // An object merged with an object is one.
    return this.#change(changes, options, (given, before) => mergePatch(before, given) as JsonObject);
  }

  #change(
    input: unknown,
    options: { readonly signal?: AbortSignal },
    toData: (given: JsonObject, before: JsonObject) => JsonObject,
  ): Promise<void> {
    return this.#driver.adjust("metadata", options, async (record, signal) => {
      const given = parseMetadata(input);
      if (given === undefined) throw refused(record, "must be a JSON object, nested at most 100 levels deep");
      const before = metadataOf(record);
      const data = toData(given, before.data);
      const problem = metadataProblem(data, before.limitBytes);
      if (problem !== undefined) throw refused(record, problem);
      await this.#serve(record, data, signal);
      this.#machinery.store.update(record.id, (current) => withData(current, data));
    });
  }

  /** The whole of it, whatever was changed: what Firecracker has is a guest's neighbour's to say, not to be built on. */
  async #serve(record: VmRecord, data: JsonObject, signal: AbortSignal): Promise<void> {
    if (atRest.includes(record.state)) return;
    if (record.state !== "running" && record.state !== "paused") {
      const doing = `changing the metadata of ${record.id}`;
      throw new WarderError("wrong-state", { doing, why: `it is ${record.state}`, cure: "Try again in a moment" });
    }
    const client = connectApi(this.#machinery.host, record);
    try {
      await client.putMmds(data, { signal });
    } finally {
      client.close();
    }
  }
}

function metadataOf({ id, spec }: VmRecord): MetadataSpec {
  if (spec.metadata !== undefined) return spec.metadata;
  throw new WarderError("wrong-state", {
    doing: `looking at the metadata of ${id}`,
    why: "it is served none",
    cure: "Give it some when it is made: `metadata: {}`, or `warder run --metadata`",
  });
}

function withData(record: VmRecord, data: JsonObject): VmRecord {
  return { ...record, spec: { ...record.spec, metadata: { ...metadataOf(record), data } } };
}

function refused({ id }: VmRecord, problem: string): WarderError {
  return new WarderError("invalid-argument", {
    doing: `changing the metadata of ${id}`,
    why: "they are wrong",
    fields: [{ field: "metadata", problem }],
  });
}
