import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { describeError } from "../../../support/report/error-text.ts";

describe("describeError", () => {
  it("tells the causes to the last, without the runner's wrapper", () => {
    const thrown = new Error("outer", { cause: new Error("inner", { cause: "the root" }) });
    const wrapper = Object.assign(new Error("wrapper", { cause: thrown }), { failureType: "testCodeFailure" });
    const text = describeError(wrapper);
    assert.match(text, /^Error: outer\n[\s\S]*caused by: Error: inner\n[\s\S]*caused by: the root$/);
    assert.doesNotMatch(text, /wrapper/);
  });

  it("keeps the difference of an assertion and drops what only repeats it", () => {
    try {
      assert.deepEqual({ a: 1 }, { a: 2 });
    } catch (error) {
      const text = describeError(error);
      assert.match(text, /\+ {3}a: 1\n- {3}a: 2/);
      assert.doesNotMatch(text, /generatedMessage|operator/);
    }
  });

  it("tells the other properties of an error and the errors it gathers", () => {
    const gathered = new AggregateError(
      [new Error("first"), Object.assign(new Error("second"), { code: "EBUSY" })],
      "both",
    );
    const text = describeError(gathered);
    assert.match(text, /AggregateError: both[\s\S]*together with: Error: first[\s\S]*together with: Error: second/);
    assert.match(text, /code: 'EBUSY'/);
  });

  it("tells both errors where something could not be disposed of after the first", () => {
    const suppressed = new SuppressedError(new Error("while disposing"), new Error("in the test"));
    const crossed = Object.assign(new Error("dropped"), {
      name: "SuppressedError",
      error: 1,
      suppressed: "in the test",
    });
    assert.match(describeError(suppressed), /together with: Error: in the test[\s\S]*with: Error: while disposing/);
    assert.match(describeError(crossed), /together with: in the test\ntogether with: 1$/);
  });

  it("leaves out the frames of the runtime", () => {
    const error = new Error("no");
    error.stack = "Error: no\n    at test (file:///a.ts:1:1)\n    at Test.run (node:internal/test:1:1)";
    assert.equal(describeError(error), "Error: no\n    at test (file:///a.ts:1:1)");
  });

  it("takes anything that was thrown", () => {
    assert.equal(describeError("a string"), "a string");
    assert.equal(describeError({ some: "object" }), "{ some: 'object' }");
  });
});
