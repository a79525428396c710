import { type CommonRequest, defineCommand } from "../command.ts";
import { warderVersion } from "../version.ts";

export const serveCommand = defineCommand({
  flags: {},
  details:
    "Serves vmprovisioner.v1 (metald's calls) and warder.v1 over Connect, gRPC and gRPC-Web, on a Unix socket and a\n" +
    "TCP port; takes over VMs that run. `warder config` shows where, docs/doors.md who may come in, docs/api.md what can\n" +
    "be asked. SIGTERM lets requests end and VMs go on; SIGHUP reads the settings again.",
  examples: [
    ["warder serve", "Serve as /etc/warder/warder.toml and the environment say"],
    ["warder serve --preset development", "Serve on a machine for trying things"],
    [`curl -X POST http://localhost:8080/vmprovisioner.v1.VmService/ListVms -d '{}'`, "Ask it, from another terminal"],
  ],
  parse: ({ common }): CommonRequest => common,
  async execute({ overrides }) {
    const [{ serve }, { listenToDaemonSignals }] = await Promise.all([
      import("../../rpc/life/serve.ts"),
      import("../../rpc/life/signals.ts"),
    ]);
    using signals = listenToDaemonSignals();
    await serve({ overrides, version: warderVersion, signals });
    return 0;
  },
});
