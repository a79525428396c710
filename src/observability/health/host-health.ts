/** One thing of a host that was looked at. */
export interface HostLook {
  readonly isOk: boolean;
  /** Why not, as a clause. */
  readonly problem?: string;
  readonly durationMs: number;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** What a host is. A member is absent where it could not be read. */
export interface SystemInfo {
  readonly hostname?: string;
  readonly cores: number;
  readonly cpuModel?: string;
  readonly memory?: { readonly totalBytes: number; readonly availableBytes: number };
}

/**
 * What a look at a host found.
 *
 * - `healthy`: VMs can be started.
 * - `degraded`: they can, and something is not as it should be.
 * - `unhealthy`: no VM can be started. VMs that run may be well.
 */
export interface HostHealth {
  readonly status: "healthy" | "degraded" | "unhealthy";
  /** Milliseconds since 1970. */
  readonly at: number;
  /** By name; `backend_ping` (KVM and Firecracker) and `system_info` are always there. */
  readonly looks: Readonly<Record<string, HostLook>>;
  readonly system: SystemInfo;
}
