const names: readonly (readonly [RegExp, string])[] = [
  [/^id$/, "vm_id"],
  [/^tenant$/, "customer_id"],
  [/^kernel$/, "config.boot.kernel_path"],
  [/^initrd$/, "config.boot.initrd_path"],
  [/^bootArgs$/, "config.boot.kernel_args"],
  [/^vcpus$/, "config.cpu.vcpu_count"],
  [/^memoryMib$/, "config.memory.size_bytes"],
  [/^drives\[(\d+)\]\.root$/, "config.storage[$1].is_root_device"],
  [/^drives\[(\d+)\]\.readOnly$/, "config.storage[$1].read_only"],
  [/^drives/, "config.storage"],
  [/^networks\[(\d+)\]\.tap$/, "config.network[$1].tap_device"],
  [/^networks\[(\d+)\]\.mac$/, "config.network[$1].mac_address"],
  [/^networks\[(\d+)\]\.dns/, "config.network[$1].ipv4_config.dns_servers"],
  [/^networks\[(\d+)\]\.([rt]x)RateLimit.*/, "config.network[$1].$2_rate_limit"],
  [/^networks/, "config.network"],
  [/^labels/, "config.metadata"],
  [/^annotations.*/, "config"],
];

/** The name on the wire of a member of the core's `VmSpecInput`; what has none keeps its own. */
export function toWireField(field: string): string {
  const found = names.find(([pattern]) => pattern.test(field));
  return found === undefined ? field : field.replace(found[0], found[1]);
}
