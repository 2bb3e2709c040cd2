import type { PackedError } from "./errors.js";

/** What travels between the page and the worker. Each side numbers its own calls, functions, signals and what it throws. */
export type Message =
  /** Calls a function of the receiver. */
  | { readonly type: "call"; readonly call: number; readonly id: number; readonly args: unknown }
  | { readonly type: "answer"; readonly call: number; readonly value: unknown }
  | {
      readonly type: "failure";
      readonly call: number;
      readonly error: PackedError;
      /** The sender's number of what was thrown; the receiver's, where it came from there. */
      readonly thrown: number;
      readonly yours: number | undefined;
    }
  /** A signal of the sender was aborted. The reason stays there. */
  | { readonly type: "abort"; readonly signal: number };
