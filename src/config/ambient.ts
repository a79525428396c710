import type { FieldProblem } from "../vm/error.ts";
import { type Environment, type Given, variableOf } from "./origin.ts";
import type { ConfigOverrides } from "./overrides.ts";

const kindsOfEnvironment = ["production", "development", "test"];

/**
 * Who asks for production's rules without naming the preset: it is chosen then where no other is named. A caller may
 * ask for these rules outside production, never for laxer ones inside it.
 */
export function askedForProduction({ production }: ConfigOverrides, environment: Environment): Given[] {
  const variables = ["WARDER_ENV", "NODE_ENV"].filter((name) => environment[name] === "production");
  return [
    ...(production === true ? [{ value: "production", origin: "flag" as const, where: () => "production" }] : []),
    ...variables.map((name) => ({ value: "production", origin: "environment" as const, where: () => name })),
  ];
}

/** `WARDER_ENV=prod` would silently be no production. NODE_ENV is not Warder's to judge. */
export function wrongEnvironmentName(environment: Environment): FieldProblem[] {
  const value = variableOf(environment, "WARDER_ENV");
  if (value === undefined || kindsOfEnvironment.includes(value)) return [];
  const problem = `must be one of ${kindsOfEnvironment.join(", ")}, not ${JSON.stringify(value)}`;
  return [{ field: "WARDER_ENV", problem }];
}

/** Where tools are looked for, which is needed before anything else can be read. */
export function searchPathOf({ searchPath }: ConfigOverrides = {}, environment: Environment = process.env): string {
  return searchPath ?? environment.PATH ?? "";
}

/** Whether terminal output may be coloured. */
export function mayColor({ color }: ConfigOverrides, environment: Environment): boolean {
  return color ?? variableOf(environment, "NO_COLOR") === undefined;
}

/** Where the service manager that started this process wants to be told how it is: sd_notify(3). */
export function notifySocketOf(environment: Environment = process.env): string | undefined {
  return variableOf(environment, "NOTIFY_SOCKET");
}
