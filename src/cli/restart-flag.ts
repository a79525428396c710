import type { RestartPolicy } from "../vm/restart.ts";
import type { Parser } from "./flags.ts";

/** A restart policy as it was written. */
export type RestartFlag = Pick<RestartPolicy, "policy" | "maxRetries">;

const FORM = "must be never, always or on-failure, with the most restarts in a row if need be: on-failure:5";

/** `never`, `always[:N]`, `on-failure[:N]`. Whether N is within bounds is for the VM's description to say. */
export const restart: Parser<RestartFlag> = (given) => {
  const [, policy, most] = /^(never|always|on-failure)(?::(\d{1,9}))?$/.exec(given) ?? [];
  if (policy === undefined || (policy === "never" && most !== undefined)) return { problem: FORM };
  const maxRetries = most === undefined ? {} : { maxRetries: Number(most) };
  return { value: { policy: policy as RestartFlag["policy"], ...maxRetries } };
};
