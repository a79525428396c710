import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { WarderError } from "../../vm/error.ts";
import { presentable } from "./presentable.ts";

describe("what of a detail may be logged", () => {
  test("numbers, texts, booleans and nulls pass as they are", () => {
    const details = { uid: 1000, path: "/srv/jailer/vm-1", jailed: true, exit: null };
    assert.deepEqual(presentable(details), details);
  });

  test("members that are named like secrets are not shown, at any depth", () => {
    const headers = { authorization: "Bearer abc", "X-Api-Key": "k", cookie: ["a=b"], accept: "*/*" };
    assert.deepEqual(presentable({ request: { headers }, token_count: 3 }), {
      request: {
        headers: { authorization: "[redacted]", "X-Api-Key": "[redacted]", cookie: "[redacted]", accept: "*/*" },
      },
      token_count: 3,
    });
  });

  test("secrets that stand in a text are taken out of it", () => {
    const text = "401 for Bearer s3cr.et-1 at https://root:hunter2@host/x";
    assert.deepEqual(presentable({ text }), { text: "401 for Bearer [redacted] at https://[redacted]@host/x" });
    const key = "-----BEGIN EC PRIVATE KEY-----\nMHc\n-----END EC PRIVATE KEY-----";
    assert.deepEqual(presentable({ text: `key ${key}.` }), { text: "key [redacted]." });
  });

  test("no secret in the form of a header survives, wherever it stands", () => {
    const secret = fc.stringMatching(/^[A-Za-z0-9._~+/-]{12,40}$/);
    const around = fc.string({ maxLength: 50 });
    fc.assert(
      fc.property(
        secret,
        around,
        around,
        fc.constantFrom("Bearer", "bearer", "BASIC"),
        (token, left, right, scheme) => {
          const shown = JSON.stringify(presentable({ list: [`${left} ${scheme} ${token} ${right}`] }));
          assert.ok(
            !shown.includes(JSON.stringify(token).slice(1, -1)) || left.includes(token) || right.includes(token),
          );
        },
      ),
    );
  });

  test("an error is its message, and its code where it has one", () => {
    const error = new WarderError("disk-full", { doing: "staging", why: "no room" });
    assert.deepEqual(presentable({ error, plain: new Error("Basic dXNlcg==") }), {
      error: { code: "disk-full", message: "staging: no room" },
      plain: { message: "Basic [redacted]" },
    });
  });

  test("what JSON can not say is said in its place", () => {
    const details = {
      big: 2n ** 70n,
      when: new Date(0),
      never: new Date(Number.NaN),
      call: () => 1,
      sign: Symbol("x"),
    };
    assert.deepEqual(presentable(details), {
      big: "1180591620717411303424",
      when: "1970-01-01T00:00:00.000Z",
      never: null,
      call: "function",
      sign: "symbol",
    });
  });

  test("a circle ends", () => {
    const circle: Record<string, unknown> = {};
    circle.again = circle;
    assert.match(JSON.stringify(presentable(circle)), /\[cut off\]/);
  });

  test("whatever is given, the line stays bounded", () => {
    fc.assert(
      fc.property(fc.anything({ maxDepth: 5, withBigInt: true, withDate: true, withMap: true }), (value) => {
        const text = JSON.stringify(presentable({ value }));
        assert.ok(text.length < 1_000_000);
      }),
    );
    const wide = Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`m${index}`, "x".repeat(10_000)]));
    const shown = presentable({ wide, list: Array(1000).fill(1) });
    assert.ok(JSON.stringify(shown).length < 64 * 4200 + 10_000);
    assert.equal((shown.wide as Record<string, unknown>)["[cut off]"], 1000 - 64);
    assert.equal((shown.list as unknown[]).length, 65);
  });
});
