/** What a device's matrix units multiply at once: M x K by K x N in f16, with f32 sums. */
export interface MatrixUnits {
  /** Rows of the product. */
  readonly m: number;
  /** Columns of the product. */
  readonly n: number;
  /** Products of each sum. */
  readonly k: number;
  /** Invocations of a subgroup. */
  readonly subgroup: number;
  /** Workgroup memory that the device allows, in bytes. */
  readonly workgroupBytes: number;
  /** Invocations of a workgroup that the device allows. */
  readonly invocations: number;
}
