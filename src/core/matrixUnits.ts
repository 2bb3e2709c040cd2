/** What a device's matrix units multiply at once: M x K by K x N in f16, with f32 sums. */
export interface MatrixUnits {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** Invocations of a subgroup. */
  readonly subgroup: number;
  /** Workgroup memory that the device allows, in bytes. */
  readonly workgroupBytes: number;
  /** Invocations of a workgroup that the device allows. */
  readonly invocations: number;
}
