/**
 * An error with a one-line message meant for the person who made the call: it names the thing, what was expected and what came.
 * An aborted call rejects with the reason of its signal (an `AbortError` by default), never with this.
 */
export class WebldmError extends Error {
  /** Always "WebldmError", also where a bundler renames classes. */
  override name = "WebldmError";
}

/** Throws a {@link WebldmError} unless the condition holds. Pass a function where building the message costs something. */
export function invariant(condition: unknown, message: string | (() => string)): asserts condition {
  if (!condition) throw new WebldmError(typeof message === "string" ? message : message());
}

/** Something that the format allows and this engine does not do yet. */
export class UnsupportedError extends WebldmError {
  /** Always "UnsupportedError". */
  override name = "UnsupportedError";
}
