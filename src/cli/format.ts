import type { VmExit } from "../vm/exit.ts";

const MIB = 1024 * 1024;

/** `12 ms`, `3.4 s`, `5 min 2 s`, `3 h 4 min`, `2 d 3 h`: two figures that matter. */
export function formatDuration(milliseconds: number): string {
  const ms = Math.max(0, milliseconds);
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  const hours = Math.floor(minutes / 60);
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** `512 B`, `3.4 KiB`, `128 MiB`. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = bytes < 1024 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10));
  const scaled = bytes / 1024 ** power;
  return `${Number.isInteger(scaled) || scaled >= 100 ? Math.round(scaled) : scaled.toFixed(1)} ${units[power]}`;
}

/** `128 MiB`, `2 GiB`. */
export function formatMib(mib: number): string {
  return formatBytes(mib * MIB);
}

/** Why a VM ended, and with what: `guest-ended`, `killed (SIGKILL)`, `firecracker-error (1)`. */
export function formatExit({ cause, code, signal }: VmExit): string {
  if (signal !== null) return `${cause} (${signal})`;
  return code === null || code === 0 ? cause : `${cause} (${code})`;
}
