import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { create, fromBinary, fromJsonString, toBinary, toJsonString } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import fc from "fast-check";
import { type ShutdownMethod, VmSchema, VmSpecSchema } from "../../gen/warder/v1/vm_pb.js";
import { VmChangeSchema } from "../../gen/warder/v1/vm_service_pb.js";
import type { VmChange } from "../vm/change.ts";
import { isWarderError, WarderError } from "../vm/error.ts";
import { type ErrorCode, errorCodes } from "../vm/error-codes.ts";
import { exitCauses } from "../vm/exit.ts";
import { toVmId } from "../vm/id.ts";
import type { VmSpecInput } from "../vm/spec.ts";
import { vmStates } from "../vm/state.ts";
import type { VmView } from "../vm/view.ts";
import { fromWireChange, toWireChange } from "./change.ts";
import { fromWireError, toWireError } from "./error.ts";
import { fromWireSpec, toWireSpec } from "./spec.ts";
import { fromWireVm, toWireVm } from "./view.ts";

/** Without prototypes, which generated objects may lack, and -0, which JSON does not know. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

const text = fc.string({ maxLength: 20 });
const whole = fc.nat();
const large = fc.maxSafeNat();
const texts = fc.dictionary(
  text.filter((key) => key !== "__proto__"),
  text,
  { maxKeys: 4 },
);
/** Only times that a clock of this millennium shows. */
const time = fc.integer({ min: 0, max: 32_503_680_000_000 });
const rung = fc.record({
  method: fc.constantFrom("ctrl-alt-del" as const, "sigterm" as const, "sigkill" as const),
  timeoutMs: whole,
});
const limits = fc.record(
  {
    memoryBytes: large,
    cpuPercent: whole,
    cpuWeight: whole,
    cpus: text,
    memoryNodes: text,
    pids: whole,
    openFiles: whole,
    fileSizeBytes: large,
    io: fc.array(fc.record({ device: text, readBytesPerSecond: large }, { requiredKeys: ["device"] }), {
      minLength: 1,
      maxLength: 2,
    }),
  },
  { requiredKeys: [] },
);

describe("a description of a VM", () => {
  const input = fc.record(
    {
      id: text,
      kernel: text,
      initrd: text,
      bootArgs: text,
      vcpus: whole,
      memoryMib: whole,
      drives: fc.array(
        fc.record(
          {
            id: text,
            path: text,
            readOnly: fc.boolean(),
            root: fc.boolean(),
            rateLimit: fc.record(
              {
                bandwidth: fc.record(
                  { bytesPerSecond: large, burstBytes: large },
                  { requiredKeys: ["bytesPerSecond"] },
                ),
                operations: fc.record({ perSecond: large, burst: large }, { requiredKeys: ["perSecond"] }),
              },
              { requiredKeys: [] },
            ),
          },
          { requiredKeys: ["path", "readOnly", "root"] },
        ),
        { minLength: 1, maxLength: 3 },
      ),
      limits,
      policy: fc.constantFrom("strict" as const, "degrade" as const),
      jailed: fc.boolean(),
      uid: whole,
      gid: whole,
      netns: text,
      newPidNamespace: fc.boolean(),
      apiSocket: text,
      shutdown: fc.array(rung, { minLength: 1, maxLength: 3 }),
      startTimeoutMs: whole,
      labels: texts.filter((labels) => Object.keys(labels).length > 0),
      annotations: texts.filter((annotations) => Object.keys(annotations).length > 0),
      restart: fc.record(
        {
          policy: fc.constantFrom("never" as const, "on-failure" as const, "always" as const),
          maxRetries: whole,
          backoffMs: whole,
          maxBackoffMs: whole,
          resetAfterMs: whole,
        },
        { requiredKeys: [] },
      ),
    },
    { requiredKeys: ["kernel"] },
  );

  test("comes over the wire as it was, in bytes and in JSON", () => {
    fc.assert(
      fc.property(input, (spec) => {
        const message = create(VmSpecSchema, toWireSpec(spec as VmSpecInput));
        assert.deepEqual(plain(fromWireSpec(fromBinary(VmSpecSchema, toBinary(VmSpecSchema, message)))), plain(spec));
        assert.deepEqual(
          plain(fromWireSpec(fromJsonString(VmSpecSchema, toJsonString(VmSpecSchema, message)))),
          plain(spec),
        );
      }),
    );
  });

  test("carries what the wire has no field for", () => {
    const spec = { kernel: "probe", vsock: { ports: [{ port: 1, to: "/run/x" }] }, unheardOf: [1, { a: null }] };
    const message = create(VmSpecSchema, toWireSpec(spec as unknown as VmSpecInput));
    assert.deepEqual(plain(fromWireSpec(message)), spec);
  });

  test("with a word that there is none for is left to be refused by name", () => {
    const message = create(VmSpecSchema, {
      kernel: "probe",
      shutdown: [{ method: 99 as ShutdownMethod, timeoutMs: 1 }],
    });
    assert.deepEqual(fromWireSpec(message).shutdown, [{ method: "method 99", timeoutMs: 1 }]);
  });
});

