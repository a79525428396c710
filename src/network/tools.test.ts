import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { contextOn } from "../../test/support/doctor-context.ts";
import { isWarderError, WarderError } from "../vm/error.ts";
import { parseNamespace } from "./found.ts";
import { networkFailure, requireTools } from "./tools.ts";

const failed = (why: string) =>
  networkFailure(new WarderError("tool-failed", { doing: "running sh", why }), "making it");
const codeOf = (error: unknown) => (isWarderError(error) ? error.code : error);

describe("a tool's failure", () => {
  test("is told in the words of networks, by what the tool said", () => {
    assert.equal(codeOf(failed("RTNETLINK answers: File exists\nCommand failed -:2")), "network-name-taken");
    assert.equal(codeOf(failed("RTNETLINK answers: Operation not permitted")), "permission-denied");
    assert.equal(codeOf(failed("Error: Unknown device type.")), "network-unavailable");
    assert.equal(codeOf(failed("something else")), "network-failed");
  });
  test("says what failed, without the frame of the batch or what a terminal would act on", () => {
    const error = failed("Error: bad\u001b[31m thing\nCommand failed -:2");
    assert.ok(isWarderError(error));
    assert.equal(error.why, "Error: bad[31m thing");
  });
  test("that came of a deadline is told without the whole of its command line", () => {
    const late = networkFailure(
      new WarderError("deadline-exceeded", { doing: "running sh -c …", why: "too late" }),
      "making it",
    );
    assert.ok(isWarderError(late));
    assert.deepEqual([late.code, late.doing, late.why], ["deadline-exceeded", "making it", "too late"]);
  });
  test("that is none passes as it is", () => {
    const other = new WarderError("aborted", { doing: "x", why: "y" });
    assert.equal(networkFailure(other, "z"), other);
  });
});

test("missing tools are named with their packages, all at once", (t) => {
  const { host } = contextOn(t, { missingTools: ["ip", "nft"] });
  assert.throws(() => requireTools(host), /ip and nft are not installed\. Install iproute2 and nftables/);
  assert.doesNotThrow(() => requireTools(contextOn(t).host));
});

describe("what a namespace is read from", () => {
  const lines = ["[]", "[{}]", "[]", "[]", "[]", "[]", '{"nftables": []}'];
  test("may be empty", () => assert.deepEqual(parseNamespace(lines.join("\n")).routes, []));
  test("is refused where it is something else", () => {
    assert.throws(() => parseNamespace("nonsense"), RangeError);
    assert.throws(() => parseNamespace(['[{"ifname": 7}]', ...lines.slice(1)].join("\n")), RangeError);
  });
});
