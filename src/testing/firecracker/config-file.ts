/** The configuration file: all sections at once, then the start. */
import { closeSync, constants, openSync, readFileSync, statSync } from "node:fs";
import { Socket } from "node:net";
import { toOsError } from "../common/os-error.ts";
import type { Release } from "../common/release.ts";
import { type Body, bodiesOf } from "./bodies.ts";
import type { Translate } from "./jail.ts";
import { JsonError } from "./json-reader.ts";
import { Refusal } from "./refusal.ts";
import { readJson } from "./schema.ts";
import type { Vmm } from "./vmm.ts";

/** Why a file could not be turned into a running VM, in both of Rust's forms. */
export class ConfigFileError extends Error {
  override readonly name = "ConfigFileError";
  readonly debug: string;

  constructor(message: string, debug: string) {
    super(message);
    this.debug = debug;
  }
}

/** Reads a file to its end. On a FIFO that may be long: signals are heard meanwhile, as by the real program. */
export async function readToEnd(path: string): Promise<string> {
  if (!statSync(path).isFIFO()) return readFileSync(path, "utf8");
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const chunks: Buffer[] = [];
  for await (const chunk of new Socket({ fd, readable: true, writable: false })) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

/** Configures and starts. */
export async function startFromFile(text: string, vmm: Vmm, release: Release, translate: Translate): Promise<void> {
  await configure(parse(text, release), vmm, translate);
  try {
    vmm.start();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const message = `Could not Start MicroVM from one single json: ${error.message}`;
    throw new ConfigFileError(message, `StartMicroVM(${error.debug})`);
  }
}

function parse(text: string, release: Release): Body<"file"> {
  try {
    return readJson(text, bodiesOf(release).file);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw invalid(`Invalid JSON: ${error.display}`, `InvalidJson(${error.debug})`);
  }
}

async function configure(file: Body<"file">, vmm: Vmm, translate: Translate): Promise<void> {
  const { resources } = vmm;
  try {
    if (file.logger !== null) resources.setLogger(file.logger);
    if (file.metrics !== null) resources.setMetrics(file.metrics.metrics_path);
    if (file["machine-config"] !== null) resources.setMachine(file["machine-config"]);
    if (file["cpu-config"] !== null) checkReadable(translate(file["cpu-config"]));
    resources.setBootSource(file["boot-source"]);
    for (const drive of file.drives) resources.setDrive(drive);
    for (const wanted of file["network-interfaces"]) resources.setInterface(wanted);
    if (file.vsock !== null) await resources.setVsock(file.vsock);
    if (file.balloon !== null) resources.setBalloon(file.balloon);
    if (file["mmds-config"] !== null) resources.setMmdsConfig(file["mmds-config"]);
    if (file.entropy !== null) resources.setEntropy(file.entropy);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    throw invalid(error.inFile.message, error.inFile.debug);
  }
}

function checkReadable(path: string): void {
  try {
    closeSync(openSync(path, "r"));
  } catch (error) {
    const { display, debug } = toOsError(error);
    throw invalid(`File operation error: ${display}`, `File(${debug})`);
  }
}

function invalid(message: string, debug: string): ConfigFileError {
  return new ConfigFileError(
    `Configuration for VMM from one single json failed: ${message}`,
    `ParseFromJson(${debug})`,
  );
}
