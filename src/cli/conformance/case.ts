import type { Check } from "./compare.js";
import type { Lab } from "./lab.js";

/** Something that the reference data holds and that can be compared. */
export interface Case {
  /** `unet/sd1.c0`, `ops/conv2d.03`. */
  readonly name: string;
  /** What is compared: `unet`, `conv2d`, `sampler`. */
  readonly kind: string;
  /**
   * Runs it and compares all its results.
   * @throws UnsupportedError where the engine cannot run it yet; anything else thrown is a failure
   */
  run(lab: Lab): Promise<readonly Check[]>;
}

/** What came of a case. */
export interface Result {
  readonly case: string;
  readonly kind: string;
  readonly metric?: Check["metric"];
  readonly value?: number;
  readonly limit?: number;
  readonly status: "pass" | "fail" | "unsupported";
  readonly reason?: string;
  readonly tensor?: string;
}
