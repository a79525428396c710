import { parse, TomlError } from "smol-toml";
import { closest } from "../vm/closest.ts";
import type { FieldProblem } from "../vm/error.ts";
import { catalogue } from "./catalogue.ts";
import type { Given } from "./origin.ts";

/** Where the configuration file is looked for if none is named. */
export const DEFAULT_CONFIG_FILE = "/etc/warder/warder.toml";

/** Largest configuration file that is read. */
export const CONFIG_FILE_MAX_BYTES = 64 * 1024;

/** The text of a configuration file. */
export interface ConfigFile {
  readonly path: string;
  readonly text: string;
}

/** What a configuration file says. */
export interface FileSource {
  /** What it gives for a setting: at most one value. */
  readonly given: (key: string) => readonly Given[];
  readonly problems: readonly FieldProblem[];
}

/** A source for where there is no file. */
export const noFile: FileSource = Object.freeze({ given: () => [], problems: [] });

/** Reads TOML 1.0. What is no setting is a problem, named with its line and what it was probably meant to be. */
export function readFileSource({ path, text }: ConfigFile): FileSource {
  const document = parseDocument(text);
  if ("problem" in document) return { ...noFile, problems: [{ field: path, problem: document.problem }] };
  const found = flatten(document.values);
  const where = (key: string) => `${path}:${lineOf(text, key)}`;
  return {
    problems: [...found.keys()]
      .filter((key) => !isSetting(key))
      .map((key) => unknownKey(key, `${key} (${where(key)})`)),
    given(key) {
      if (!found.has(key)) return [];
      return [{ value: asText(found.get(key)), origin: "file", where: () => where(key) }];
    },
  };
}

const settingKeys = catalogue.map(({ key }) => key);
const sectionNames = new Set(catalogue.map(({ section }) => section).filter((section) => section !== ""));
const isSetting = (key: string) => settingKeys.includes(key);

function parseDocument(text: string): { values: Record<string, unknown> } | { problem: string } {
  try {
    return { values: parse(text) };
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const what = error.message.split("\n")[0]?.replace("Invalid TOML document: ", "");
    return { problem: `line ${error.line}, column ${error.column}: ${what}` };
  }
}

/** Values by their whole key; tables are looked into as deep as sections go. */
function flatten(document: Record<string, unknown>): Map<string, unknown> {
  const found = new Map<string, unknown>();
  for (const [name, value] of Object.entries(document)) {
    if (!sectionNames.has(name) || !isTable(value)) found.set(name, value);
    else for (const [inner, each] of Object.entries(value)) found.set(`${name}.${inner}`, each);
  }
  return found;
}

function unknownKey(key: string, field: string): FieldProblem {
  const last = key.slice(key.lastIndexOf(".") + 1);
  const meant =
    settingKeys.find((each) => each.endsWith(`.${last}`)) ?? closest(key, [...settingKeys, ...sectionNames]);
  return { field, problem: meant === undefined ? "is no setting" : `is no setting. Did you mean ${meant}?` };
}

/**
 * The line on which a key's value ends: the first on which the text up to there is a document that has it. Takes time
 * that grows with the square of the file's length, which is bounded, and is asked for only to be told to somebody.
 */
function lineOf(text: string, key: string): number {
  const lines = text.split("\n");
  const number = lines.findIndex((_line, index) => {
    const document = parseDocument(lines.slice(0, index + 1).join("\n"));
    return "values" in document && flatten(document.values).has(key);
  });
  return number + 1;
}

/** Numbers and booleans as they are written, so that one reader serves file, variables and flags. */
function asText(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(asText);
  if (isTable(value)) return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, asText(each)]));
  return value instanceof Date ? value.toISOString() : String(value);
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}
