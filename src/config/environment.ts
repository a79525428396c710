import { closest } from "../vm/closest.ts";
import type { FieldProblem } from "../vm/error.ts";
import { catalogue, type NamedSetting } from "./catalogue.ts";
import { type Environment, type Given, variableOf } from "./origin.ts";
import { withoutEffect } from "./without-effect.ts";

/** Variables of Warder's that are no settings. */
const otherVariables = ["WARDER_CONFIG", "WARDER_ENV"];

/** Those of the project's own tests, which start Warder in their midst. */
const testVariable = /^WARDER_(TEST|FAKE)(_|$)|^WARDER_(KVM_SPEED|REQUIRE)$/;

/** What a setting's own variables say, then those of metald. */
export function givenInEnvironment(named: NamedSetting, environment: Environment): Given[] {
  return namesOf(named).flatMap((name) => {
    const value = variableOf(environment, name);
    return value === undefined ? [] : [{ value, origin: "environment" as const, where: () => name }];
  });
}

/** A setting's names in the environment, the nearest first. */
export function namesOf({ variable, aliases, seedVariables, setting }: NamedSetting): readonly string[] {
  return setting.isFileOnly === true ? [] : [variable, ...aliases, ...seedVariables];
}

/** Variables that begin as Warder's or metald's do, and are none: probably misspelt, and never to be passed over. */
export function unknownVariables(environment: Environment): FieldProblem[] {
  const known = [...catalogue.flatMap(namesOf), ...otherVariables, ...withoutEffect.keys()];
  return Object.keys(environment)
    .filter((name) => /^(WARDER|UNKEY_METALD)_/.test(name) && variableOf(environment, name) !== undefined)
    .filter((name) => !known.includes(name) && !testVariable.test(name))
    .toSorted()
    .map((name) => ({ field: name, problem: unknownProblem(closest(name, known)) }));
}

/** The same setting under two names that say different things: neither is taken for the other. */
export function contradictions(named: NamedSetting, environment: Environment): FieldProblem[] {
  const [first, ...others] = [named.variable, ...named.aliases].filter((name) => variableOf(environment, name));
  if (first === undefined) return [];
  return others
    .filter((name) => environment[name] !== environment[first])
    .map((name) => ({ field: name, problem: `is another name of ${first}, which says something else` }));
}

function unknownProblem(meant: string | undefined): string {
  return meant === undefined ? "is no setting" : `is no setting. Did you mean ${meant}?`;
}

/** Variables of metald that are set and mean nothing here, each with the reason. */
export function uselessVariables(environment: Environment): string[] {
  const set = [...withoutEffect].filter(([name]) => variableOf(environment, name) !== undefined);
  return set.map(([name, why]) => `${name} has no effect: ${why}`);
}
