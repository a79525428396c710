import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { VmConfigAnswer } from "../firecracker/answers.ts";
import type * as models from "../firecracker/models.ts";
import { isWarderError } from "../vm/error.ts";
import type { VmRecord } from "../vm/record.ts";
import { parseVmSpec } from "../vm/spec.ts";
import { applyRateLimit, ensureRateLimits, parseRateLimit, withRateLimit } from "./rate-limits.ts";

const signal = new AbortController().signal;
const limit = { bandwidth: { bytesPerSecond: 1_000_000, burstBytes: 200_000 } };
const bucket = { size: 200_000, refill_time: 200 };
const code = (wanted: string) => (error: unknown) => isWarderError(error) && error.code === wanted;

const record = (
  drives: object[] = [
    { path: "/a", id: "a" },
    { path: "/b", id: "b" },
  ],
) =>
  ({
    id: "vm-1",
    spec: {
      ...parseVmSpec({ kernel: "probe", drives }),
      networks: [{ mode: "isolated" }, { mode: "isolated" }],
    },
    network: { interfaces: [{ name: "eth0" }, { name: "eth1" }] },
  }) as unknown as VmRecord;

/** What Firecracker keeps of limiters; `deaf` takes requests and forgets them. */
class FakeLimiters {
  readonly asked: string[] = [];
  readonly #limiters = new Map<string, models.RateLimiter>();
  readonly #isDeaf: boolean;
  constructor(isDeaf = false) {
    this.#isDeaf = isDeaf;
  }
  async patchDrive({ drive_id, rate_limiter }: models.DrivePatch): Promise<void> {
    this.#take(drive_id, rate_limiter);
  }
  async patchNetworkInterface({ iface_id, rx_rate_limiter: rx, tx_rate_limiter: tx }: models.NetworkInterfacePatch) {
    if (rx !== undefined) this.#take(`${iface_id} rx`, rx);
    if (tx !== undefined) this.#take(`${iface_id} tx`, tx);
  }
  async vmConfig(): Promise<VmConfigAnswer> {
    this.asked.push("config");
    return {
      drives: ["a", "b"].map((drive_id) => ({ drive_id, rate_limiter: this.#limiters.get(drive_id) ?? null })),
      "network-interfaces": ["eth0", "eth1"].map((iface_id) => ({
        iface_id,
        rx_rate_limiter: this.#limiters.get(`${iface_id} rx`),
        tx_rate_limiter: this.#limiters.get(`${iface_id} tx`),
      })),
    } as unknown as VmConfigAnswer;
  }
  #take(device: string, limiter: models.RateLimiter | undefined): void {
    this.asked.push(device);
    if (!this.#isDeaf && limiter !== undefined) this.#limiters.set(device, limiter);
  }
}

describe("a limit in the record", () => {
  test("is set on its device alone, and taken away again", () => {
    const limited = withRateLimit(record(), { drive: "b" }, limit);
    assert.deepEqual(
      limited.spec.drives.map(({ rateLimit }) => rateLimit),
      [undefined, limit],
    );
    const free = withRateLimit(limited, { drive: "b" }, undefined);
    assert.deepEqual(free.spec.drives, record().spec.drives);
  });
  test("is set on one direction of an interface", () => {
    const { networks } = withRateLimit(record(), { network: "eth1", direction: "tx" }, limit).spec;
    assert.deepEqual(networks, [{ mode: "isolated" }, { mode: "isolated", txRateLimit: limit }]);
  });
  test("is refused for what the VM has not got", () => {
    assert.throws(() => withRateLimit(record(), { drive: "c" }, limit), code("invalid-argument"));
    assert.throws(() => withRateLimit(record(), { network: "eth2", direction: "rx" }, limit), code("invalid-argument"));
  });
  test("is read from what a caller gives, and null is none", () => {
    assert.deepEqual(parseRateLimit("x", { bandwidth: { bytesPerSecond: 1_000_000 } }), limit);
    assert.equal(parseRateLimit("x", null), undefined);
    assert.throws(() => parseRateLimit("x", { bandwidth: { bytesPerSecond: 0 } }), code("invalid-argument"));
    assert.throws(() => parseRateLimit("x", {}), code("invalid-argument"));
  });
});

describe("a limit in Firecracker", () => {
  test("is set and read back", async () => {
    const client = new FakeLimiters();
    const limited = withRateLimit(record(), { drive: "b" }, limit);
    await applyRateLimit(client, limited, { drive: "b" }, signal);
    assert.deepEqual(client.asked, ["b", "config"]);
    const found = (await client.vmConfig()).drives[1]?.rate_limiter;
    assert.deepEqual(found, { bandwidth: bucket, ops: { size: 0, refill_time: 0 } });
  });
  test("that it does not keep is told of", async () => {
    const limited = withRateLimit(record(), { network: "eth0", direction: "rx" }, limit);
    const device = { network: "eth0", direction: "rx" } as const;
    await assert.rejects(applyRateLimit(new FakeLimiters(true), limited, device, signal), code("rate-limit-lost"));
    await assert.rejects(ensureRateLimits(new FakeLimiters(true), limited, signal), code("rate-limit-lost"));
  });
  test("is set again where it was lost, and only there", async () => {
    const client = new FakeLimiters();
    const both = withRateLimit(
      withRateLimit(record(), { drive: "a" }, limit),
      { network: "eth1", direction: "tx" },
      limit,
    );
    await applyRateLimit(client, both, { drive: "a" }, signal);
    client.asked.length = 0;
    await ensureRateLimits(client, both, signal);
    assert.deepEqual(client.asked, ["config", "eth1 tx", "config"]);
    client.asked.length = 0;
    await ensureRateLimits(client, both, signal);
    assert.deepEqual(client.asked, ["config"]);
  });
  test("is not asked about where nothing is limited", async () => {
    const client = new FakeLimiters();
    await ensureRateLimits(client, record(), signal);
    assert.deepEqual(client.asked, []);
  });
});
