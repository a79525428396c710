import { MEMORY_MINIMUM_MIB, VCPUS_MAXIMUM } from "../../vm/spec.ts";
import { bytes, duration, oneOf, uid, whole, yesOrNo } from "../form.ts";
import { optional, setting } from "../setting.ts";

/** How the daemon jails VMs. */
export const jailSettings = {
  enabled: setting({
    schema: yesOrNo,
    about:
      'Whether the daemon starts VMs in a jail. Off is for development and testing: production refuses it, and so does `isolation = "strict"`.',
    fallback: true,
    presets: { development: false, production: true },
    seed: ["JAILER_ENABLED"],
    reload: "new-vms",
  }),
  uid: optional({
    schema: uid,
    about: "One user id for all VMs, as metald had it. VMs that share an id are not kept apart by it.",
    fallbackText: "every VM leases its own from uid_range",
    seed: ["JAILER_UID"],
    reload: "new-vms",
  }),
  gid: optional({
    schema: uid,
    about: "One group id for all VMs. Needs uid.",
    fallbackText: "the same number as uid",
    seed: ["JAILER_GID"],
    reload: "new-vms",
  }),
  networkNamespace: setting({
    schema: yesOrNo,
    about: "Whether every VM gets a network namespace of its own.",
    fallback: true,
    presets: { production: true },
    seed: ["JAILER_NETNS"],
    reload: "new-vms",
  }),
  pidNamespace: setting({
    schema: yesOrNo,
    about: "Whether every VM's Firecracker is process 1 of a pid namespace of its own.",
    fallback: true,
    presets: { production: true },
    seed: ["JAILER_PIDNS"],
    reload: "new-vms",
  }),
  memoryLimitBytes: optional({
    schema: bytes(16 * 1024 ** 2, 64 * 1024 ** 4),
    about:
      "Memory limit of every VM's cgroup, exactly. The kernel ends a VM whose guest and Firecracker together need more.",
    fallbackText: "the guest's memory, 5 % of it, and 48 MiB",
    seed: ["JAILER_MEMORY_LIMIT"],
    reload: "new-vms",
  }),
  cpuQuotaPercent: optional({
    schema: whole(1, 100_000),
    about: "CPU time of every VM, exactly, in percent of one core: 100 is 100000 µs in every 100 ms.",
    fallbackText: "100 for each vCPU",
    seed: ["JAILER_CPU_QUOTA"],
    reload: "new-vms",
  }),
  openFiles: setting({
    schema: whole(64, 1_048_576),
    about: "Most open files of a VM's Firecracker (RLIMIT_NOFILE).",
    fallback: 1024,
    presets: { development: 1024, production: 2048 },
    seed: ["JAILER_FD_LIMIT"],
    reload: "new-vms",
  }),
  pids: setting({
    schema: whole(1, 4_194_304),
    about: "Most processes and threads in a VM's cgroup.",
    fallback: 1024,
    presets: { development: 1024, production: 2048 },
    reload: "new-vms",
  }),
} as const;

/** What the daemon gives VMs where a caller says nothing. */
export const vmSettings = {
  memoryMib: setting({
    schema: whole(MEMORY_MINIMUM_MIB, 16 * 1024 ** 2),
    about: "Guest memory where a caller says nothing, in MiB.",
    fallback: 128,
    presets: { development: 128, production: 256 },
    reload: "new-vms",
  }),
  vcpus: setting({
    schema: whole(1, VCPUS_MAXIMUM),
    about: "vCPUs where a caller says nothing.",
    fallback: 1,
    presets: { development: 1, production: 1 },
    reload: "new-vms",
  }),
  startTimeoutMs: setting({
    schema: duration("100ms", "10m"),
    about: "Longest time until a VM runs and is proven.",
    fallback: 30_000,
    reload: "new-vms",
  }),
} as const;

/** What is kept of VMs that have ended. */
export const retentionSettings = {
  endedMs: setting({
    schema: duration("0", "365d"),
    about: "How long records and output of an ended VM are kept.",
    fallback: 7 * 24 * 3_600_000,
    reload: "restart",
  }),
  endedVms: setting({
    schema: whole(0, 100_000),
    about: "How many ended VMs are kept at most; the oldest go first.",
    fallback: 1000,
    reload: "restart",
  }),
} as const;

/** What happens at SIGTERM. */
export const shutdownSettings = {
  vms: setting({
    schema: oneOf("leave", "stop"),
    about:
      "What becomes of VMs when the daemon is told to end: they go on and are taken over by the next, or are stopped.",
    fallback: "leave",
    reload: "now",
  }),
  drainTimeoutMs: setting({
    schema: duration("0", "10m"),
    about: "How long requests that are being served may go on after SIGTERM.",
    fallback: 10_000,
    reload: "now",
  }),
} as const;
