import type { Times } from "./clock.js";

/** One measured piece of work. */
export interface Row {
  /** Stays the same from run to run: reports are compared by it. */
  readonly id: string;
  /** Milliseconds. */
  readonly time: Times;
  /** Floating-point operations of products. */
  readonly flops?: number;
  /** Bytes that must be read and written at least. */
  readonly bytes?: number;
  /** Relative error (root mean square) against float64, or what `note` says. */
  readonly error?: number;
  /** Milliseconds. */
  readonly required?: number;
  readonly aim?: number;
  readonly note?: string;
}

/** One distinct kernel, constants and shape in a program. */
export interface KernelRow extends Row {
  /** Dispatches of the program that are like it. */
  readonly count: number;
  /** Share of all dispatches' time. */
  readonly share: number;
}

/** All kernels of one program. */
export interface KernelTable {
  readonly program: string;
  readonly dispatches: number;
  /** The program as it runs, timed as one pass. */
  readonly pass: Times;
  /** All dispatches, each timed in a pass of its own: more than `pass` by what passes cost. */
  readonly sum: number;
  readonly rows: readonly KernelRow[];
}
