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
  /** Name of the WGSL file without its ending; labels of pipelines carry it. */
  readonly name: string;
  /** The WGSL text, `//#import` lines included; what few devices need is fetched when the first pipeline asks for it. */
  readonly code: string | (() => Promise<{ readonly default: string }>);
  /** Storage buffers that are read, in the order of their bindings. */
  readonly reads: readonly R[];
  /** Storage buffers that are written or updated in place; their bindings follow the reads. */
  readonly writes: readonly W[];
  /** Fields of the uniform `Params`, in its order. */
  readonly params: Readonly<Record<P, ParamType>>;
  /** Top-level constants and aliases that a call gives a value. */
  readonly consts: readonly C[];
  /**
   * A read and a write of which each invocation reads only what it writes itself. Where the value read is not needed any
   * more a plan may bind its memory as the write alone, with the constant IN_PLACE at 1: the kernel reads from there.
   */
  readonly inPlace?: readonly [read: R, write: W];
}

/** The text of a kernel or a library file, fetched where it is not there yet. */
export const textOf = async ({ code }: Pick<Kernel, "code">): Promise<string> =>
  typeof code === "string" ? code : (await code()).default;

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
