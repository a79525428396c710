/**
 * Every error code, with what it means for the caller. The one table from which exit statuses, wire codes and
 * `docs/errors.md` come. Codes are stable: they may be added to, never renamed or given another meaning.
 */
export interface ErrorCodeFacts {
  /** One sentence for the documentation. */
  readonly summary: string;
  /** Exit status of the command line: 1 failed, 2 usage, 3 refused by policy, 4 not found. */
  readonly exitStatus: 1 | 2 | 3 | 4;
  /** The gRPC and Connect status that the daemon answers with. */
  readonly wire: WireCode;
}

/** The status names of gRPC and Connect which Warder uses. */
export type WireCode =
  | "aborted"
  | "already_exists"
  | "canceled"
  | "deadline_exceeded"
  | "failed_precondition"
  | "internal"
  | "invalid_argument"
  | "not_found"
  | "out_of_range"
  | "permission_denied"
  | "resource_exhausted"
  | "unauthenticated"
  | "unavailable"
  | "unimplemented";

const code = (summary: string, wire: WireCode, exitStatus: ErrorCodeFacts["exitStatus"] = 1): ErrorCodeFacts =>
  Object.freeze({ summary, exitStatus, wire });

/** The closed set of error codes. */
export const errorCodes = Object.freeze({
  "invalid-argument": code("A value given by the caller is wrong; every wrong field is listed.", "invalid_argument", 2),
  "invalid-config": code(
    "A setting is wrong; every wrong setting is listed with where it came from.",
    "invalid_argument",
    2,
  ),
  "vm-not-found": code("No VM has this id.", "not_found", 4),
  "vm-exists": code("The id belongs to a VM that is known already.", "already_exists"),
  "jail-exists": code("Something lies where this VM's jail or cgroup would be made.", "already_exists"),
  "wrong-state": code("The VM's state does not allow this.", "failed_precondition"),
  "vm-busy": code("Too many calls wait for this VM.", "resource_exhausted"),
  "idempotency-conflict": code("The idempotency key belongs to another request.", "failed_precondition"),
  gone: code(
    "The changes after this cursor are not kept any more; list the VMs, then watch from there.",
    "out_of_range",
  ),
  "binary-missing": code("Firecracker or the jailer is not where it was said to be.", "failed_precondition"),
  "binary-unfit": code(
    "A binary can not be used: not executable, not static, or changeable by others.",
    "failed_precondition",
  ),
  "version-mismatch": code(
    "Firecracker and the jailer are of different versions, or one that is not supported.",
    "failed_precondition",
  ),
  "feature-unsupported": code("This Firecracker is too old for something that was asked for.", "failed_precondition"),
  "kvm-unusable": code("/dev/kvm is missing or can not be used.", "failed_precondition"),
  "cgroup-unavailable": code("A cgroup version or controller that is needed is not there.", "failed_precondition"),
  "chroot-base-unusable": code(
    "The directory for jails can not hold jails: missing, nodev, noexec or not ours.",
    "failed_precondition",
  ),
  "socket-path-too-long": code(
    "The API socket's path would be longer than the kernel's 107 bytes.",
    "invalid_argument",
  ),
  "asset-missing": code("A kernel, initrd or disk is not there.", "failed_precondition"),
  "asset-unfit": code("A kernel, initrd or disk can not be used as it is.", "failed_precondition"),
  "asset-staging-failed": code("A kernel, initrd or disk could not be brought into the jail.", "internal"),
  "disk-full": code("The file system has no room left.", "resource_exhausted"),
  "ids-exhausted": code("No free user id is left in the range.", "resource_exhausted"),
  "addresses-exhausted": code("No free address is left in a pool.", "resource_exhausted"),
  "address-taken": code("An address or port that was asked for is another VM's, or the host's own.", "already_exists"),
  "network-name-taken": code(
    "A network namespace or interface of the name that a VM's would have is there already.",
    "already_exists",
  ),
  "network-unavailable": code("The host lacks something that a VM's network needs.", "failed_precondition"),
  "network-failed": code("A VM's network could not be made, read or removed.", "internal"),
  "network-not-found": code("No network of VMs has this name.", "not_found", 4),
  "network-in-use": code("VMs that have not ended are in the network.", "failed_precondition"),
  "interface-unfit": code("A bridge or TAP device of the host can not be used as it is.", "failed_precondition"),
  "host-unresolved": code("A host that a VM may send to could not be looked up.", "unavailable"),
  "cni-failed": code("The plugins of a CNI network could not be found, or one of them failed.", "failed_precondition"),
  "jailer-failed": code("The jailer ended before Firecracker ran.", "internal"),
  "firecracker-failed": code("Firecracker ended before the VM ran.", "internal"),
  "start-timeout": code("The VM was not ready before its deadline.", "deadline_exceeded"),
  "isolation-gap": code(
    "A control that was asked for is not what the kernel reports; the VM was removed.",
    "failed_precondition",
    3,
  ),
  "unjailed-refused": code("Running without the jailer is refused by policy.", "failed_precondition", 3),
  "api-fault": code("Firecracker refused a request.", "failed_precondition"),
  "api-protocol": code("Firecracker's API answered something that is not its protocol.", "internal"),
  "api-unreachable": code("Firecracker's API socket does not answer.", "unavailable"),
  "rate-limit-lost": code("Firecracker does not limit a device as it was told to.", "internal"),
  "vsock-refused": code("The guest does not take a vsock connection: nothing listens on the port.", "unavailable"),
  "vsock-broken": code("A vsock connection ended while it was written to, or before it was made.", "unavailable"),
  "vsock-limit": code("A limit on a VM's vsock connections is reached.", "resource_exhausted", 3),
  "vsock-port-taken": code("The port is open to the guest already.", "already_exists"),
  "process-stranger": code(
    "The recorded process is not the VM's any more, so it was left alone.",
    "failed_precondition",
  ),
  "process-stuck": code("A process did not end even after SIGKILL.", "deadline_exceeded"),
  "cleanup-failed": code(
    "Something of a VM could not be removed; the ledger keeps it for the next attempt.",
    "internal",
  ),
  "state-locked": code("Another manager owns the state directory.", "failed_precondition", 3),
  "store-failed": code("The state database can not be read or written.", "internal"),
  "store-damaged": code("The state database is damaged; the next opening sets it aside and rebuilds it.", "internal"),
  "tool-missing": code("A program of the system that is needed is not installed.", "failed_precondition"),
  "tool-failed": code("A program of the system ended with an error.", "internal"),
  "download-failed": code("A release could not be fetched, or its checksum is wrong.", "unavailable"),
  "permission-denied": code("The kernel refused an operation: root, or a capability, is needed.", "permission_denied"),
  unauthenticated: code("The caller did not say who it is, or could not prove it.", "unauthenticated", 3),
  forbidden: code("The caller is known, and may not do this.", "permission_denied", 3),
  "service-unknown": code("The daemon has no service of this name.", "not_found", 4),
  "token-not-found": code("No token has this id.", "not_found", 4),
  "quota-exceeded": code("The tenant's quota has no room for this.", "resource_exhausted"),
  "no-room": code("The host has no room for this: every resource that is short is listed.", "resource_exhausted"),
  "too-many-requests": code("The caller asks too often, or for too much at once.", "resource_exhausted"),
  "door-unusable": code("The daemon can not listen where it was told to.", "failed_precondition"),
  draining: code("The daemon is about to stop and takes no new requests.", "unavailable"),
  "daemon-unreachable": code("The daemon does not answer, or its connection broke.", "unavailable"),
  "daemon-too-old": code("The daemon does not know this call.", "unimplemented"),
  "deadline-exceeded": code("An operation took longer than its deadline.", "deadline_exceeded"),
  aborted: code("The caller gave the operation up.", "canceled"),
  internal: code("A defect in Warder itself.", "internal"),
});

/** A stable name for what went wrong. */
export type ErrorCode = keyof typeof errorCodes;
