import { need, type StartContext } from "../start-context.ts";

/**
 * Logs what is about to be started. For a jailed VM it is the line that operators of seed-era managers know, with its
 * fields and no others: numbers are numbers, and 0 stands for no limit. `memory_limit` is in bytes, `cpu_quota` in
 * percent of one core, `chroot_path` the VM's directory under the chroot base.
 */
export function noteCommand(context: StartContext): void {
  const { plan, machinery } = context;
  const { limits } = plan.spec;
  if (!plan.spec.jailed) {
    machinery.note("creating firecracker command", {
      firecracker_binary: plan.binaries.firecracker,
      vm_id: plan.id,
      socket_path: plan.layout.socket,
    });
    return;
  }
  const { uid, gid } = need(context, "user");
  machinery.note("creating jailer command", {
    jailer_binary: plan.binaries.jailer,
    jailer_id: plan.id,
    chroot_path: plan.layout.alias,
    uid,
    gid,
    memory_limit: limits.memoryBytes ?? 0,
    cpu_quota: limits.cpuPercent ?? 0,
  });
}
