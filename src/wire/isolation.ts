import type { MessageInitShape } from "@bufbuild/protobuf";
import type { IsolationReportSchema, IsolationReport as WireReport } from "../../gen/warder/v1/vm_pb.js";
import type { IsolationReport } from "../vm/isolation.ts";
import { words } from "./words.ts";

/** A proof for the wire. */
export function toWireIsolation(report: IsolationReport): MessageInitShape<typeof IsolationReportSchema> {
  const { level, policy, controls, gaps } = report;
  return {
    level: words.level.toWire(level),
    policy: words.policy.toWire(policy),
    controls: controls.map((control) => ({ ...control, phase: words.phase.toWire(control.phase) })),
    gaps: [...gaps],
  };
}

/** A proof of the wire. A level that is not known is no proof. */
export function fromWireIsolation({ level, policy, controls, gaps }: WireReport): IsolationReport {
  return {
    level: words.level.fromWire(level) ?? "degraded",
    policy: words.policy.fromWire(policy) ?? "strict",
    controls: controls.map(({ name, phase, wanted, found, ok }) => {
      return { name, phase: words.phase.fromWire(phase) ?? "running", wanted, found, ok };
    }),
    gaps,
  };
}
