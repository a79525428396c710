/** The API server: at most ten connections, one request at a time. */
import { createServer, type Socket } from "node:net";
import type { RequestRecord } from "../common/records.ts";
import type { Release } from "../common/release.ts";
import type { Fault } from "../common/settings.ts";
import { type Bodies, bodiesOf } from "./bodies.ts";
import { type BindProblem, bind } from "./devices.ts";
import {
  CONTINUE,
  formatProtocolError,
  formatReply,
  HttpReader,
  type HttpReply,
  type HttpRequest,
  SERVICE_UNAVAILABLE,
} from "./http.ts";
import type { Translate } from "./jail.ts";
import { JsonError } from "./json-reader.ts";
import type { Log } from "./log.ts";
import { Refusal, RestoreFailure } from "./refusal.ts";
import { type Action, absolutePath, parseRequest, RawJson, RouteError } from "./routes.ts";
import type { Vmm } from "./vmm.ts";

const MAX_CONNECTIONS = 10;
const HANGUP_GRACE_MS = 5;

/** What the server is made of. */
export interface ApiOptions {
  readonly id: string;
  readonly release: Release;
  readonly vmm: Vmm;
  readonly log: Log;
  readonly faults: readonly Fault[];
  readonly payloadLimitBytes: number;
  readonly record: (request: RequestRecord) => void;
  /** Called when an answer is out after which the process can't go on. */
  readonly onFatal: () => void;
}

/** The API of one process. */
export class ApiServer {
  readonly #options: ApiOptions;
  readonly #bodies: Bodies;
  /** Paths whose first request fails. */
  readonly #failing: Set<string>;
  readonly #served = new Set<Socket>();
  #last: Promise<void> = Promise.resolve();

  constructor(options: ApiOptions) {
    this.#options = options;
    this.#bodies = bodiesOf(options.release);
    const prefix = "api-error:";
    this.#failing = new Set(
      options.faults.filter((one) => one.startsWith(prefix)).map((one) => one.slice(prefix.length)),
    );
  }

  /** Opens the socket, or says why not. */
  async listen(path: string, translate: Translate): Promise<BindProblem | undefined> {
    return bind(
      createServer((socket) => this.#accept(socket)),
      path,
      translate,
    );
  }

  #accept(socket: Socket): void {
    // A client that leaves early is no event for the server.
    socket.on("error", () => socket.destroy());
    if (this.#served.size >= MAX_CONNECTIONS) this.#serveOrRefuse(socket);
    else this.#serve(socket);
  }

  /** Connections that were closed just before are counted out first: Node.js hears of them later than of a new one. */
  #serveOrRefuse(socket: Socket): void {
    setTimeout(() => {
      if (this.#served.size < MAX_CONNECTIONS) this.#serve(socket);
      else socket.end(SERVICE_UNAVAILABLE, () => socket.destroy());
    }, HANGUP_GRACE_MS);
  }

  #serve(socket: Socket): void {
    this.#served.add(socket);
    socket.once("close", () => this.#served.delete(socket));
    const reader = new HttpReader(this.#options.payloadLimitBytes, this.#options.release.v1_16);
    socket.on("data", (input) => {
      if (this.#options.faults.includes("hang-on-api")) return;
      for (const event of reader.push(input as Buffer)) {
        if (event.kind === "request") this.#enqueue(socket, event.request);
        else socket.write(event.kind === "continue" ? CONTINUE : formatProtocolError(event.message));
      }
    });
  }

  /** One thread serves all connections: a long request makes the others wait. */
  #enqueue(socket: Socket, request: HttpRequest): void {
    this.#last = this.#last.then(async () => {
      const { reply, isFatal } = await this.#answer(request);
      this.#options.record(this.#describe(request, reply));
      socket.write(formatReply(reply));
      if (isFatal) this.#options.onFatal();
    });
  }

  #describe({ method, uri, body }: HttpRequest, { status }: HttpReply): RequestRecord {
    const text = body?.toString() ?? "";
    return { kind: "request", id: this.#options.id, method: method.toUpperCase(), path: uri, body: text, status };
  }

  async #answer(request: HttpRequest): Promise<{ reply: HttpReply; isFatal: boolean }> {
    this.#logRequest(request);
    if (this.#failing.delete(request.uri)) return { reply: fault("Fault injected by a test."), isFatal: false };
    const action = this.#parse(request);
    if ("status" in action) return { reply: action, isFatal: false };
    return this.#run(action);
  }

  /** Bodies are logged, other than those of the metadata store, which may hold secrets. */
  #logRequest({ method, uri, body }: HttpRequest): void {
    const path = absolutePath(uri);
    const shown = body === undefined || path === "/mmds" ? "" : ` with body ${JSON.stringify(body.toString())}`;
    this.#options.log.info(`The API server received a ${method} request on "${path}"${shown}.`, "fc_api");
  }

  #parse(request: HttpRequest): Action | HttpReply {
    try {
      return parseRequest(request, this.#bodies, this.#options.release, () => this.#instance());
    } catch (error) {
      if (error instanceof JsonError) {
        this.#options.log.error(`SerdeJson(${error.debug})`, "fc_api");
        return fault(`An error occurred when deserializing the json body of a request: ${error.display}.`);
      }
      if (!(error instanceof RouteError)) throw error;
      this.#options.log.error(error.debug, "fc_api");
      return fault(error.message);
    }
  }

  #instance(): unknown {
    const id = this.#options.faults.includes("wrong-id") ? "somebody-else" : this.#options.id;
    const { version } = this.#options.release;
    return { id, state: this.#options.vmm.state, vmm_version: version, app_name: "Firecracker" };
  }

  async #run(action: Action): Promise<{ reply: HttpReply; isFatal: boolean }> {
    const { log, vmm } = this.#options;
    const deprecated = action.deprecated === true;
    const startedNs = process.hrtime.bigint();
    try {
      const result = await action.run(vmm);
      const body = result instanceof RawJson ? result.text : result === undefined ? undefined : JSON.stringify(result);
      const words = body === undefined ? "204 No Content" : "200 OK";
      log.info(`The request was executed successfully. Status code: ${words}.`, "fc_api");
      const tookUs = (process.hrtime.bigint() - startedNs) / 1000n;
      if (action.timed !== undefined) log.info(`'${action.timed}' API request took ${tookUs} us.`, "fc_api");
      return { reply: { status: body === undefined ? 204 : 200, ...(body && { body }), deprecated }, isFatal: false };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const words = error.status === 413 ? "413 Payload Too Large" : "400 Bad Request";
      log.error(`Received Error. Status code: ${words}. Message: ${error.fault}`, "fc_api");
      return { reply: { ...fault(error.fault, error.status), deprecated }, isFatal: error instanceof RestoreFailure };
    }
  }
}

function fault(message: string, status: 400 | 413 = 400): HttpReply {
  return { status, body: JSON.stringify({ fault_message: message }) };
}
