import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { warder } from "../../test/support/fake-terminal.ts";
import { fishScript } from "./completion-scripts.ts";

const has = (tool: string) => spawnSync("sh", ["-c", `command -v ${tool}`]).status === 0;
const bash = has("bash") ? {} : { skip: "needs bash" };

/** What bash offers for a line, with two VMs on the host. */
function offered(script: string, ...words: readonly string[]): string[] {
  const directory = fs.mkdtempSync(join(tmpdir(), "warder-completion-"));
  try {
    fs.writeFileSync(`${directory}/warder`, "#!/bin/sh\necho vm-1\necho vm-2\n", { mode: 0o755 });
    const line = `${script}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _warder; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const env = { PATH: `${directory}:${process.env.PATH}` };
    const { stdout } = spawnSync("bash", ["-c", line, "bash", "warder", ...words], { encoding: "utf8", env });
    return stdout.split("\n").filter((word) => word !== "");
  } finally {
    fs.rmSync(directory, { recursive: true });
  }
}

describe("bash", bash, () => {
  test("completes commands, flags of the command, and ids of VMs", async () => {
    const { stdout: script } = await warder("completion", "bash");
    assert.deepEqual(offered(script, "r"), ["run", "reboot", "resume", "rm"]);
    assert.deepEqual(offered(script, "run", "--mem"), ["--memory", "--memory-nodes", "--memory-limit"]);
    assert.deepEqual(offered(script, "--json", "stop", "vm"), ["vm-1", "vm-2"]);
    assert.deepEqual(offered(script, "run", "vm"), []);
    assert.ok(!offered(script, "").includes("monitor"));
  });

  test("leaves the value of a flag to the shell", async () => {
    const { stdout: script } = await warder("completion", "bash");
    assert.deepEqual(offered(script, "run", "--kernel", ""), []);
    assert.deepEqual(offered(script, "run", "--probe", "--js"), ["--json"]);
  });
});

test("zsh runs it by its bridge", async () => {
  const { status, stdout } = await warder("completion", "zsh");
  assert.equal(status, 0);
  assert.match(
    stdout,
    /^#compdef warder\nautoload -U \+X bashcompinit && bashcompinit\n[\s\S]*complete -o default -F _warder warder\n$/,
  );
});

test("fish gets what each word means, quoted", async () => {
  const { stdout } = await warder("completion", "fish");
  assert.match(stdout, /^complete -c warder -n __fish_use_subcommand -f -a ps -d 'list VMs'$/m);
  assert.match(stdout, /^complete -c warder -n '__fish_seen_subcommand_from run' -l detach -s d -d '.*'$/m);
  assert.match(stdout, /^complete -c warder -n '__fish_seen_subcommand_from run' -l kernel -r -d /m);
  const flags = [{ long: "--x", takesValue: false, description: "it's \\ here" }];
  assert.match(fishScript([{ name: "a", summary: "b", flags, takesIds: false }]), /-d 'it\\'s \\\\ here'$/m);
});

test("programs get it in a document; another shell is refused", async () => {
  const document = JSON.parse((await warder("completion", "bash", "--json")).stdout) as { shell: string };
  assert.equal(document.shell, "bash");
  const refused = await warder("completion", "tcsh");
  assert.equal(refused.status, 2);
  assert.match(refused.stderr, /SHELL: must be bash, zsh or fish, not "tcsh"/);
  assert.equal((await warder("completion")).status, 2);
});
