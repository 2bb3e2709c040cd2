/** What a step combines linearly; registers follow from `columns.registers` on. */
export const columns = { x: 0, x0: 1, eps: 2, noise: 3, registers: 4 } as const;

/** A linear combination of a step's columns. */
export type Combination = readonly number[];

/** One evaluation of the denoiser and the update that follows it. */
export interface SamplerStep {
  /** What the denoiser is asked at; may be fractional. */
  readonly timestep: number;
  /** The latent it sees is signal * x0 + noise * eps. */
  readonly signal: number;
  /** Share of noise in the latent it sees. */
  readonly noise: number;
  /**
   * Rows: the new latent, then each register. Columns: x, x0, eps, fresh noise, then the registers' old values. What a
   * weight of 0 meets is not read: registers need no initial value.
   */
  readonly update: readonly Combination[];
  /** Fresh noise is drawn, as in the reference even where its weight happens to be 0. */
  readonly draws: boolean;
  /** The latent seen is a trial point inside of a step (second-order start of PLMS), not a point of the path. */
  readonly trial?: true;
}

/** How a sampler walks from noise to the clean latent. */
export interface SamplerPath {
  /** In order: the first works on the noisiest latent. */
  readonly steps: readonly SamplerStep[];
  /** Tensors of the latent's shape that live on between steps. */
  readonly registers: number;
  /** Any step draws noise. */
  readonly draws: boolean;
  /** Shares of the clean latent and of noise in the first latent. */
  readonly start: { readonly signal: number; readonly noise: number };
}

/** What each family of samplers makes of a configuration. */
export type Walk = Pick<SamplerPath, "steps" | "registers">;

/** One column by itself. */
export const column = (registers: number, index: number): Combination =>
  Array.from({ length: columns.registers + registers }, (_, i) => (i === index ? 1 : 0));

/** Weighted sum of combinations of one width. */
export function sum(...terms: readonly (readonly [weight: number, combination: Combination])[]): Combination {
  const total = new Array<number>(terms[0]![1].length).fill(0);
  for (const [weight, combination] of terms) {
    if (weight === 0) continue;
    for (const [i, value] of combination.entries()) total[i]! += weight * value;
  }
  return total;
}
