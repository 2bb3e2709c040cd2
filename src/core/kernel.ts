/** Types that a field of a kernel's `Params` struct can have. */
export type ParamType = "u32" | "i32" | "f32";

/**
 * What a WGSL file needs from outside, by name. Bindings follow the order reads, writes, params (one uniform, only when
 * there are params); `consts` are the top-level `const` and `alias` declarations that a call may rewrite.
 */
export interface Kernel<
  R extends string = string,
  W extends string = string,
  P extends string = string,
  C extends string = string,
> {
  readonly name: string;
  readonly code: string;
  readonly reads: readonly R[];
  readonly writes: readonly W[];
  readonly params: Readonly<Record<P, ParamType>>;
  readonly consts: readonly C[];
}

/** Values for a kernel's constants: a type name for an `alias`, a number for a `const`. */
export type ConstValues = Readonly<Record<string, string | number>>;

/** Declares a kernel; the names become types, so that a misspelt binding does not compile. */
export function defineKernel<
  const R extends string,
  const W extends string,
  const P extends string,
  const C extends string,
>(kernel: Kernel<R, W, P, C>): Kernel<R, W, P, C> {
  return Object.freeze(kernel);
}
