import { listenToSignals } from "./interruption.ts";
import { isAsked, runProgram } from "./program.ts";
import { openTerminal } from "./terminal.ts";

const args = process.argv.slice(2);
const terminal = openTerminal(process.stdout, process.stderr, !isAsked(args, "--no-color"));
process.exitCode = await runProgram(args, terminal, listenToSignals());
