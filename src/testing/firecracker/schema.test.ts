import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { JsonError } from "./json-reader.ts";
import {
  anything,
  bool,
  checked,
  list,
  nullable,
  oneOf,
  readJson,
  required,
  string,
  struct,
  u8,
  withDefault,
} from "./schema.ts";

const machine = struct("Machine", {
  vcpus: required(u8),
  smt: withDefault(bool, false),
  pages: withDefault(oneOf("None", "2M"), "None"),
  name: nullable(string),
  tags: withDefault(list(string), []),
  mac: nullable(checked((value) => (value.includes(":") ? undefined : "The address is invalid."))),
});

function problem(text: string | Buffer): string {
  try {
    readJson(text, machine);
  } catch (error) {
    if (error instanceof JsonError) return error.display;
    throw error;
  }
  return assert.fail(`accepted: ${text}`);
}

describe("a body", () => {
  it("has its members in the order of its description, with the defaults of those that are absent", () => {
    const value = readJson('{"smt":true, "vcpus":+1}'.replace("+", ""), machine);
    const expected = { vcpus: 1, smt: true, pages: "None", name: null, tags: [], mac: null };
    assert.equal(JSON.stringify(value), JSON.stringify(expected));
  });

  it("may hold anything where anything is asked for", () => {
    const text = '{"a":[1,-2.5e3,"x\\u0041\\n",null,true,false,{}],"b":{}}';
    assert.deepEqual(readJson(text, anything), JSON.parse(text));
  });

  /** Positions and words are serde_json's: what the real program says to the same text. */
  const wrong: readonly (readonly [text: string, display: string])[] = [
    ["", "EOF while parsing a value at line 1 column 0"],
    ["  ", "EOF while parsing a value at line 1 column 2"],
    ["}", "expected value at line 1 column 1"],
    ["null", "invalid type: null, expected struct Machine at line 1 column 4"],
    ['"x"', 'invalid type: string "x", expected struct Machine at line 1 column 3'],
    ["{", "EOF while parsing an object at line 1 column 1"],
    ["{x", "key must be a string at line 1 column 2"],
    ['{"', "EOF while parsing a string at line 1 column 2"],
    ['{"vcpus"', "EOF while parsing an object at line 1 column 8"],
    ['{"vcpus" 1}', "expected `:` at line 1 column 10"],
    ['{"vcpus":', "EOF while parsing a value at line 1 column 9"],
    ['{"vcpus":1', "EOF while parsing an object at line 1 column 10"],
    ['{"vcpus":1,', "EOF while parsing a value at line 1 column 11"],
    ['{"vcpus":1,}', "trailing comma at line 1 column 12"],
    ['{"vcpus":1 "smt":true}', "expected `,` or `}` at line 1 column 12"],
    ['{"vcpus":1} x', "trailing characters at line 1 column 13"],
    ['{"vcpus":1,\n"smt":}', "expected value at line 2 column 7"],
    ["{}", "missing field `vcpus` at line 1 column 2"],
    ['{"vcpus":1,"vcpus":2}', "duplicate field `vcpus` at line 1 column 18"],
    [
      '{"no":1}',
      "unknown field `no`, expected one of `vcpus`, `smt`, `pages`, `name`, `tags`, `mac` at line 1 column 5",
    ],
    ['{"vcpus":256}', "invalid value: integer `256`, expected u8 at line 1 column 12"],
    ['{"vcpus":-1}', "invalid value: integer `-1`, expected u8 at line 1 column 11"],
    ['{"vcpus":-0}', "invalid type: floating point `-0.0`, expected u8 at line 1 column 11"],
    ['{"vcpus":1.0}', "invalid type: floating point `1.0`, expected u8 at line 1 column 12"],
    ['{"vcpus":1.5e1}', "invalid type: floating point `15.0`, expected u8 at line 1 column 14"],
    ['{"vcpus":99999999999999999999}', "invalid type: floating point `1e20`, expected u8 at line 1 column 29"],
    ['{"vcpus":01}', "invalid number at line 1 column 11"],
    ['{"vcpus":-}', "invalid number at line 1 column 11"],
    ['{"vcpus":-', "EOF while parsing a value at line 1 column 10"],
    ['{"vcpus":1.}', "invalid number at line 1 column 12"],
    ['{"vcpus":1e', "EOF while parsing a value at line 1 column 11"],
    ['{"vcpus":"1"}', 'invalid type: string "1", expected u8 at line 1 column 12'],
    ['{"vcpus":true}', "invalid type: boolean `true`, expected u8 at line 1 column 13"],
    ['{"vcpus":[]}', "invalid type: sequence, expected u8 at line 1 column 9"],
    ['{"vcpus":{}}', "invalid type: map, expected u8 at line 1 column 9"],
    ['{"vcpus":nul}', "expected ident at line 1 column 13"],
    ['{"vcpus":n', "EOF while parsing a value at line 1 column 10"],
    ['{"smt":1}', "invalid type: integer `1`, expected a boolean at line 1 column 8"],
    ['{"pages":"1G"}', "unknown variant `1G`, expected `None` or `2M` at line 1 column 13"],
    ['{"pages":null}', "expected value at line 1 column 10"],
    ['{"name":5}', "invalid type: integer `5`, expected a string at line 1 column 9"],
    ['{"name":"\\x"}', "invalid escape at line 1 column 11"],
    ['{"name":"\\u12"}', "invalid escape at line 1 column 15"],
    ['{"name":"\\u1', "EOF while parsing a string at line 1 column 12"],
    ['{"name":"\\', "EOF while parsing a string at line 1 column 10"],
    ['{"name":"a\nb"}', "control character (\\u0000-\\u001F) found while parsing a string at line 2 column 0"],
    ['{"name":"é" x}', "expected `,` or `}` at line 1 column 14"],
    ['{"tags":"a"}', 'invalid type: string "a", expected a sequence at line 1 column 11'],
    ['{"tags":["a"', "EOF while parsing a list at line 1 column 12"],
    ['{"tags":["a" "b"]}', "expected `,` or `]` at line 1 column 14"],
    ['{"mac":"x"}', "The address is invalid. at line 1 column 11"],
    ['{"mac":"x","vcpus":1}', "The address is invalid. at line 1 column 10"],
  ];
  for (const [text, display] of wrong) {
    it(`is refused: ${JSON.stringify(text)}`, () => assert.equal(problem(text), display));
  }

  it("has its mistake in debug form for the log", () => {
    const error = new JsonError("missing field `x`", 1, 2);
    assert.equal(error.debug, 'Error("missing field `x`", line: 1, column: 2)');
    assert.equal(new JsonError("no place", 0, 0).display, "no place");
  });
});
