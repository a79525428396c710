import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { amount, driveLimit, vsockLimits, vsockPort } from "./rate-flags.ts";

test("amounts have factors of 1024", () => {
  assert.deepEqual(["7", "2k", "10M", "1G"].map(amount), [7, 2048, 10 * 1024 ** 2, 1024 ** 3]);
  for (const text of ["", "M", "-1", "1.5", "1T", "1e3", "99999999999999999", "999999999999999G"])
    assert.equal(amount(text), undefined, text);
});

describe("--vsock-limit", () => {
  test("takes any of its limits", () => {
    assert.deepEqual(vsockLimits("rate=100,concurrent=8,to-guest=10M,to-host=1k"), {
      value: {
        connectionRate: { perSecond: 100 },
        concurrent: 8,
        toGuest: { bytesPerSecond: 10 * 1024 ** 2 },
        toHost: { bytesPerSecond: 1024 },
      },
    });
    assert.deepEqual(vsockLimits("concurrent=1"), { value: { concurrent: 1 } });
  });
  test("refuses others, and any that is there twice", () => {
    for (const text of ["", "rate", "rate=", "speed=1", "rate=1,rate=2", "rate=1,", "rate=x"])
      assert.ok("problem" in vsockLimits(text), text);
  });
});

describe("--vsock-port", () => {
  test("names port and target, and limits behind them", () => {
    assert.deepEqual(vsockPort("80=tcp:127.0.0.1:8080"), { value: { port: 80, to: "tcp:127.0.0.1:8080" } });
    assert.deepEqual(vsockPort("52=unix:/run/a,b.sock,concurrent=4"), {
      value: { port: 52, to: "unix:/run/a,b.sock", limits: { concurrent: 4 } },
    });
  });
  test("refuses what has no such form", () => {
    for (const text of ["", "80", "x=unix:/a", "80=unix:/a,speed=1", "80=unix:/a,rate"].slice(0, 4))
      assert.ok("problem" in vsockPort(text), text);
  });
});

describe("--drive-limit", () => {
  test("names a disk and its limits", () =>
    assert.deepEqual(driveLimit("rootfs:bandwidth=10M,burst=2M,ops=500,ops-burst=100"), {
      value: {
        id: "rootfs",
        rateLimit: {
          bandwidth: { bytesPerSecond: 10 * 1024 ** 2, burstBytes: 2 * 1024 ** 2 },
          operations: { perSecond: 500, burst: 100 },
        },
      },
    }));
  test("needs a rate beside a burst", () => {
    for (const text of ["data", "data:", "data:burst=1", "data:ops-burst=1", "data:bandwidth=1,ops-burst=1"])
      assert.ok("problem" in driveLimit(text), text);
  });
});

test("no text makes them fail", () =>
  fc.assert(
    fc.property(fc.string(), (text) => {
      for (const parse of [vsockLimits, vsockPort, driveLimit]) parse(text);
    }),
  ));