describe("what is shown of a VM", () => {
  const view = fc.record(
    {
      id: text,
      state: fc.constantFrom(...vmStates),
      pid: fc.option(whole),
      jailed: fc.boolean(),
      jail: fc.record({ id: text, root: text, socket: text, uid: whole, gid: whole }),
      limits,
      isolation: fc.option(
        fc.record({
          level: fc.constantFrom("proven", "partial", "degraded", "unjailed"),
          policy: fc.constantFrom("strict", "degrade"),
          controls: fc.array(
            fc.record({
              name: text,
              phase: fc.constantFrom("held", "running"),
              wanted: text,
              found: text,
              ok: fc.boolean(),
            }),
            { maxLength: 3 },
          ),
          gaps: fc.array(text, { maxLength: 3 }),
        }),
      ),
      timings: fc.dictionary(
        text.filter((key) => key !== "__proto__"),
        fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0),
        { maxKeys: 3 },
      ),
      exit: fc.record({
        code: fc.option(fc.integer({ min: 0, max: 255 })),
        signal: fc.option(fc.constantFrom("SIGKILL", "SIGTERM")),
        cause: fc.constantFrom(...exitCauses),
        evidence: fc.array(text, { maxLength: 3 }),
        at: time,
      }),
      vcpus: whole,
      memoryMib: whole,
      kernel: text,
      firecrackerVersion: text,
      cgroup: fc.option(fc.record({ version: fc.constantFrom(1, 2), directories: texts })),
      createdAt: time.map((at) => new Date(at).toISOString()),
      generation: large,
      tenant: text.filter((tenant) => tenant !== ""),
      labels: texts.filter((labels) => Object.keys(labels).length > 0),
      somethingNew: fc.jsonValue(),
    },
    { requiredKeys: ["id", "state", "pid", "jailed", "jail", "limits", "isolation", "timings", "vcpus"] },
  );

  test("comes over the wire as it was", () => {
    fc.assert(
      fc.property(view, (given) => {
        const whole = {
          memoryMib: 0,
          kernel: "",
          firecrackerVersion: "",
          cgroup: null,
          createdAt: new Date(0).toISOString(),
          generation: 0,
          ...given,
        };
        const message = create(VmSchema, toWireVm(whole as unknown as VmView));
        const back = fromWireVm(fromBinary(VmSchema, toBinary(VmSchema, message)));
        assert.deepEqual(plain(back), plain(whole));
      }),
    );
  });
});

test("a change comes over the wire as it was", () => {
  const change = fc.record(
    {
      sequence: large,
      id: fc.constant(toVmId("vm-1")),
      generation: large,
      incarnation: large,
      state: fc.constantFrom(...vmStates, "removed" as const),
      previous: fc.option(fc.constantFrom(...vmStates)),
      at: time,
      reason: text.filter((reason) => reason !== ""),
    },
    { requiredKeys: ["sequence", "id", "generation", "incarnation", "state", "previous", "at"] },
  );
  fc.assert(
    fc.property(change, (given) => {
      const message = create(VmChangeSchema, toWireChange(given as VmChange));
      assert.deepEqual(
        plain(fromWireChange(fromBinary(VmChangeSchema, toBinary(VmChangeSchema, message)))),
        plain(given),
      );
    }),
  );
});

describe("an error", () => {
  test("of each code has the status that the table says, and comes back as it was", () => {
    for (const [code, { wire }] of Object.entries(errorCodes)) {
      const error = new WarderError(code as ErrorCode, {
        doing: "doing it",
        why: "it failed",
        cure: "Do it again",
        fields: [{ field: "a", problem: "b" }],
        cleanup: [new Error("and that")],
      });
      const sent = toWireError(error);
      assert.equal(Code[sent.code]?.toLowerCase(), wire.replaceAll("_", ""));
      const back = fromWireError(sent, "asking");
      assert.deepEqual(back.toJSON(), error.toJSON());
    }
  });

  test("of a newer daemon has a code all the same", () => {
    const sent = toWireError(new WarderError("vm-busy", { doing: "a", why: "b" }));
    const [detail] = sent.details;
    assert.ok(detail && "value" in detail);
    Object.assign(detail.value, { code: "something-new" });
    assert.equal(fromWireError(sent, "asking").code, "internal");
  });

  test("of the transport says what kept the two from talking", () => {
    const cases: [Code, ErrorCode][] = [
      [Code.Unavailable, "daemon-unreachable"],
      [Code.Aborted, "daemon-unreachable"],
      [Code.Canceled, "aborted"],
      [Code.DeadlineExceeded, "deadline-exceeded"],
      [Code.Unauthenticated, "unauthenticated"],
      [Code.PermissionDenied, "forbidden"],
      [Code.InvalidArgument, "invalid-argument"],
      [Code.ResourceExhausted, "too-many-requests"],
      [Code.Unimplemented, "daemon-too-old"],
      [Code.DataLoss, "internal"],
    ];
    for (const [code, expected] of cases) {
      const error = fromWireError(new ConnectError("why", code), "asking");
      assert.equal(error.code, expected);
      assert.match(error.message, /^asking: why/);
    }
  });

  test("of Warder's own is left as it is", () => {
    const error = new WarderError("vm-busy", { doing: "a", why: "b" });
    assert.equal(fromWireError(error, "asking"), error);
    assert.ok(isWarderError(fromWireError("anything", "asking")));
  });
});
