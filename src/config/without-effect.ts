const noBilling = "Warder sends no billing: usage is in its metrics and in GetVmInfo";
const oneBackend = "there is one backend, Firecracker";
const ownSockets = "every VM has its own API socket";
const noAssetManager = "kernels and disks are taken from the paths that a request names";
const ownNetwork = "networks are made as the [network] settings say";
const noSpiffe = "certificates come from files: tls.cert_file, tls.key_file, tls.client_ca_file";
const ownLogs = "what VMs print is in state_dir, and the daemon logs to its standard output";
const ofItsClient = "it is for metald's command line";

const reasons: Readonly<Record<string, readonly string[]>> = {
  [oneBackend]: ["CH_ENDPOINT", "DOCKER_ENABLED", "DOCKER_HOST", "DOCKER_NETWORK", "DOCKER_REGISTRY"],
  [ownSockets]: ["FC_ENDPOINT"],
  [ownLogs]: ["LOG_DIR"],
  [noBilling]: ["BILLING_ENABLED", "BILLING_ENDPOINT", "BILLING_MOCK_MODE", "BILLING_MOCK"],
  [noAssetManager]: ["ASSETMANAGER_ENABLED", "ASSETMANAGER_ENDPOINT", "ASSETMANAGER_CACHE_DIR"],
  [ownNetwork]: [
    "NETWORK_ENABLED",
    "NETWORK_IPV4_ENABLED",
    "NETWORK_IPV6_ENABLED",
    "NETWORK_IPV6_MODE",
    "NETWORK_BRIDGE",
    "NETWORK_BRIDGE_IPV4",
    "NETWORK_BRIDGE_IPV6",
    "NETWORK_BRIDGE_COUNT",
    "NETWORK_BRIDGE_PREFIX",
    "NETWORK_MULTI_BRIDGE",
    "NETWORK_MAX_VMS_PER_BRIDGE",
    "NETWORK_DNS_IPV4",
    "NETWORK_DNS_IPV6",
    "NETWORK_RATE_LIMIT",
    "NETWORK_RATE_LIMIT_MBPS",
    "NETWORK_HOST_PROTECTION",
    "NETWORK_PRIMARY_INTERFACE",
    "NETWORK_CIDR",
    "NETWORK_SUBNET_PREFIX",
  ],
  [noSpiffe]: ["SPIFFE_SOCKET", "TLS_SPIFFE_SOCKET", "TLS_ENABLE_CERT_CACHING", "TLS_CERT_CACHE_TTL"],
  "records are in state_dir": ["DATABASE_DIR", "INSTANCE_ID"],
  [ofItsClient]: ["SERVER_ADDRESS", "USER_ID", "TENANT_ID"],
};

/**
 * Variables of metald, of the seed and of later versions, that mean nothing to Warder, and why. They are told as
 * notices, so that an environment can be kept as it is and nobody believes that one of them does something.
 */
export const withoutEffect: ReadonlyMap<string, string> = new Map(
  Object.entries(reasons).flatMap(([why, names]) => names.map((name) => [`UNKEY_METALD_${name}`, why])),
);
