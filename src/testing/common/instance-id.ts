/** What is wrong with an instance id, in both of Rust's forms. */
export interface InstanceIdProblem {
  readonly display: string;
  readonly debug: string;
}

const MAX_BYTES = 64;

/** The check that the jailer and Firecracker share: hyphens, and whatever Unicode calls alphanumeric. */
export function checkInstanceId(id: string): InstanceIdProblem | undefined {
  const length = Buffer.byteLength(id);
  if (length < 1 || length > MAX_BYTES) {
    const display = `Invalid len (${length});  the length must be between 1 and ${MAX_BYTES}`;
    return { display, debug: `InvalidLen(${length}, 1, ${MAX_BYTES})` };
  }
  const characters = [...id];
  const position = characters.findIndex((one) => one !== "-" && !/^[\p{Alphabetic}\p{N}]$/u.test(one));
  if (position === -1) return undefined;
  const character = characters[position];
  return {
    display: `Invalid char (${character}) at position ${position}`,
    debug: `InvalidChar('${character}', ${position})`,
  };
}
