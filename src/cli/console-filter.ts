/**
 * Takes out of a guest's console what can do harm on a terminal, and leaves the rest as it is: colours, cursor moves and
 * full-screen programs work. Taken out are
 *
 * - sequences that carry a string (OSC, DCS, APC, PM, SOS): they set titles, write the clipboard and program keys;
 * - requests that a terminal answers by typing (cursor position, identity, checksums, ENQ), as whoever reads the
 *   keyboard next would take the answer for the user's;
 * - C1 control characters, which begin such sequences too.
 *
 * A string ends with its line at the latest, so that a guest can not hide what comes after it.
 *
 * ```text
 * text ──ESC──► escape ──[──► csi ──final byte──► text
 *   ▲              └──] P _ ^ X──► string ──BEL, ST, line end──► text
 * ```
 */
export class ConsoleFilter {
  readonly #decoder = new TextDecoder("utf-8");
  #state: "text" | "escape" | "csi" | "string" | "string-escape" = "text";
  /** A control sequence that has begun. */
  #sequence = "";
  #hasPassedSequence = false;

  /** Whether the guest has drawn with escape sequences, and may have left the terminal in a state that is not its own. */
  get hasPassedSequence(): boolean {
    return this.#hasPassedSequence;
  }

  /** What of the next bytes may be shown. Sequences and characters may be cut off anywhere between two calls. */
  push(chunk: Uint8Array): string {
    let shown = "";
    for (const char of this.#decoder.decode(chunk, { stream: true })) shown += this.#take(char);
    return shown;
  }

  #take(char: string): string {
    switch (this.#state) {
      case "text":
        return this.#inText(char);
      case "escape":
        return this.#inEscape(char);
      case "csi":
        return this.#inSequence(char);
      case "string":
        return this.#inString(char);
      case "string-escape":
        this.#state = "text";
        return char === "\\" ? "" : this.#inEscape(char);
    }
  }

  #inText(char: string): string {
    this.#state = char === ESC ? "escape" : "text";
    return char === ESC || char === ENQ || isC1(char) ? "" : char;
  }

  #inEscape(char: string): string {
    this.#sequence = "";
    this.#state = char === ESC ? "escape" : char === "[" ? "csi" : "]P_^X".includes(char) ? "string" : "text";
    if (this.#state !== "text" || isC1(char) || char === ASK_IDENTITY) return "";
    // A line end is no part of a sequence, and must not be lost with one that was cut off.
    return char < " " ? this.#inText(char) : this.#pass(`${ESC}${char}`);
  }

  #inSequence(char: string): string {
    if (char < " " || isC1(char) || this.#sequence.length > SEQUENCE_MAX_LENGTH) return this.#inText(char);
    this.#sequence += char;
    if (!isFinal(char)) return "";
    this.#state = "text";
    return isRequest(this.#sequence) ? "" : this.#pass(`${ESC}[${this.#sequence}`);
  }

  #inString(char: string): string {
    if (char === ESC) this.#state = "string-escape";
    else if (char === "\n" || char === "\r") return this.#inText(char);
    else if (stringEnds.has(char)) this.#state = "text";
    return "";
  }

  #pass(sequence: string): string {
    this.#hasPassedSequence = true;
    return sequence;
  }
}

const ESC = "\u001b";
const ENQ = "\u0005";
/** DECID: `ESC Z`. */
const ASK_IDENTITY = "Z";
/** BEL, CAN, SUB and the one-character ST. */
const stringEnds: ReadonlySet<string> = new Set(["\u0007", "\u0018", "\u001a", "\u009c"]);
/** Longer than any sequence that means something. */
const SEQUENCE_MAX_LENGTH = 64;

function isC1(char: string): boolean {
  return char >= "\u0080" && char <= "\u009f";
}

function isFinal(char: string): boolean {
  return char >= "@" && char <= "~";
}

/**
 * Whether a terminal answers the sequence, or moves its window by it: device status (`n`) and attributes (`c`), window
 * operations (`t`), terminal parameters (`x`), checksums (`*y`), modes (`$p`), name and version (`>q`), keyboard (`?u`).
 */
function isRequest(sequence: string): boolean {
  return /[cntx]$|\*y$|\$p$|^>.*q$|^\?.*u$/.test(sequence);
}
