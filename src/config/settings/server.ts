import { bytes, duration, form, listenAddress, listOf, oneOf, path, pathOrNone, whole, yesOrNo } from "../form.ts";
import { optional, setting } from "../setting.ts";

const groupName = /^[a-z_][a-z0-9_-]{0,31}$/;

/** The daemon's doors, and how much may come through them. */
export const serverSettings = {
  tcp: setting({
    schema: yesOrNo,
    about: "Whether the daemon listens on TCP at all.",
    fallback: true,
    reload: "restart",
  }),
  address: setting({
    schema: listenAddress,
    about: "Where it listens. Any address but loopback needs TLS (metald listened on 0.0.0.0 in the clear).",
    fallback: "127.0.0.1",
    seed: ["ADDRESS"],
    reload: "restart",
  }),
  port: setting({
    schema: whole(0, 65_535),
    about: "TCP port; 0 takes any that is free.",
    fallback: 8080,
    seed: ["PORT"],
    reload: "restart",
  }),
  socket: setting({
    schema: pathOrNone,
    about: "Unix socket, mode 0660.",
    fallback: path.parse("/run/warder/warder.sock"),
    reload: "restart",
  }),
  socketGroup: setting({
    schema: form("the name of a group", (given) =>
      typeof given === "string" && groupName.test(given) ? given : undefined,
    ),
    about:
      "Group whose members may use the Unix socket: they are as good as root. Where there is none, root alone may.",
    fallback: "warder",
    reload: "restart",
  }),
  anonymousRole: setting({
    schema: oneOf("none", "read", "operate", "admin"),
    about:
      "What a local user may do at the loopback port, for the tenant `default`, without a token or certificate. Root, the daemon's own user and the members of socket_group are known there by the kernel's word, and may do everything.",
    fallback: "none",
    reload: "now",
  }),
  assetDirs: setting({
    schema: listOf(path),
    about:
      "Directories from which callers who are not admins of the whole host may take kernels and disks. Nobody but root should be able to change what lies there.",
    fallback: [path.parse("/opt/vm-assets")],
    reload: "now",
  }),
  maxBodyBytes: setting({
    schema: bytes(1024, 64 * 1024 ** 2),
    about: "Largest body of a request.",
    fallback: 1024 ** 2,
    reload: "restart",
  }),
  maxHeaderBytes: setting({
    schema: bytes(1024, 1024 ** 2),
    about: "Largest headers of a request.",
    fallback: 16 * 1024,
    reload: "restart",
  }),
  maxConnections: setting({
    schema: whole(1, 100_000),
    about: "Most connections at a time.",
    fallback: 1024,
    reload: "restart",
  }),
  maxRequests: setting({
    schema: whole(1, 100_000),
    about: "Most requests that are served at a time, streams left aside.",
    fallback: 256,
    reload: "now",
  }),
  maxStreams: setting({
    schema: whole(1, 100_000),
    about: "Most streams (watch, console) at a time.",
    fallback: 256,
    reload: "now",
  }),
  requestsPerSecond: setting({
    schema: whole(1, 1_000_000),
    about: "Requests that one caller may make in a second, in the long run.",
    fallback: 200,
    reload: "now",
  }),
  requestBurst: setting({
    schema: whole(1, 1_000_000),
    about: "Requests that one caller may make at once before that rate counts.",
    fallback: 400,
    reload: "now",
  }),
  requestTimeoutMs: setting({
    schema: duration("1s", "1h"),
    about: "Longest time for one request, streams left aside. Callers may ask for less.",
    fallback: 60_000,
    reload: "now",
  }),
  headerTimeoutMs: setting({
    schema: duration("100ms", "10m"),
    about: "Longest time until a request's headers are there: slow clients are cut off.",
    fallback: 10_000,
    reload: "restart",
  }),
  idleTimeoutMs: setting({
    schema: duration("1s", "1h"),
    about: "How long a connection may idle.",
    fallback: 120_000,
    reload: "restart",
  }),
  stallTimeoutMs: setting({
    schema: duration("100ms", "1h"),
    about: "How long a client may leave an answer that waits for it untouched.",
    fallback: 30_000,
    reload: "restart",
  }),
} as const;

/** TLS of the TCP door. */
export const tlsSettings = {
  mode: setting({
    schema: oneOf("disabled", "file"),
    about: "Whether there is TLS, out of files. metald's `spiffe` is refused by name.",
    fallback: "disabled",
    fallbackText: "file where cert_file is given, else disabled",
    seed: ["TLS_MODE"],
    reload: "restart",
  }),
  certFile: optional({
    schema: path,
    about: "Certificate and chain, PEM. Read again at SIGHUP.",
    fallbackText: "none",
    seed: ["TLS_CERT_FILE"],
    reload: "now",
  }),
  keyFile: optional({
    schema: path,
    about: "Its private key, PEM. Must not be readable by everybody.",
    fallbackText: "none",
    seed: ["TLS_KEY_FILE"],
    reload: "now",
  }),
  clientCaFile: optional({
    schema: path,
    about: "Authorities whose certificates callers are known by, PEM.",
    fallbackText: "callers need tokens",
    seed: ["TLS_CA_FILE"],
    reload: "now",
  }),
  requireClientCertificate: setting({
    schema: yesOrNo,
    about: "Whether callers without a certificate are turned away, token or not. Needs client_ca_file.",
    fallback: false,
    reload: "restart",
  }),
} as const;
