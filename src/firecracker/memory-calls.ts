import type * as z from "zod";
import * as answers from "./answers.ts";
import type { CallOptions } from "./exchange.ts";
import type * as models from "./models.ts";
import { type Operation, operations } from "./operations.ts";

/** The two ways in which a client calls. */
export interface Caller {
  readonly send: (operation: Operation, body: unknown, options?: CallOptions) => Promise<void>;
  readonly ask: <Answer extends z.ZodType>(
    operation: Operation,
    answer: Answer,
    options?: CallOptions,
  ) => Promise<z.output<Answer>>;
}

/** Operations of the balloon. */
export interface BalloonCalls {
  get(options?: CallOptions): Promise<answers.BalloonAnswer>;
  /** Adds or replaces the device. Before the start. */
  put(body: models.Balloon, options?: CallOptions): Promise<void>;
  /** Sets its size. Refused until the guest's driver is there. */
  resize(amountMib: number, options?: CallOptions): Promise<void>;
  /** Figures of the device, and others that the guest says of itself. */
  statistics(options?: CallOptions): Promise<answers.BalloonStatistics>;
  /** Sets how often statistics are asked for, where they were switched on before the start. */
  setPollingInterval(seconds: number, options?: CallOptions): Promise<void>;
  /** Starts a run of hinting. From 1.14. */
  startHinting(acknowledgeOnStop: boolean, options?: CallOptions): Promise<void>;
  /** Ends a run of hinting. From 1.14. */
  stopHinting(options?: CallOptions): Promise<void>;
  /** How far a run of hinting is. From 1.14. */
  hintingStatus(options?: CallOptions): Promise<answers.HintingStatus>;
}

/** Operations of memory hotplug, from 1.14. */
export interface HotplugMemoryCalls {
  get(options?: CallOptions): Promise<answers.HotplugMemoryAnswer>;
  /** Adds the device. Before the start. */
  put(body: models.HotplugMemory, options?: CallOptions): Promise<void>;
  /** Asks the guest to have so much; it does so in its own time. */
  resize(requestedSizeMib: number, options?: CallOptions): Promise<void>;
}

/** The balloon's part of a client. */
export function balloonCalls({ send, ask }: Caller): BalloonCalls {
  return {
    get: (options) => ask(operations.balloon, answers.balloon, options),
    put: (body, options) => send(operations.putBalloon, body, options),
    resize: (amountMib, options) => send(operations.patchBalloon, { amount_mib: amountMib }, options),
    statistics: (options) => ask(operations.balloonStatistics, answers.balloonStatistics, options),
    setPollingInterval: (seconds, options) =>
      send(operations.patchBalloonStatistics, { stats_polling_interval_s: seconds }, options),
    startHinting: (acknowledgeOnStop, options) =>
      send(operations.startHinting, { acknowledge_on_stop: acknowledgeOnStop }, options),
    stopHinting: (options) => send(operations.stopHinting, {}, options),
    hintingStatus: (options) => ask(operations.hintingStatus, answers.hintingStatus, options),
  };
}

/** Memory hotplug's part of a client. */
export function hotplugMemoryCalls({ send, ask }: Caller): HotplugMemoryCalls {
  return {
    get: (options) => ask(operations.hotplugMemory, answers.hotplugMemory, options),
    put: (body, options) => send(operations.putHotplugMemory, body, options),
    resize: (requestedSizeMib, options) =>
      send(operations.patchHotplugMemory, { requested_size_mib: requestedSizeMib }, options),
  };
}
