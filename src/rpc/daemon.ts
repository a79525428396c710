import { Code, ConnectError } from "@connectrpc/connect";
import type { Caller } from "../access/caller.ts";
import { LocalPeers } from "../access/local-peer.ts";
import { readTrustedUsers, type TrustedUsers } from "../access/local-users.ts";
import { RateLimiter } from "../access/rate.ts";
import { TokenStore } from "../access/token-store.ts";
import type { Config } from "../config/config.ts";
import type { Warder } from "../lifecycle/warder.ts";
import type { Endpoints } from "../observability/endpoints.ts";
import type { Serving } from "../observability/health/serving.ts";
import type { BeginRequest } from "../observability/requests.ts";
import { WarderError } from "../vm/error.ts";
import { Admission } from "./admission/admission.ts";
import { CoreHost } from "./core-host.ts";
import { Cuts } from "./cuts.ts";
import { Front } from "./front.ts";
import { Traffic } from "./gate/traffic.ts";
import { tokensPath } from "./life/open-tokens.ts";
import { ensureSocketDir } from "./life/socket-dir.ts";
import { HostScope } from "./scope/scope.ts";
import { type OpenDoors, openDoors } from "./server/doors.ts";
import { hostTotals, quotaTotals } from "./totals.ts";
import { vmDefaultsOf } from "./vm-defaults.ts";
import type { MachinePort } from "./warder/host-service.ts";

/** How often wrong tokens may be shown from one address: a typing error, not a search. */
const STRANGER_RATE = { perSecond: 1, burst: 20 };

/** What a daemon is made of. */
export interface DaemonParts {
  readonly config: Config;
  readonly warder: Warder;
  readonly serving: Serving;
  readonly beginRequest: BeginRequest;
  readonly endpoints: Endpoints;
  readonly machine: Omit<MachinePort, "budgets">;
  /** Told of defects that are no caller's to know. */
  readonly onDefect: (error: unknown) => void;
}

/** The services behind doors, for as long as it is not disposed of. VMs are the core's: they outlive it. */
export class Daemon implements AsyncDisposable {
  readonly #parts: DaemonParts;
  readonly #tokens: TokenStore;
  readonly #cuts: Cuts;
  readonly #traffic: Traffic;
  readonly #callerRate: RateLimiter;
  readonly #over = new AbortController();
  #config: Config;
  #users: TrustedUsers;
  #doors: OpenDoors | undefined;

  private constructor(parts: DaemonParts, tokens: TokenStore, users: TrustedUsers) {
    const { clock } = parts.warder.machinery.host;
    this.#parts = parts;
    this.#config = parts.config;
    this.#tokens = tokens;
    this.#users = users;
    this.#cuts = new Cuts((id) => tokens.isWorth(id));
    this.#traffic = new Traffic(parts.config.server);
    this.#callerRate = new RateLimiter(rateOf(parts.config), () => clock.monotonic());
  }

