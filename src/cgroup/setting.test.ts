import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type CgroupSetting, jailerCgroups, settingHolds } from "./setting.ts";

const setting = (stored: CgroupSetting["stored"], carrier: CgroupSetting["carrier"] = "jailer"): CgroupSetting => ({
  control: "limit.x",
  controller: "x",
  file: "x.y",
  value: "1",
  stored,
  carrier,
});

describe("settingHolds", () => {
  it("compares a whole file, blanks at its ends aside", () => {
    const memory = setting({ kind: "text", text: "134217728" });
    assert.ok(settingHolds(memory, "134217728\n"));
    assert.ok(!settingHolds(memory, "134217729\n"));
    assert.ok(!settingHolds(memory, "134217728\n1\n"));
  });

  it("compares the line of its own device, whatever other devices have", () => {
    const throttle = setting({ kind: "line", line: "8:0 rbps=1 wbps=max" });
    assert.ok(settingHolds(throttle, "8:16 rbps=9 wbps=9\n8:0 rbps=1 wbps=max riops=max\n"));
    assert.ok(!settingHolds(throttle, "8:0 rbps=2 wbps=max\n"));
    assert.ok(!settingHolds(throttle, "18:0 rbps=1 wbps=max\n"));
    assert.ok(!settingHolds(throttle, ""));
  });
});

describe("jailerCgroups", () => {
  it("holds what the jailer can carry, in its order", () => {
    const text = { kind: "text", text: "1" } as const;
    const settings = [setting(text), setting(text, "manager"), { ...setting(text), file: "x.z", value: "a b" }];
    assert.deepEqual(jailerCgroups(settings), ["x.y=1", "x.z=a b"]);
  });
});
