import assert from "node:assert/strict";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { test } from "node:test";
import { contextOn, runCheck } from "../../../test/support/doctor-context.ts";
import type { CommandRequest } from "../../host/host.ts";
import type { CheckContext } from "../check.ts";
import { networkChecks } from "./network.ts";

/** The context with other tools. */
function withCommands(context: CheckContext, run: (request: CommandRequest) => Promise<never>): CheckContext {
  return { ...context, host: { ...context.host, commands: { ...context.host.commands, run } } };
}

test("namespaces are not tried without the tool for it", async (t) => {
  const { status, found } = await runCheck(networkChecks, "netns", contextOn(t, { missingTools: ["unshare"] }));
  assert.deepEqual([status, found], ["skipped", "there is no `unshare` to try it with"]);
});

test("a machine that refuses namespaces gets a warning, with the reason", async (t) => {
  const refusing = withCommands(contextOn(t), () => Promise.reject(new Error("Operation not permitted")));
  const { status, found } = await runCheck(networkChecks, "netns", refusing);
  assert.deepEqual([status, found], ["warning", "none can be made: Operation not permitted"]);
});

test("a doctor that is told to stop says nothing of namespaces", async (t) => {
  const context = withCommands(contextOn(t), () => Promise.reject(new Error("killed")));
  const stopped = { ...context, signal: AbortSignal.abort(new Error("enough")) };
  await assert.rejects(runCheck(networkChecks, "netns", stopped), /enough/);
});

test("the tun device is told to be missing, to be something else, or to be kept from us", async (t) => {
  const context = contextOn(t);
  const path = `${context.directory}/dev/net/tun`;
  const check = async (on: CheckContext = context) => {
    const { status, found } = await runCheck(networkChecks, "tun-device", on);
    return `${status}: ${found.replace(path, "tun")}`;
  };
  assert.equal(await check(), "warning: tun is not there");
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, "");
  chmodSync(path, 0o600);
  assert.equal(await check(), "warning: tun is not the tun device");
  const facts = { kind: "character", deviceNumber: "10:200" } as const;
  const { host } = context;
  const inspectFollowing: typeof host.files.inspectFollowing = (each) => {
    const real = host.files.inspectFollowing(each);
    return real === undefined ? undefined : { ...real, ...facts };
  };
  const readHead = () => {
    throw Object.assign(new Error("no"), { code: "EPERM" });
  };
  const kept = { ...context, host: { ...host, files: { ...host.files, inspectFollowing, readHead } } };
  assert.equal(await check(kept), "warning: tun can not be opened: EPERM");
});
