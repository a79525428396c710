/** What Firecracker refuses: one problem, named differently by the API, by the configuration file and in the logs. */

/** A section of the configuration, with the words that the API and the configuration file put before its problems. */
export type Section = keyof typeof SECTIONS;

const SECTIONS = {
  balloon: { api: "Balloon config error", file: "Balloon device error", variant: "BalloonDevice" },
  bootSource: { api: "Boot source error", file: "Boot source error", variant: "BootSource" },
  drive: { api: "Drive config error", file: "Block device error", variant: "BlockDevice" },
  entropy: { api: "Entropy device error", file: "Entropy device error", variant: "EntropyDevice" },
  loadSnapshot: { api: "Load snapshot error", file: "", variant: "" },
  createSnapshot: { api: "Create snapshot error", file: "", variant: "" },
  logger: { api: "Logger error", file: "Logger error", variant: "Logger" },
  machine: { api: "Machine config error", file: "VM config error", variant: "MachineConfig" },
  metrics: { api: "Metrics error", file: "Metrics error", variant: "Metrics" },
  mmds: { api: "MMDS error", file: "", variant: "" },
  mmdsConfig: { api: "MMMDS config error", file: "MMDS config error", variant: "MmdsConfig" },
  mmdsLimit: { api: "MMDS limit exceeded error", file: "", variant: "" },
  network: { api: "Network config error", file: "Network device error", variant: "NetDevice" },
  start: { api: "Start microvm error", file: "", variant: "" },
  vsock: { api: "Vsock config error", file: "Vsock device error", variant: "VsockDevice" },
} as const;

/** One problem with one section. */
export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly section: Section | undefined;
  readonly debug: string;
  /** HTTP status of the answer. */
  readonly status: 400 | 413;

  constructor(section: Section | undefined, message: string, debug: string, status: 400 | 413 = 400) {
    super(message);
    this.section = section;
    this.debug = debug;
    this.status = status;
  }

  /** As an API answer's `fault_message`. */
  get fault(): string {
    return this.section === undefined ? this.message : `${SECTIONS[this.section].api}: ${this.message}`;
  }

  /** As a line about the configuration file, and the variant it is in debug form. */
  get inFile(): { readonly message: string; readonly debug: string } {
    if (this.section === undefined) return { message: this.message, debug: this.debug };
    const { file, variant } = SECTIONS[this.section];
    return { message: `${file}: ${this.message}`, debug: `${variant}(${this.debug})` };
  }
}

/** A failed attempt to restore a snapshot: the answer goes out, and the process ends. */
export class RestoreFailure extends Refusal {
  constructor(problem: string) {
    super("loadSnapshot", `Failed to restore from snapshot: ${problem}`, "RestoreFromSnapshot");
  }
}

const UNSUPPORTED = "The requested operation is not supported";

export const beforeStart = () =>
  new Refusal(undefined, `${UNSUPPORTED} before starting the microVM.`, "OperationNotSupportedPreBoot");

export const afterStart = () =>
  new Refusal(undefined, `${UNSUPPORTED} after starting the microVM.`, "OperationNotSupportedPostBoot");

export const notSupported = (reason: string) =>
  new Refusal(undefined, `${UNSUPPORTED}: ${reason}`, `NotSupported(${JSON.stringify(reason)})`);
