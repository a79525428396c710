import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { toVmId } from "./id.ts";
import { layoutProblem } from "./layout.ts";
import { type JailPath, toHostPath } from "./path.ts";
import type { JailLayout } from "./record.ts";

const jailed: JailLayout = {
  id: toVmId("vm-1"),
  base: toHostPath("/srv/jailer"),
  execName: "firecracker",
  directory: toHostPath("/srv/jailer/firecracker/vm-1"),
  root: toHostPath("/srv/jailer/firecracker/vm-1/root"),
  io: toHostPath("/srv/jailer/firecracker/vm-1/io"),
  alias: toHostPath("/srv/jailer/vm-1"),
  socket: toHostPath("/srv/jailer/firecracker/vm-1/root/run/firecracker.socket"),
  apiSocket: "/run/firecracker.socket" as JailPath,
};
const unjailed: JailLayout = {
  ...jailed,
  base: toHostPath("/var/lib/warder/unjailed"),
  directory: toHostPath("/var/lib/warder/unjailed/vm-1"),
  root: toHostPath("/var/lib/warder/unjailed/vm-1"),
  io: toHostPath("/var/lib/warder/unjailed/vm-1/io"),
  alias: toHostPath("/var/lib/warder/unjailed/vm-1"),
  socket: toHostPath("/tmp/fc.sock"),
  apiSocket: "/tmp/fc.sock" as JailPath,
};

describe("a layout", () => {
  test("as Warder makes it has no problem", () => {
    assert.equal(layoutProblem(jailed, true), undefined);
    assert.equal(layoutProblem(unjailed, false), undefined);
  });
  test("of the other kind has one", () => {
    assert.match(layoutProblem(jailed, false) ?? "", /directory/);
    assert.match(layoutProblem(unjailed, true) ?? "", /directory/);
  });
  test("that leads elsewhere in any of its paths has one", () => {
    for (const member of ["base", "directory", "root", "io", "alias", "socket", "execName", "id"] as const) {
      for (const value of [
        "/etc",
        "/",
        "",
        "..",
        "/srv/jailer/../etc",
        "/srv//jailer",
        `${jailed[member]}/..`,
        "a\0b",
      ]) {
        assert.notEqual(
          layoutProblem({ ...jailed, [member]: value } as JailLayout, true),
          undefined,
          `${member} ${value}`,
        );
      }
    }
  });
  test("is where its base, its program's name and its id say, or refused", () => {
    const text = fc.oneof(fc.string(), fc.constantFrom("..", ".", "a/b", "/x", "x"));
    fc.assert(
      fc.property(text, text, text, (base, execName, id) => {
        const directory = `${base}/${execName}/${id}`;
        const layout = {
          id,
          base,
          execName,
          directory,
          root: `${directory}/root`,
          io: `${directory}/io`,
          alias: `${base}/${id}`,
          socket: `${directory}/root/s`,
          apiSocket: "/s",
        } as unknown as JailLayout;
        if (layoutProblem(layout, true) !== undefined) return;
        assert.ok(directory.startsWith("/") && !/\/\.{0,2}(\/|$)/.test(directory), directory);
      }),
    );
  });
});
