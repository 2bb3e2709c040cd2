/** Which forms of ops are the fastest on an adapter, as measured there: plain data, for JSON. */
export interface TuningTable {
  /** Of the package that measured: names of forms may change from one to the next. */
  readonly version: string;
  /** The adapter, with its driver, as WebGPU tells it. */
  readonly adapter: string;
  /** Stands for the entries: pictures carry it. */
  readonly id: string;
  /** The name of the fastest form by op and shape; "usual" where it is what the op takes anyway. */
  readonly entries: Readonly<Record<string, string>>;
}
