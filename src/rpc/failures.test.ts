import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { toConnectError } from "./failures.ts";

test("an answer that nobody is there for any more is no defect of the daemon", () => {
  const cause = Object.assign(new Error("write EPIPE"), { code: "EPIPE" });
  const error = new ConnectError("write EPIPE", Code.Internal, undefined, undefined, cause);
  assert.notEqual(toConnectError(error).code, Code.Internal);
  assert.notEqual(toConnectError(cause).code, Code.Internal);
  assert.equal(toConnectError(new ConnectError("anything else", Code.Internal)).code, Code.Internal);
});
