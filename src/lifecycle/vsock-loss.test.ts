import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isWarderError } from "../vm/error.ts";
import { toVmId } from "../vm/id.ts";
import { toHostPath } from "../vm/path.ts";
import { parseVmSpec } from "../vm/spec.ts";
import { refuseVsockLoss } from "./vsock-loss.ts";

const vm = (version: string, input: object) => ({
  id: toVmId("vm-1"),
  spec: parseVmSpec({ kernel: "probe", ...input }),
  binaries: { firecracker: toHostPath("/usr/bin/firecracker"), version },
});

describe("pausing a VM that has a vsock", () => {
  for (const version of ["1.16.0", "1.16.1"]) {
    test(`is refused with Firecracker ${version}, which would lose it`, () =>
      assert.throws(
        () => refuseVsockLoss(vm(version, { vsock: {} })),
        (error) => isWarderError(error) && error.code === "feature-unsupported" && /pull\/6100/.test(error.message),
      ));
  }
  for (const version of ["1.12.1", "1.15.1", "1.17.0"]) {
    test(`is fine with ${version}`, () => refuseVsockLoss(vm(version, { vsock: {} })));
  }
});

test("pausing a VM without a vsock is fine with any release", () => refuseVsockLoss(vm("1.16.1", {})));
