/** Least serious message that is logged. */
export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";
