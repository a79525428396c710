import type { Client } from "@connectrpc/connect";
import type { VmService } from "../../gen/warder/v1/vm_service_pb.js";
import type { JsonObject } from "../vm/metadata.ts";
import { fromWireJson, toWireJson } from "../wire/json.ts";
import { asking, type CallOptions } from "./call.ts";

/** What the guest of one VM is served of itself. */
export class RemoteMetadata {
  readonly #calls: Client<typeof VmService>;
  readonly #id: string;

  /** @internal Made by `RemoteVm`. */
  constructor(calls: Client<typeof VmService>, id: string) {
    this.#calls = calls;
    this.#id = id;
  }

  /** All of it. */
  async get(options: CallOptions = {}): Promise<JsonObject> {
    const doing = `looking at the metadata of ${this.#id}`;
    const { data } = await asking(doing, options, (given) => this.#calls.getMetadata({ id: this.#id }, given));
    return fromWireJson(data) as JsonObject;
  }

  /** Takes the place of all of it. */
  set(data: unknown, options: CallOptions = {}): Promise<void> {
    return this.#change(data, false, options);
  }

  /** Merges into it (RFC 7396): `null` removes a member. */
  patch(changes: unknown, options: CallOptions = {}): Promise<void> {
    return this.#change(changes, true, options);
  }

  async #change(data: unknown, merge: boolean, options: CallOptions): Promise<void> {
    const request = { id: this.#id, data: toWireJson(data), merge };
    const doing = `changing the metadata of ${this.#id}`;
    await asking(doing, options, (given) => this.#calls.setMetadata(request, given));
  }
}
