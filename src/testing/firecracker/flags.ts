/** Firecracker's command line. */
import type { Flag } from "../common/arguments.ts";
import type { Release } from "../common/release.ts";

const value = (name: string, help: string, more: Partial<Flag> = {}): Flag => ({
  name,
  help,
  takesValue: true,
  ...more,
});

const OPTIONAL = "This parameter is optional.";

/** The flags of a release. */
export function firecrackerFlags(release: Release): readonly Flag[] {
  const pci: Flag = { name: "enable-pci", help: "Enables PCIe support." };
  return [
    value("api-sock", "Path to unix domain socket used by the API.", { defaultValue: "/run/firecracker.socket" }),
    value("id", "MicroVM unique identifier.", { defaultValue: "anonymous-instance" }),
    value(
      "seccomp-filter",
      "Optional parameter which allows specifying the path to a custom seccomp filter. For advanced users.",
      { forbids: "no-seccomp" },
    ),
    {
      name: "no-seccomp",
      help: "Optional parameter which allows starting and using a microVM without seccomp filtering. Not recommended.",
      forbids: "seccomp-filter",
    },
    value("start-time-us", `Process start time (wall clock, microseconds). ${OPTIONAL}`),
    value("start-time-cpu-us", `Process start CPU time (wall clock, microseconds). ${OPTIONAL}`),
    value("parent-cpu-time-us", `Parent process CPU time (wall clock, microseconds). ${OPTIONAL}`),
    value("config-file", "Path to a file that contains the microVM configuration in JSON format."),
    value("metadata", "Path to a file that contains metadata in JSON format to add to the mmds."),
    {
      name: "no-api",
      help: "Optional parameter which allows starting and using a microVM without an active API socket.",
      requires: "config-file",
    },
    value("log-path", "Path to a fifo or a file used for configuring the logger on startup."),
    value("level", "Set the logger level."),
    value("module", "Set the logger module filter."),
    { name: "show-level", help: "Whether or not to output the level in the logs." },
    {
      name: "show-log-origin",
      help: "Whether or not to include the file path and line number of the log's origin.",
    },
    value("metrics-path", "Path to a fifo or a file used for configuring the metrics on startup."),
    {
      name: "boot-timer",
      help: "Whether or not to load boot timer device for logging elapsed time since InstanceStart command.",
    },
    { name: "version", help: "Print the binary version number." },
    { name: "snapshot-version", help: "Print the supported data format version." },
    value("describe-snapshot", "Print the data format version of the provided snapshot state file."),
    value("http-api-max-payload-size", "Http API request payload max size, in bytes.", { defaultValue: "51200" }),
    value("mmds-size-limit", "Mmds data store limit, in bytes."),
    ...(release.v1_13 ? [pci] : []),
  ];
}
