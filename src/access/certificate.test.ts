import assert from "node:assert/strict";
import { test } from "node:test";
import { callerOfCertificate } from "./certificate.ts";

const shown = (subject: Record<string, unknown>) =>
  callerOfCertificate({ subject, fingerprint256: "AA:BB" } as unknown as Parameters<typeof callerOfCertificate>[0]);

test("a certificate's subject names caller, tenant and role", () => {
  assert.deepEqual(shown({ CN: "deployer", O: "acme", OU: "operate" }), {
    name: "deployer",
    key: "certificate:AA:BB",
    tenant: "acme",
    role: "operate",
  });
});

test("an organization of * is of all tenants", () => {
  assert.deepEqual(shown({ CN: "ops", O: "*", OU: "admin" }), { name: "ops", key: "certificate:AA:BB", role: "admin" });
});

test("a subject that names no caller is refused, with the reason", () => {
  const refused: [Record<string, unknown>, RegExp][] = [
    [{}, /common name/],
    [{ CN: "", O: "acme", OU: "read" }, /common name/],
    [{ CN: ["a", "b"], O: "acme", OU: "read" }, /common name/],
    [{ CN: "a", OU: "read" }, /organization/],
    [{ CN: "a", O: ["acme", "other"], OU: "read" }, /organization/],
    [{ CN: "a", O: "a/b", OU: "read" }, /organization/],
    [{ CN: "a", O: "acme" }, /none of read, operate, admin/],
    [{ CN: "a", O: "acme", OU: "root" }, /none of read, operate, admin/],
    [{ CN: "a", O: "acme", OU: ["read", "admin"] }, /none of read, operate, admin/],
  ];
  for (const [subject, reason] of refused) assert.match(String(shown(subject)), reason, JSON.stringify(subject));
});
