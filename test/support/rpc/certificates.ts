import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";

/** A certificate and its key, PEM, and where they lie. */
export interface Pair {
  readonly cert: string;
  readonly key: string;
  readonly certFile: string;
  readonly keyFile: string;
}

/** An authority made for one test. */
export interface Authority extends Pair {
  /** Signs a certificate of `/CN=…/O=…/OU=…`, good for loopback. */
  sign(subject: string): Pair;
}

/** Makes an authority with `openssl`. */
export function makeAuthority(context: TestContext, name = "authority"): Authority {
  const directory = mkdtempSync(join(tmpdir(), "warder-ca-"));
  context.after(() => rmSync(directory, { recursive: true }));
  const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd: directory, stdio: "pipe" });
  const keyArgs = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  openssl("req", "-x509", ...keyArgs, "-keyout", "ca.key", "-out", "ca.crt", "-days", "2", "-subj", `/CN=${name}`);
  const read = (stem: string): Pair => ({
    cert: readFileSync(join(directory, `${stem}.crt`), "utf8"),
    key: readFileSync(join(directory, `${stem}.key`), "utf8"),
    certFile: join(directory, `${stem}.crt`),
    keyFile: join(directory, `${stem}.key`),
  });
  let count = 0;
  return {
    ...read("ca"),
    sign(subject) {
      const stem = `leaf-${++count}`;
      writeFileSync(join(directory, "san.cnf"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n");
      openssl("req", ...keyArgs, "-keyout", `${stem}.key`, "-out", `${stem}.csr`, "-subj", subject);
      openssl(
        ...["x509", "-req", "-in", `${stem}.csr`, "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial"],
        ...["-out", `${stem}.crt`, "-days", "2", "-extfile", "san.cnf"],
      );
      return read(stem);
    },
  };
}
