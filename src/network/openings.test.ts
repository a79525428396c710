import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { contextOn } from "../../test/support/doctor-context.ts";
import type { CommandRequest, Host } from "../host/host.ts";
import { isWarderError, WarderError } from "../vm/error.ts";
import { toAddress } from "../vm/network/address.ts";
import { type NetworkSpec, networksSchema } from "../vm/network/spec.ts";
import { isPublic, openingsOf, parseAddresses } from "./openings.ts";

const specOf = (allow: string[], dns: string[] = []) =>
  networksSchema.parse([{ mode: "egress", allow, dns }])[0] as NetworkSpec;

/** A host whose resolver answers with a text, or fails. */
function hostWith(host: Host, answer: string | Error): Host {
  const run = async (_request: CommandRequest) => {
    if (typeof answer !== "string") throw answer;
    return { stdout: answer, stderr: "" };
  };
  return { ...host, commands: { ...host.commands, run } };
}

describe("what is allowed", () => {
  test("is opened with hosts looked up, each address once", async (t) => {
    const host = hostWith(
      contextOn(t).host,
      "93.184.216.34   STREAM example.com\n93.184.216.34   DGRAM\n2600:1::34      STREAM\n",
    );
    const openings = await openingsOf(host, specOf(["example.com:443", "10.0.0.0/8", "host:3128"], ["10.0.0.53"]), {});
    const port = { first: 443, last: 443 };
    assert.deepEqual(openings, [
      { range: "93.184.216.34/32", protocol: "tcp", ports: port, host: "example.com" },
      { range: "2600:1::34/128", protocol: "tcp", ports: port, host: "example.com" },
      { range: "10.0.0.0/8", protocol: "any" },
      { range: "10.0.0.53/32", protocol: "udp", ports: { first: 53, last: 53 } },
      { range: "10.0.0.53/32", protocol: "tcp", ports: { first: 53, last: 53 } },
    ]);
  });

  test("is not what a name says of private addresses, or of none", async (t) => {
    const { host } = contextOn(t);
    const unresolved = (error: unknown) => isWarderError(error) && error.code === "host-unresolved";
    for (const answer of [
      "169.254.169.254 STREAM\n",
      "93.184.216.34 STREAM\n10.0.0.5 STREAM\n",
      "fd00::1 STREAM\n",
      "",
      "nonsense\n",
    ])
      await assert.rejects(openingsOf(hostWith(host, answer), specOf(["example.com"]), {}), unresolved, answer);
    const failed = new WarderError("tool-failed", { doing: "running getent", why: "status 2" });
    await assert.rejects(openingsOf(hostWith(host, failed), specOf(["example.com"]), {}), unresolved);
    const aborted = AbortSignal.abort().reason as Error;
    await assert.rejects(openingsOf(hostWith(host, aborted), specOf(["example.com"]), {}), { name: "AbortError" });
  });
});

describe("the public internet", () => {
  test("has no private, link-local, metadata, documentation or multicast address", () => {
    for (const text of [
      "10.1.2.3",
      "172.31.0.1",
      "192.168.0.1",
      "169.254.169.254",
      "127.0.0.1",
      "100.64.0.1",
      "224.0.0.1",
      "255.255.255.255",
      "0.0.0.0",
      "fd00::1",
      "fe80::1",
      "ff02::1",
      "2001:db8::1",
      "2002:a9fe:a9fe::1",
      "64:ff9b::a9fe:a9fe",
    ])
      assert.equal(isPublic(toAddress(text)), false, text);
    for (const text of ["8.8.8.8", "93.184.216.34", "2606:4700:4700::1111"])
      assert.equal(isPublic(toAddress(text)), true, text);
  });
  test("is all that the resolver's answer can hold, whatever it prints", () =>
    fc.assert(fc.property(fc.string(), (text) => void parseAddresses(text).map(isPublic))));
});
