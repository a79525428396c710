/**
 * A value that only its parser can make. The brand exists in the type system alone: at run time it is the bare value.
 *
 * @example
 * type VmId = Brand<string, "VmId">;
 */
export type Brand<Value, Name extends string> = Value & { readonly __brand: Name };
