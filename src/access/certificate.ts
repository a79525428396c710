import type { DetailedPeerCertificate, PeerCertificate } from "node:tls";
import { type Tenant, tenantProblem } from "../vm/belongings.ts";
import { type Caller, isRole, roles } from "./caller.ts";

/** The organization of callers of all tenants: no tenant can have this name. */
export const ALL_TENANTS = "*";

/**
 * Who shows a certificate that one of the configured authorities has signed: its organization (`O`) is the tenant, or
 * `*` for all, its organizational unit (`OU`) the role, its common name (`CN`) the name, as Kubernetes has users and
 * groups in certificates.
 *
 * @returns The caller, or what keeps the certificate from naming one, as a clause.
 */
export function callerOfCertificate(
  certificate: Pick<PeerCertificate | DetailedPeerCertificate, "subject" | "fingerprint256">,
): Caller | string {
  const { CN: name, O: tenant, OU: role } = certificate.subject ?? {};
  // Where a name is there twice, it is a list: no way to say which of them is meant.
  if (typeof name !== "string" || name === "") return "its subject has no common name (CN), or more than one";
  if (typeof tenant !== "string") return "its subject has no organization (O), or more than one";
  if (typeof role !== "string" || !isRole(role)) {
    return `its subject's organizational unit (OU) is none of ${roles.join(", ")}`;
  }
  const problem = tenant === ALL_TENANTS ? undefined : tenantProblem(tenant);
  if (problem !== undefined) return `its subject's organization (O) ${problem}`;
  const key = `certificate:${certificate.fingerprint256}`;
  return { name, key, role, ...(tenant === ALL_TENANTS ? {} : { tenant: tenant as Tenant }) };
}
