import { UnsupportedError, WebldmError } from "../core/invariant.js";

/** An error as it travels: ours by name, since structured clones of errors forget their class. */
export type PackedError =
  | {
      readonly name: string;
      readonly message: string;
      readonly stack: string | undefined;
      readonly fields: Readonly<Record<string, unknown>>;
    }
  | { readonly value: unknown };

const classes: Readonly<Record<string, new (message: string) => WebldmError>> = { WebldmError, UnsupportedError };

/** Our errors by name, message and fields; others as structured clones carry them (`DOMException`, `TypeError`). */
export function packError(error: unknown): PackedError {
  if (!(error instanceof WebldmError)) return { value: error };
  const { name, message, stack } = error;
  return { name, message, stack, fields: { ...error } };
}

export function unpackError(packed: PackedError): unknown {
  if ("value" in packed) return packed.value;
  const { name, message, stack, fields } = packed;
  const error = new (classes[name] ?? WebldmError)(message);
  return Object.assign(error, fields, stack === undefined ? {} : { stack });
}
