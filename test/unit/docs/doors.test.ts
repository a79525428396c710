/** The commands of docs/doors.md, as they are printed, at doors that are open. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, type TestContext, test } from "node:test";
import { promisify } from "node:util";
import type { Caller } from "../../../src/access/caller.ts";
import { readConfig } from "../../../src/config/read.ts";
import type { Tenant } from "../../../src/vm/belongings.ts";
import { requires } from "../../support/capability.ts";
import { makeAuthority } from "../../support/rpc/certificates.ts";
import { serveOnLoopback } from "../../support/rpc/on-loopback.ts";

const page = readFileSync(join(import.meta.dirname, "../../../docs/doors.md"), "utf8");

/** The lines of a section's examples that begin with a program. */
function commands(section: string, program: string): string[] {
  const [, text = ""] = page.split(`## ${section}\n`);
  return (text.split("\n## ")[0] ?? "").split("\n").filter((line) => line.startsWith(program));
}

async function sh(command: string, env: Record<string, string>, cwd = "/"): Promise<string> {
  const { stdout } = await promisify(execFile)("sh", ["-ec", command], { env: { ...process.env, ...env }, cwd });
  return stdout;
}

const acme: Caller = { name: "ci", key: "ci", role: "operate", tenant: "acme" as Tenant };

/** A door with TLS, and an authority that both ends know. */
async function serveTls(context: TestContext, requireCertificate: boolean) {
  const authority = makeAuthority(context);
  const { cert, key } = authority.sign("/CN=localhost");
  const tls = {
    cert,
    key,
    ca: authority.cert,
    requestCert: requireCertificate,
    rejectUnauthorized: requireCertificate,
  };
  const door = { kind: "tls", address: "127.0.0.1", port: 0, tls } as const;
  const served = await serveOnLoopback(context, { door, tokens: { "the-secret": acme } });
  await served.host.create({ id: "ours", kernel: "probe", tenant: "acme" });
  await served.host.create({ id: "theirs", kernel: "probe", tenant: "other" });
  return { url: `https://localhost:${served.port}`, directory: join(authority.certFile, "..") };
}

/** What a tenant's caller sees: its own, and none but that. */
function assertOurs(answer: string): void {
  const { vms } = JSON.parse(answer) as { vms: { vmId: string }[] };
  assert.deepEqual(
    vms.map(({ vmId }) => vmId),
    ["ours"],
  );
}

describe("docs/doors.md", requires("curl"), () => {
  test("the loopback door answers the commands there", async (context) => {
    const { url } = await serveOnLoopback(context);
    const [list = "", capacity = "", ...others] = commands("TCP on loopback", "curl");
    assert.deepEqual([await sh(list, { URL: url }), others], ["{}", []]);
    assert.ok(JSON.parse(await sh(capacity, { URL: url })));
  });

  test("a token's bearer sees its tenant's VMs", async (context) => {
    const { url, directory } = await serveTls(context, false);
    const [list = ""] = commands("TLS and tokens", "curl");
    assertOurs(await sh(list, { URL: url, TOKEN: "the-secret" }, directory));
    const [without = ""] = commands("Mutual TLS", "curl");
    assert.match(await sh(list, { URL: url, TOKEN: "another" }, directory), /"unauthenticated"/);
    assert.match(without, /--cert me\.crt/);
  });

  test("a certificate made as it says is known by its subject", async (context) => {
    const { url, directory } = await serveTls(context, true);
    for (const command of commands("Mutual TLS", "openssl")) await sh(command, {}, directory);
    const [list = ""] = commands("Mutual TLS", "curl");
    assertOurs(await sh(list, { URL: url }, directory));
    await assert.rejects(sh(list.replace("--cert me.crt --key me.key", ""), { URL: url }, directory));
  });

  test("its settings are taken", () => {
    const texts = [...page.matchAll(/^```toml\n([\s\S]*?)^```/gm)].map(([, text = ""]) => text);
    assert.equal(texts.length, 2);
    for (const text of texts) {
      const file = { path: "/etc/warder/warder.toml", text };
      assert.equal(readConfig({ overrides: {}, environment: {}, file }).config.tls.mode, "file");
    }
  });
});
