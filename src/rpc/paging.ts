import { WarderError } from "../vm/error.ts";
import { type VmId, vmIdProblem } from "../vm/id.ts";

/** A place in the list of VMs: after all that are older, and not moved by VMs that come or go. */
interface Place {
  readonly createdAt: number;
  readonly id: VmId;
}

/** Which part of a list. */
export interface PageRequest {
  /** 0: the default. */
  readonly size: number;
  /** Empty: the first page. */
  readonly token: string;
  /** What the two are called on the wire. */
  readonly fields: { readonly size: string; readonly token: string };
}

/** How large pages are. */
export interface PageSizes {
  readonly byDefault: number;
  readonly most: number;
}

/** A part of a list. */
export interface Page<Item> {
  readonly items: readonly Item[];
  /** Empty: it is the last page. */
  readonly nextToken: string;
}

/**
 * Cuts a page out of a list that is in the order of creation, then id. A token names the last item of its page, so the
 * next page begins behind that place even where the item is gone.
 *
 * @throws {@link WarderError} `invalid-argument`.
 */
export function pageOf<Item extends Place>(all: readonly Item[], request: PageRequest, sizes: PageSizes): Page<Item> {
  const { size, after } = parsePage(request, sizes);
  const rest = after === undefined ? all : all.filter((item) => isBehind(item, after));
  const items = rest.slice(0, size);
  const last = items.at(-1);
  return { items, nextToken: last === undefined || rest.length <= size ? "" : formatToken(last) };
}

function parsePage({ size, token, fields }: PageRequest, { byDefault, most }: PageSizes) {
  const after = token === "" ? undefined : parseToken(token);
  const problems = [
    ...(size < 0 || size > most ? [{ field: fields.size, problem: `must be 0 to ${most}` }] : []),
    ...(token !== "" && after === undefined ? [{ field: fields.token, problem: "is none that was given out" }] : []),
  ];
  if (problems.length > 0) {
    throw new WarderError("invalid-argument", {
      doing: "reading the request for a page",
      why: problems.length === 1 ? "one field is wrong" : "two fields are wrong",
      fields: problems,
    });
  }
  return { size: size === 0 ? byDefault : size, after };
}

function isBehind(item: Place, after: Place): boolean {
  return item.createdAt > after.createdAt || (item.createdAt === after.createdAt && item.id > after.id);
}

function formatToken({ createdAt, id }: Place): string {
  return Buffer.from(`${createdAt}:${id}`).toString("base64url");
}

function parseToken(token: string): Place | undefined {
  const [, createdAt, id] = /^(\d{1,15}):(.+)$/s.exec(Buffer.from(token, "base64url").toString()) ?? [];
  if (createdAt === undefined || id === undefined || vmIdProblem(id) !== undefined) return undefined;
  return { createdAt: Number(createdAt), id: id as VmId };
}
