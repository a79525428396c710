import { vmIdProblem } from "./id.ts";
import { pathProblem } from "./path.ts";
import type { JailLayout } from "./record.ts";

/**
 * Says in what a layout is not one that Warder makes, or `undefined`. Layouts are written down, and what is removed is
 * found by them: so they are looked at again before that, as if somebody else had written them.
 *
 * @param jailed - False for a VM without the jailer, which has neither a root of its own nor a short name.
 */
export function layoutProblem(layout: JailLayout, jailed: boolean): string | undefined {
  const { id, base, execName, directory, apiSocket } = layout;
  const idProblem = vmIdProblem(id);
  if (idProblem !== undefined) return `its id ${idProblem}`;
  if (!isPlain(base)) return "its base is not a plain absolute path";
  if (!isName(execName)) return "its file name of Firecracker is none";
  const expected = jailed
    ? {
        directory: `${base}/${execName}/${id}`,
        root: `${directory}/root`,
        alias: `${base}/${id}`,
        socket: `${layout.root}${apiSocket}`,
      }
    : { directory: `${base}/${id}`, root: directory, alias: directory, socket: apiSocket };
  const all: Readonly<Record<string, string>> = { ...expected, io: `${directory}/io` };
  const wrong = Object.keys(all).find((name) => all[name] !== layout[name as keyof typeof expected | "io"]);
  if (wrong !== undefined) return `its ${wrong} is not where Warder makes it`;
  return isPlain(layout.socket) ? undefined : "its socket is not a plain absolute path";
}

/** An absolute path without empty, `.` or `..` components. */
function isPlain(path: string): boolean {
  return pathProblem(path) === undefined && path !== "/" && path.slice(1).split("/").every(isName);
}

function isName(component: string): boolean {
  return component !== "" && component !== "." && component !== ".." && !/[/\0]/.test(component);
}
