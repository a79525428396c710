import * as z from "zod";
import { decimal, duration, form, listenAddress, whole, yesOrNo } from "../form.ts";
import { optional, setting } from "../setting.ts";

/** Prometheus metrics. */
export const metricsSettings = {
  enabled: setting({
    schema: yesOrNo,
    about: "Whether metrics are served.",
    fallback: true,
    seed: ["OTEL_PROMETHEUS_ENABLED"],
    reload: "restart",
  }),
  address: setting({
    schema: listenAddress,
    about: "Where they are served, without a question who asks: keep it to loopback or a network of your own.",
    fallback: "127.0.0.1",
    seed: ["OTEL_PROMETHEUS_INTERFACE"],
    reload: "restart",
  }),
  port: setting({
    schema: whole(0, 65_535),
    about: "TCP port; 0 takes any that is free.",
    fallback: 9464,
    seed: ["OTEL_PROMETHEUS_PORT"],
    reload: "restart",
  }),
  perVm: setting({
    schema: yesOrNo,
    about: "Whether there are series for each VM, with its id as a label, for a bounded number of VMs.",
    fallback: true,
    seed: ["OTEL_HIGH_CARDINALITY_ENABLED"],
    reload: "restart",
  }),
} as const;

const endpoint = form("a URL, or host:port, such as http://localhost:4318", (given) => {
  const text = typeof given === "string" ? given : "";
  const { data } = z.url({ protocol: /^https?$/ }).safeParse(/^https?:\/\//.test(text) ? text : `http://${text}`);
  return data === undefined || URL.parse(data)?.hostname === "" ? undefined : data.replace(/\/$/, "");
});

const headers = form("headers such as authorization=Bearer x,tenant=y", (given) => {
  if (typeof given !== "string") return z.record(z.string(), z.string()).safeParse(given).data;
  const pairs = given.split(",").map((each) => /^\s*([A-Za-z0-9-]+)\s*=(.*)$/s.exec(each));
  if (pairs.some((pair) => pair === null)) return undefined;
  return Object.fromEntries(pairs.map((pair) => [pair?.[1] ?? "", (pair?.[2] ?? "").trim()]));
});

const name = form("a name of 1 to 255 printable characters", (given) =>
  typeof given === "string" && /^[\x20-\x7e]{1,255}$/.test(given) ? given : undefined,
);

/** OpenTelemetry traces. */
export const tracingSettings = {
  enabled: setting({
    schema: yesOrNo,
    about: "Whether traces are sent.",
    fallback: false,
    seed: ["OTEL_ENABLED"],
    reload: "restart",
  }),
  endpoint: setting({
    schema: endpoint,
    about: "Where an OTLP collector listens for HTTP.",
    fallback: "http://localhost:4318",
    seed: ["OTEL_ENDPOINT"],
    reload: "restart",
  }),
  headers: setting({
    schema: headers,
    about: "Headers that are sent to the collector, such as a key of its.",
    fallback: {},
    fallbackText: "none",
    isSecret: true,
    reload: "restart",
  }),
  samplingRatio: setting({
    schema: decimal(0, 1),
    about: "Share of traces that begin here which are kept.",
    fallback: 1,
    seed: ["OTEL_SAMPLING_RATE"],
    reload: "restart",
  }),
  serviceName: setting({
    schema: name,
    about: "service.name of the traces (metald: metald).",
    fallback: "warder",
    seed: ["OTEL_SERVICE_NAME"],
    reload: "restart",
  }),
  serviceVersion: optional({
    schema: name,
    about: "service.version of the traces.",
    fallbackText: "Warder's own version",
    seed: ["OTEL_SERVICE_VERSION"],
    reload: "restart",
  }),
} as const;

/** How VMs are looked after. */
export const healthSettings = {
  intervalMs: setting({
    schema: duration("1s", "1h"),
    about: "How often each VM is looked at.",
    fallback: 30_000,
    reload: "restart",
  }),
  timeoutMs: setting({
    schema: duration("10ms", "10m"),
    about: "How long one look may take.",
    fallback: 5000,
    reload: "restart",
  }),
  failureThreshold: setting({
    schema: whole(1, 1000),
    about: "How many looks in a row must fail until a VM counts as unhealthy.",
    fallback: 3,
    reload: "restart",
  }),
  recoveryThreshold: setting({
    schema: whole(1, 1000),
    about: "How many looks in a row must be good until it counts as healthy again.",
    fallback: 2,
    reload: "restart",
  }),
} as const;
