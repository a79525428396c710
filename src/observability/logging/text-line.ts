/**
 * A line of the log for people: `15:04:05.123 warn  VM ended vm_id=vm-1 cause=killed`. Made of the JSON line, so both
 * say the same. What steers terminals is taken out: what is logged may be of a guest's making.
 */
export function textLine(jsonLine: string): string {
  const { level, time, msg, ...details } = JSON.parse(jsonLine) as Record<string, unknown>;
  const clock = String(time).slice(11, 23);
  const shown = Object.entries(details).map(([name, value]) => `${name}=${text(value)}`);
  return `${[clock, String(level).padEnd(5), harmless(String(msg)), ...shown].join(" ")}\n`;
}

function text(value: unknown): string {
  if (typeof value === "string" && /^[\w./:@%+-]+$/.test(value)) return value;
  return harmless(JSON.stringify(value));
}

function harmless(value: string): string {
  return value.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, " ");
}
