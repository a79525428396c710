import type { Brand } from "./brand.ts";

/** An absolute path as the host sees it. */
export type HostPath = Brand<string, "HostPath">;

/** An absolute path as a process inside a jail sees it: `/kernel`, not `/srv/jailer/firecracker/vm-1/root/kernel`. */
export type JailPath = Brand<string, "JailPath">;

/** Says what is wrong with an absolute path, or `undefined`. */
export function pathProblem(value: string): string | undefined {
  if (value.length === 0) return "must not be empty";
  if (value.includes("\0")) return "must not hold a NUL byte";
  if (!value.startsWith("/")) return "must be an absolute path";
  return undefined;
}

/**
 * Says what is wrong with a path inside the jail, or `undefined`. Stricter than on the host, as the path is joined to
 * the jail's root by the manager: no `.`, no `..`, no empty component.
 */
export function jailPathProblem(value: string): string | undefined {
  const general = pathProblem(value);
  if (general !== undefined) return general;
  const bad = value
    .slice(1)
    .split("/")
    .find((part) => part === "" || part === "." || part === "..");
  return bad === undefined ? undefined : "must not hold an empty, `.` or `..` component";
}

/** Makes a {@link HostPath}; throws a RangeError naming the problem. */
export function toHostPath(value: string): HostPath {
  const problem = pathProblem(value);
  if (problem !== undefined) throw new RangeError(`path ${JSON.stringify(value)} ${problem}`);
  return value as HostPath;
}

/** Makes a {@link JailPath}; throws a RangeError naming the problem. */
export function toJailPath(value: string): JailPath {
  const problem = jailPathProblem(value);
  if (problem !== undefined) throw new RangeError(`jail path ${JSON.stringify(value)} ${problem}`);
  return value as JailPath;
}
