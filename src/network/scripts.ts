/**
 * The few lines of shell by which the tools are run one after another, in the host's namespace and in the VM's: to start
 * a process from here costs more than most of them take. The scripts are constants; what is made for a VM comes in as
 * arguments and standard input, which the shell never reads as its own language.
 */

/** Gives the document on standard input to nft, which opens that by its name, and so can not take it from a socket. */
export const APPLY_RULES = "cat | nft -j -f -";

/**
 * `sh -c … sh HOST-BATCH NAMESPACE INSIDE INSIDE-BATCH INSIDE-IPV6-BATCH SETTINGS`, rules on standard input. Ends at the
 * first command that fails.
 */
export const BUILD = `set -e
printf %s "$1" | ip -batch -
exec nsenter --net="$2" sh -ec "$3" sh "$4" "$5" "$6"`;

/** The part of {@link BUILD} that runs in the namespace. */
export const BUILD_INSIDE = `printf %s "$1" | ip -batch -
[ -z "$2" ] || printf %s "$2" | ip -6 -batch -
cd /proc/sys/net
printf %s "$3" | while read -r file value; do printf %s "$value" > "$file"; done
${APPLY_RULES}`;

/**
 * Prints what is in a namespace, one JSON document a line: devices with their addresses, routes, routing rules,
 * neighbours, neighbours that are answered for; routing rules of IPv6; the rules of nftables.
 */
export const READ_INSIDE = `printf 'addr show\\nroute show table all\\nrule show\\nneigh show\\nneigh show proxy\\n' | ip -j -d -batch -
ip -6 -j rule show 2>/dev/null || echo '[]'
exec nft -j list ruleset`;

/**
 * `sh -c … sh NAMESPACE PATH INSIDE…` with the names of cable ends: removes the cables at once, where deleting the
 * namespace would leave that to the kernel for later, then the namespace. Succeeds where nothing is there.
 */
export const REMOVE = `[ -e "$2" ] || exit 0
namespace=$1 path=$2
shift 2
for device; do nsenter --net="$path" ip link delete dev "$device" 2>/dev/null || :; done
exec ip netns delete "$namespace"`;
