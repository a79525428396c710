import type { WebRequest } from "./exchange.ts";

const FORM = "application/x-www-form-urlencoded";

/** Blanks that may stand before a JSON document: RFC 8259, 2. */
const blanks = new Set([0x20, 0x09, 0x0a, 0x0d]);
const BRACE = 0x7b;

/**
 * `curl -d '{…}'` without a Content-Type says that its body is a form, and metald's documents tell people to type that.
 * A body that begins with a brace is no form: such a request is taken for the JSON that it is. Pages in a browser could
 * send one too; they are turned away before, by their `Origin`.
 *
 * @returns When it is known which of both it is; nothing of the body is used up.
 */
export async function takeFormAsJson(request: WebRequest): Promise<void> {
  if (request.method !== "POST" || !isForm(request.headers["content-type"])) return;
  if ((await firstByte(request)) === BRACE) request.headers["content-type"] = "application/json";
}

function isForm(contentType: string | undefined): boolean {
  return contentType === undefined || contentType.split(";")[0]?.trim().toLowerCase() === FORM;
}

/** The first byte of the body that is no blank; `undefined` where there is none. */
async function firstByte(request: WebRequest): Promise<number | undefined> {
  const looked = Promise.withResolvers<number | undefined>();
  const onReadable = () => {
    const chunk = request.read() as Buffer | null;
    if (chunk === null) return;
    // Before the bytes are given back, which makes the request readable anew: this would never end.
    request.off("readable", onReadable);
    request.unshift(chunk);
    looked.resolve(chunk.find((byte) => !blanks.has(byte)));
  };
  const onEnd = () => looked.resolve(undefined);
  request.on("readable", onReadable).once("end", onEnd).once("error", onEnd).once("close", onEnd);
  try {
    return await looked.promise;
  } finally {
    request.off("readable", onReadable).off("end", onEnd).off("error", onEnd).off("close", onEnd);
  }
}
