import {
  ControlPhaseSchema,
  ExitCauseSchema,
  IsolationLevelSchema,
  IsolationPolicySchema,
  RestartPolicySchema,
  ShutdownMethodSchema,
  VmStateSchema,
} from "../../gen/warder/v1/vm_pb.js";
import { exitCauses } from "../vm/exit.ts";
import { vmStates } from "../vm/state.ts";
import { enumCodec } from "./enums.ts";

/** Every closed set of words that goes over the wire. */
export const words = Object.freeze({
  state: enumCodec(VmStateSchema, [...vmStates, "removed"] as const),
  policy: enumCodec(IsolationPolicySchema, ["strict", "degrade"] as const),
  level: enumCodec(IsolationLevelSchema, ["proven", "partial", "degraded", "unjailed"] as const),
  phase: enumCodec(ControlPhaseSchema, ["held", "running"] as const),
  cause: enumCodec(ExitCauseSchema, exitCauses),
  method: enumCodec(ShutdownMethodSchema, ["ctrl-alt-del", "sigterm", "sigkill"] as const),
  restart: enumCodec(RestartPolicySchema, ["never", "on-failure", "always"] as const),
});
