import { resolve } from "node:path";
import type { Readable } from "node:stream";
import { WarderError } from "../vm/error.ts";

/** Far more than what is read by these may have. */
const LIMIT_BYTES = 1024 * 1024;

/** JSON of a file that a user names. */
export async function readJsonFile(path: string): Promise<unknown> {
  const { openThisMachine } = await import("../lifecycle/this-machine.ts");
  const { files } = openThisMachine().host;
  const doing = `reading ${path}`;
  try {
    return parseJson(files.readText(resolve(path), LIMIT_BYTES), doing);
  } catch (error) {
    throw WarderError.from(error, "invalid-argument", doing);
  }
}

/** JSON of a standard input. */
export async function readJsonInput(input: Readable): Promise<unknown> {
  const doing = "reading standard input";
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of input as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > LIMIT_BYTES)
      throw new WarderError("invalid-argument", { doing, why: `it has over ${LIMIT_BYTES} bytes` });
    chunks.push(chunk);
  }
  return parseJson(Buffer.concat(chunks).toString(), doing);
}

function parseJson(text: string, doing: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw WarderError.from(error, "invalid-argument", doing);
  }
}
