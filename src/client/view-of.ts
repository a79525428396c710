import type { Vm } from "../../gen/warder/v1/vm_pb.js";
import type { VmView } from "../vm/view.ts";
import { fromWireVm } from "../wire/view.ts";

/** The VM that an answer tells of. */
export function viewOf({ vm }: { readonly vm?: Vm | undefined }): VmView {
  if (vm !== undefined) return fromWireVm(vm);
  throw new TypeError("the daemon told of a VM without telling which");
}
