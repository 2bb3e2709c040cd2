/**
 * Largest deviation allowed. `f32`: max|a - ref| / max|ref|. `f16`: ||a - ref|| / ||ref||; where it is absent, the thing
 * has no half-precision form and is held to the f32 limit whatever the mode.
 */
export interface Limit {
  readonly f32: number;
  readonly f16?: number;
}

/** A float result in f16 may also not be scaled as a whole by more than this: <a, ref> / <ref, ref> against 1. */
export const gainLimit = 0.01;

/** The limits of the reference data's README, by what is compared; those it does not name follow their neighbours. */
export const limits = {
  // Networks.
  unet: { f32: 2e-5, f16: 1e-2 },
  vae: { f32: 3e-5, f16: 1e-2 },
  reconstruction: { f32: 3e-5, f16: 2e-2 },
  text: { f32: 1e-5, f16: 5e-3 },
  loop: { f32: 2e-4, f16: 5e-2 },
  // Samplers on the closed-form model; 20 times the noise floor where that is larger.
  sampler: { f32: 1e-5 },
  betas: { f32: 1e-5 },
  // Single operations.
  conv2d: { f32: 5e-6, f16: 2e-3 },
  linear: { f32: 5e-6, f16: 2e-3 },
  layer_norm: { f32: 5e-6, f16: 2e-3 },
  softmax: { f32: 5e-6, f16: 2e-3 },
  geglu: { f32: 5e-6, f16: 2e-3 },
  attention: { f32: 1e-5, f16: 5e-3 },
  group_norm: { f32: 5e-6, f16: 3e-3 },
  /** A large mean over a small variance: f16 cannot hold such an input. */
  group_norm_large_mean: { f32: 5e-5 },
  timestep_embedding: { f32: 2e-4 },
  pointwise: { f32: 5e-6, f16: 2e-3 },
  resize: { f32: 1e-6, f16: 1e-3 },
  gaussian: { f32: 5e-6, f16: 2e-3 },
} as const satisfies Record<string, Limit>;

export type LimitName = keyof typeof limits;

/** Squared distances closer than this count as a tie between two codes of a codebook in f16. */
export const codeTie = 1e-3;

/** The limit of a sampler's trajectory, given the error of the float32 reference against float64. */
export const samplerLimit = (floor: number | undefined): Limit => ({
  f32: Math.max(limits.sampler.f32, 20 * (floor ?? 0)),
});

/** The reference itself is this far off in float32 when group normalisation meets a large mean. */
export const largeMeanFloor = 1e-6;