  /**
   * Opens the doors.
   *
   * @throws {@link WarderError} `door-unusable`, `invalid-config`, `store-failed`.
   */
  static async open(parts: DaemonParts, signal: AbortSignal): Promise<Daemon> {
    const { host } = parts.warder.machinery;
    if (!parts.config.jail.enabled) ensureSocketDir(host, parts.config.socketDir);
    const tokens = TokenStore.open(tokensPath(parts.config.stateDir), () => host.clock.now());
    try {
      const users = await readTrustedUsers(host, parts.config.server.socketGroup, signal);
      const daemon = new Daemon(parts, tokens, users);
      daemon.#doors = await openDoors({
        host,
        config: parts.config,
        gid: users.gid,
        front: daemon.#makeFront(),
        endpoints: parts.endpoints,
      });
      return daemon;
    } catch (error) {
      tokens[Symbol.dispose]();
      throw error;
    }
  }

  /** Where it listens, for people: paths and addresses. */
  get addresses(): readonly string[] {
    return this.#doors?.addresses ?? [];
  }

  /**
   * Lets other settings be in force, as far as they can change while it runs.
   *
   * @throws {@link WarderError} where certificates can not be read; everything is as before then.
   */
  async reload(config: Config, signal: AbortSignal): Promise<void> {
    const users = await readTrustedUsers(this.#parts.warder.machinery.host, config.server.socketGroup, signal);
    this.#doors?.replaceCertificates(config);
    this.#users = users;
    this.#config = config;
    this.#traffic.limits = config.server;
    this.#callerRate.rate = rateOf(config);
  }

  /**
   * Takes nothing new, lets requests end that are under way, and streams at once. What has not ended when the signal
   * fires is given up.
   */
  async drain(signal: AbortSignal): Promise<void> {
    this.#parts.serving.set("draining");
    this.#cuts.endStreams(draining());
    this.#doors?.stopTaking();
    const giveUp = () => this.#over.abort(new ConnectError("the daemon stops", Code.Unavailable));
    if (signal.aborted) giveUp();
    signal.addEventListener("abort", giveUp, { once: true });
    await this.#doors?.drained(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort(new ConnectError("the daemon stops", Code.Unavailable));
    this.#cuts[Symbol.dispose]();
    await this.#doors?.[Symbol.asyncDispose]();
    this.#tokens[Symbol.dispose]();
  }

  #makeFront(): Front {
    const { warder, serving, beginRequest, endpoints, machine, onDefect } = this.#parts;
    const { host } = warder.machinery;
    const core = new CoreHost(warder);
    const peers = new LocalPeers(host);
    const admission = this.#makeAdmission(core);
    const hostFor = (caller: Caller) =>
      new HostScope(caller, {
        host: core,
        admission,
        assets: { directories: this.#config.server.assetDirs, resolve: (path) => host.files.resolve(path) },
        vmDefaults: (given) => vmDefaultsOf(this.#config, given),
        nowNanoseconds: () => host.clock.nowNanoseconds(),
      });
    return new Front({
      gate: {
        identity: () => ({
          bearerOf: (token) => this.#tokens.authenticate(token),
          userOf: (connection) => peers.uidOf(connection),
          isTrustedUser: (uid) => this.#users.uids.has(uid),
          anonymousRole: this.#config.server.anonymousRole,
        }),
        hostFor,
        beginRequest,
        callerRate: this.#callerRate,
        strangerRate: new RateLimiter(STRANGER_RATE, () => host.clock.monotonic()),
        isDraining: () => serving.state === "draining",
        cutOf: (caller, isLong, over) =>
          this.#cuts.of(caller, isLong ? undefined : this.#config.server.requestTimeoutMs, over),
      },
      services: {
        machine: { ...machine, budgets: (tenant) => admission.budgets(tenant) },
        tokens: this.#tokens,
        serving,
      },
      traffic: this.#traffic,
      maxBodyBytes: this.#config.server.maxBodyBytes,
      endpoints,
      over: this.#over.signal,
      onDefect,
    });
  }

  #makeAdmission(core: CoreHost): Admission {
    const { machinery } = this.#parts.warder;
    return new Admission({
      records: () => core.records(),
      totals: () => hostTotals(machinery, this.#config),
      quotaOf: (tenant) => quotaTotals(this.#config, tenant),
      demand: () => ({
        overheadMib: this.#config.admission.vmOverheadMib,
        fileBytes: (path) => machinery.host.files.inspectFollowing(path)?.size ?? 0,
      }),
    });
  }
}

function rateOf({ server }: Config) {
  return { perSecond: server.requestsPerSecond, burst: server.requestBurst };
}

function draining(): WarderError {
  return new WarderError("draining", {
    doing: "telling what happens",
    why: "the daemon is about to stop",
    cure: "Connect again in a moment, and go on where this ends",
  });
}
