import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { defaultVsockLimits, vsockPortProblem, vsockSchema } from "./vsock.ts";
import { formatVsockTarget, parseVsockTarget } from "./vsock-target.ts";

const problems = (input: unknown) =>
  vsockSchema.safeParse(input).error?.issues.map(({ path, message }) => `${path.join(".")}: ${message}`) ?? [];

describe("a vsock", () => {
  test("has no port open and every limit set where nothing is said", () =>
    assert.deepEqual(vsockSchema.parse({}), { ports: [], guestPorts: [], limits: defaultVsockLimits }));

  test("keeps what is said, and completes bursts with 200 ms' worth", () =>
    assert.deepEqual(
      vsockSchema.parse({
        ports: [{ port: 80, to: "tcp:127.0.0.1:8080", limits: { toHost: { bytesPerSecond: 1000 } } }],
        limits: { concurrent: 3, connectionRate: { perSecond: 5 } },
      }),
      {
        ports: [
          {
            port: 80,
            to: { tcp: { host: "127.0.0.1", port: 8080 } },
            limits: { toHost: { bytesPerSecond: 1000, burstBytes: 200 } },
          },
        ],
        guestPorts: [],
        limits: { ...defaultVsockLimits, concurrent: 3, connectionRate: { perSecond: 5, burst: 1 } },
      },
    ));

  test("names all that is wrong at once", () => {
    const found = problems({
      ports: [
        { port: 52, to: "unix:relative" },
        { port: 52, to: "tcp:10.0.0.1:80" },
        { port: -1, to: "unix:/run/s" },
      ],
      limits: { concurrent: 2000 },
      cid: 3,
    });
    assert.equal(found.length, 5, found.join("\n"));
    assert.ok(found.includes("ports.0.to: of a Unix socket must be an absolute path"));
    assert.ok(found.includes("ports.1.to: must be a loopback address: 127.0.0.1 or [::1]"));
    assert.ok(found.includes("ports.2.port: must be a whole number from 0 to 4294967294"));
  });

  test("has each port once", () => {
    const to = "unix:/run/s";
    assert.deepEqual(
      problems({
        ports: [
          { port: 1, to },
          { port: 2, to },
          { port: 1, to },
        ],
      }),
      ["ports.2.port: 1 is there twice"],
    );
  });
});

test("a vsock port is a 32-bit number that does not stand for any port", () => {
  for (const port of [0, 1, 52, 0xffff_fffe]) assert.equal(vsockPortProblem(port), undefined);
  for (const port of [-1, 1.5, 0xffff_ffff, Number.NaN]) assert.notEqual(vsockPortProblem(port), undefined);
});

describe("a target", () => {
  test("is read as it is written", () => {
    const path = fc.stringMatching(/^\/[a-z0-9/._-]{1,40}$/).map((unix) => `unix:${unix}`);
    const tcp = fc
      .tuple(fc.constantFrom("127.0.0.1", "127.1.2.3", "[::1]"), fc.integer({ min: 1, max: 65_535 }))
      .map(([host, port]) => `tcp:${host}:${port}`);
    fc.assert(
      fc.property(fc.oneof(path, tcp), (text) => {
        const parsed = parseVsockTarget(text);
        assert.ok(typeof parsed !== "string", String(parsed));
        assert.equal(formatVsockTarget(parsed), text);
      }),
    );
  });

  test("is refused in any other form, with what is wrong", () => {
    const bad = [
      "",
      "8080",
      "http://x",
      "unix:",
      "unix:x",
      `unix:/${"x".repeat(107)}`,
      "tcp:",
      "tcp:127.0.0.1",
      "tcp:127.0.0.1:0",
      "tcp:127.0.0.1:65536",
      "tcp:localhost:80",
      "tcp:127.0.0.1.example.org:80",
      "tcp:0.0.0.0:80",
      "tcp:[::2]:80",
    ];
    for (const text of bad) assert.equal(typeof parseVsockTarget(text), "string", text);
    fc.assert(fc.property(fc.string(), (text) => void parseVsockTarget(text)));
  });
});
