import assert from "node:assert/strict";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { requires } from "../../test/support/capability.ts";
import { openHost } from "../host/real/host.ts";
import { isWarderError } from "../vm/error.ts";
import { readConfigFile } from "./config-file.ts";

const host = openHost();

describe("readConfigFile()", () => {
  const directory = mkdtempSync(join(tmpdir(), "warder-config-"));
  after(() => rmSync(directory, { recursive: true }));

  const file = (name: string, mode = 0o644, text = "") => {
    const path = join(directory, name);
    writeFileSync(path, text);
    chmodSync(path, mode);
    return path;
  };
  const problemOf = (configFile: string): string => {
    try {
      readConfigFile(host, { configFile });
    } catch (error) {
      assert.ok(isWarderError(error) && error.code === "invalid-config");
      assert.equal(error.fields[0]?.field, "configFile");
      return error.fields[0]?.problem ?? "";
    }
    return "";
  };

  test("brings what was named", () => {
    const path = file("right", 0o600, "x = 1");
    assert.deepEqual(readConfigFile(host, { configFile: path }), { path, text: "x = 1" });
  });
  test("refuses one that was named and is not there", () => {
    assert.match(problemOf(join(directory, "none")), /none is not there$/);
  });
  test("refuses a relative name", () => assert.match(problemOf("warder.toml"), /must be an absolute path/));
  test("refuses a directory", () => {
    mkdirSync(join(directory, "sub"));
    assert.match(problemOf(join(directory, "sub")), /must be a file, not a directory/);
  });
  for (const mode of [0o664, 0o646, 0o622]) {
    test(`refuses one that others can change (0${mode.toString(8)})`, () => {
      assert.match(problemOf(file(`mode-${mode}`, mode)), /can be changed by others/);
    });
  }
  test("refuses one that is too large", () => {
    assert.match(problemOf(file("large", 0o644, " ".repeat(64 * 1024 + 1))), /has 65537 bytes, and may have 65536/);
  });
  test("refuses one that belongs to somebody else", requires("root"), () => {
    const path = file("others");
    chownSync(path, 12_345, 12_345);
    assert.match(problemOf(path), /belongs to user 12345/);
  });
});
