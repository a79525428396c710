import { TokenStore } from "../../access/token-store.ts";
import type { ConfigOverrides } from "../../config/config.ts";
import { openThisMachine } from "../../lifecycle/this-machine.ts";
import { WarderError } from "../../vm/error.ts";

/** Where the tokens of a state directory lie. */
export function tokensPath(stateDir: string): string {
  return `${stateDir}/access.db`;
}

/**
 * Opens the tokens of this machine, beside a daemon that runs or without one.
 *
 * @throws {@link WarderError} `store-failed`, `permission-denied`, `invalid-config`.
 */
export function openTokens(overrides: ConfigOverrides): TokenStore {
  const { host, config } = openThisMachine(overrides);
  if (host.files.inspectFollowing(config.stateDir)?.kind !== "directory") {
    throw new WarderError("store-failed", {
      doing: "opening the tokens",
      why: `the state directory ${config.stateDir} is not there`,
      cure: "Start `warder serve` once, or name its directory with --state-dir",
    });
  }
  return TokenStore.open(tokensPath(config.stateDir), () => host.clock.now());
}
