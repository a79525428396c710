import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import { openHost } from "../../host/real/host.ts";
import { toHostPath } from "../../vm/path.ts";
import { MARK, type ServiceSettings, serviceFiles } from "./files.ts";

const usual: ServiceSettings = {
  program: toHostPath("/usr/bin/warder"),
  runs: [],
  stateDir: toHostPath("/var/lib/warder"),
  chrootBase: toHostPath("/srv/jailer"),
  socketDir: toHostPath("/run/warder"),
  configLines: [],
};

const textOf = (name: string, settings: Partial<ServiceSettings> = {}) =>
  serviceFiles(openHost(), { ...usual, ...settings }).find(({ path }) => path.endsWith(name))?.text ?? "";

const template = (name: string) => readFileSync(new URL(`../../../deploy/${name}`, import.meta.url), "utf8");

describe("the files of the service", () => {
  test("are those of deploy/ where everything lies in the usual places", () => {
    assert.equal(textOf("tmpfiles.d/warder.conf"), `${MARK}\n${template("tmpfiles.d/warder.conf")}`);
    assert.equal(textOf("sysusers.d/warder.conf"), `${MARK}\n${template("sysusers.d/warder.conf")}`);
    assert.equal(textOf("warder.service"), `${MARK}\n${template("systemd/warder.service")}`);
    assert.equal(textOf("warder.toml"), template("warder.toml"));
  });
  test("have the places of this host", () => {
    const settings = { stateDir: toHostPath("/data/warder"), chrootBase: toHostPath("/jails/50% here") };
    const { socketDir: _, ...rest } = { ...usual, ...settings };
    const text = serviceFiles(openHost(), rest).find(({ path }) => path.includes("tmpfiles"))?.text ?? "";
    assert.match(text, /^d "\/jails\/50%% here" 0755 jailer jailer -$/m);
    assert.match(text, /^d \/data\/warder 0700 root root -$/m);
    assert.doesNotMatch(text, /run/);
  });
  test("start this program, on this Node, with this configuration", () => {
    const unit = textOf("warder.service", {
      program: toHostPath("/opt/a $b/bin/warder"),
      nodeDirectory: toHostPath("/opt/node/bin"),
      configFile: toHostPath("/etc/w.toml"),
    });
    assert.match(unit, /^ExecStart="\/opt\/a \$\$b\/bin\/warder" serve --config \/etc\/w\.toml$/m);
    assert.match(unit, /^Environment=PATH=\/opt\/node\/bin:\/usr\/local\/sbin:/m);
    assert.equal(textOf("warder.toml", { configFile: toHostPath("/etc/w.toml") }), "");
  });
  test("have the settings that were given, each once", () => {
    const text = textOf("warder.toml", { configLines: ['preset = "development"', "server.port = 9"] });
    assert.deepEqual(
      text.split("\n").filter((line) => !line.startsWith("#")),
      ['preset = "development"', "server.port = 9", ""],
    );
  });
  test("are one word for each path, whatever it holds", () => {
    const path = fc.string({ unit: fc.constantFrom("a", " ", '"', "'", "\\", "%", "$", "&", "é") }).map((s) => `/${s}`);
    fc.assert(
      fc.property(path, (each) => {
        const line = textOf("tmpfiles.d/warder.conf", { chrootBase: toHostPath(each) }).split("\n")[2] ?? "";
        const [, field = ""] = /^d (.*) 0755 jailer jailer -$/.exec(line) ?? [];
        const plain = field.startsWith('"') ? field.slice(1, -1).replaceAll(/\\(.)/g, "$1") : field;
        assert.equal(plain.replaceAll("%%", "%"), each);
        assert.ok(field.startsWith('"') || !/[\s"'\\]/.test(field));
      }),
    );
  });
});
