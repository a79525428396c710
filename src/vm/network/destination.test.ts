import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type Destination, formatDestination, readDestination } from "./destination.ts";

const reads: Readonly<Record<string, Destination>> = {
  "10.0.0.0/8": { to: { range: "10.0.0.0/8" as never }, protocol: "any" },
  "10.0.0.5": { to: { range: "10.0.0.5/32" as never }, protocol: "any" },
  "10.0.0.0/8:443": { to: { range: "10.0.0.0/8" as never }, protocol: "tcp", ports: { first: 443, last: 443 } },
  "10.0.0.5:8000-8100/udp": {
    to: { range: "10.0.0.5/32" as never },
    protocol: "udp",
    ports: { first: 8000, last: 8100 },
  },
  "fd00::/8": { to: { range: "fd00::/8" as never }, protocol: "any" },
  "fd00::1/icmp": { to: { range: "fd00::1/128" as never }, protocol: "icmp" },
  "[fd00::/8]:53/udp": { to: { range: "fd00::/8" as never }, protocol: "udp", ports: { first: 53, last: 53 } },
  "::/0": { to: { range: "::/0" as never }, protocol: "any" },
  "DB.example.com:5432": {
    to: { host: "db.example.com" as never },
    protocol: "tcp",
    ports: { first: 5432, last: 5432 },
  },
  "db/udp": { to: { host: "db" as never }, protocol: "udp" },
  "host:3128": { to: "thisHost", protocol: "tcp", ports: { first: 3128, last: 3128 } },
};

describe("a destination", () => {
  for (const [text, destination] of Object.entries(reads))
    test(`${text} is read`, () => assert.deepEqual(readDestination(text), destination));

  test("that is read is written so that it is read again", () =>
    fc.assert(
      fc.property(fc.constantFrom(...Object.keys(reads)), (text) => {
        const destination = readDestination(text);
        assert.ok(typeof destination !== "string");
        assert.deepEqual(readDestination(formatDestination(destination)), destination);
      }),
    ));

  test("that is none is refused with what is wrong", () => {
    const wrong: Readonly<Record<string, RegExp>> = {
      "": /an address, a range or a host's name/,
      "10.0.0.1/8": /10\.0\.0\.0\/8 would be/,
      "10.0.0.5:0": /1 to 65535/,
      "10.0.0.5:70000": /1 to 65535/,
      "10.0.0.5:20-10": /lower port before/,
      "10.0.0.5:53/icmp": /ICMP has none/,
      "127.0.0.1:80": /guest itself/,
      "1.2.3": /IPv4 or IPv6 address/,
      "999.1.1.1": /IPv4 or IPv6 address/,
      "a b": /an address, a range or a host's name/,
      "example.com/24": /an address, a range or a host's name/,
      "exa$mple.com": /an address, a range or a host's name/,
      "[::ffff:10.0.0.1]:80": /IPv6 form/,
      host: /one port/,
      "host:1-2": /one port/,
    };
    for (const [text, expected] of Object.entries(wrong)) {
      const problem = readDestination(text);
      assert.ok(typeof problem === "string", text);
      assert.match(problem, expected, text);
    }
  });

  test("is made of words that no other grammar has a use for, whatever the text", () =>
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[\]["{};$@a-z0-9.:/-]{0,20}$/)), (text) => {
        const destination = readDestination(text);
        if (typeof destination === "string") return;
        const { to } = destination;
        if (to === "thisHost") return;
        assert.match("host" in to ? to.host : to.range, /^[a-z0-9.:/-]+$/);
      }),
    ));
});
