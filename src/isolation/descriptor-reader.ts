import type { Host } from "../host/host.ts";
import { systemCodeOf } from "../vm/error.ts";
import type { DescriptorFacts, KernelFacts } from "./facts.ts";

/** Firecracker holds about thirty. A guest that broke out could open up to its limit, and each costs 5 µs. */
const DESCRIPTORS_MAX = 4096;

/**
 * Reads the open descriptors of a process. Nothing is opened: a FIFO could hang the reader or wake its writer, a device
 * could act.
 *
 * @param directory - `/proc/<pid>/fd`
 */
export function readDescriptors(host: Host, directory: string): KernelFacts["descriptors"] {
  const names = host.files.list(directory).sort((one, other) => Number(one) - Number(other));
  const read = names.slice(0, DESCRIPTORS_MAX).flatMap((name) => readDescriptor(host, directory, name) ?? []);
  return { read, skipped: Math.max(0, names.length - DESCRIPTORS_MAX) };
}

function readDescriptor(host: Host, directory: string, name: string): DescriptorFacts | undefined {
  try {
    const target = host.files.readLink(`${directory}/${name}`);
    const number = Number(name);
    if (!target.startsWith("/")) return { number, target, file: undefined };
    const facts = host.files.inspectFollowing(`${directory}/${name}`);
    if (facts === undefined) return undefined;
    const { kind, device, inode, deviceNumber, links } = facts;
    return { number, target, file: { kind, device, inode, deviceNumber, links } };
  } catch (error) {
    // Closed between the listing and the reading.
    if (systemCodeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}
