import type { IncomingHttpHeaders } from "node:http";
import type { Door } from "./door.ts";

/** Names of this machine's loopback. Any other name in a request has come to lead here by somebody else's doing. */
const loopbackNames = new Set(["localhost", "127.0.0.1", "[::1]"]);

/**
 * Why a request may be that of a page in somebody's browser, or `undefined`. A browser is no client of Warder, but any
 * page in it can send requests to loopback, in its user's name: by a form, which needs no permission (then it says its
 * `Origin`), or by a name of its own that it lets lead to 127.0.0.1 (then it says that name as `Host`).
 */
export function browserProblem(headers: IncomingHttpHeaders, door: Door["kind"]): string | undefined {
  if (headers.origin !== undefined || headers["sec-fetch-site"] !== undefined) {
    return "requests of web pages are not served";
  }
  if (door !== "loopback") return undefined;
  const name = hostName(String(headers[":authority"] ?? headers.host ?? ""));
  return loopbackNames.has(name) ? undefined : `this is localhost, and not ${JSON.stringify(name)}`;
}

/** A host without its port. */
function hostName(authority: string): string {
  return authority.toLowerCase().replace(/:\d*$/, "");
}
