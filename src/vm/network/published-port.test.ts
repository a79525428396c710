import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  formatPublishedPort,
  isLoopbackOnly,
  isSameHostPort,
  type PublishedPort,
  readPublishedPort,
} from "./published-port.ts";

const port = (text: string): PublishedPort => {
  const read = readPublishedPort(text);
  assert.ok(typeof read !== "string", `${text}: ${read}`);
  return read;
};
const anyPort = fc.integer({ min: 1, max: 65_535 });
const anyPublished = fc
  .tuple(
    fc.constantFrom("", "127.0.0.1:", "192.0.2.7:", "[fd00::7]:"),
    anyPort,
    anyPort,
    fc.constantFrom("", "/tcp", "/udp"),
  )
  .map((parts) => `${parts[0]}${parts[1]}:${parts[2]}${parts[3]}`);

describe("a published port", () => {
  test("is read as it is written", () =>
    fc.assert(
      fc.property(anyPublished, (text) => assert.deepEqual(port(formatPublishedPort(port(text))), port(text))),
    ));

  test("is on all addresses and TCP's where nothing else is said", () => {
    assert.deepEqual(port("8080:80"), { hostPort: 8080, guestPort: 80, protocol: "tcp" });
    assert.deepEqual(port("80"), { guestPort: 80, protocol: "tcp" });
    assert.equal(formatPublishedPort(port("80")), "80/tcp");
    assert.deepEqual(port("0.0.0.0:8080:80"), port("8080:80"));
    assert.deepEqual(port("[::]:8080:80"), port("8080:80"));
  });

  test("that is none is refused", () => {
    for (const text of [
      "",
      "80:",
      ":80",
      "80:80/sctp",
      "0:80",
      "80:65536",
      "a:80:80",
      "1.2.3.4.5:80:80",
      "[1.2.3.4:80:80",
      "80:80;",
      "300.0.0.1:80:80",
    ])
      assert.equal(typeof readPublishedPort(text), "string", text);
    assert.match(String(readPublishedPort("[::1]:80:80")), /use 127\.0\.0\.1/);
    assert.match(String(readPublishedPort("[0:0:0:0:0:0:0:1]:80:80")), /use 127\.0\.0\.1/);
    assert.match(String(readPublishedPort("239.0.0.1:80:80")), /an address of the host/);
  });

  test("meets another on the same port, protocol and address, and on all addresses", () => {
    assert.ok(isSameHostPort(port("8080:80"), port("127.0.0.1:8080:81")));
    assert.ok(isSameHostPort(port("127.0.0.1:8080:80"), port("127.0.0.1:8080:81")));
    assert.ok(!isSameHostPort(port("127.0.0.1:8080:80"), port("127.0.0.2:8080:80")));
    assert.ok(!isSameHostPort(port("8080:80"), port("8080:80/udp")));
    assert.ok(!isSameHostPort(port("8080:80"), port("8081:80")));
    assert.ok(!isSameHostPort(port("80"), port("80")));
  });

  test("of 127.0.0.0/8 is the host's alone", () => {
    assert.ok(isLoopbackOnly(port("127.0.0.5:80:80")));
    assert.ok(!isLoopbackOnly(port("80:80")));
  });
});
