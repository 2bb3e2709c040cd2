import { invariant, UnsupportedError } from "../core/invariant.js";
import { Fields } from "../core/json.js";
import { showShape } from "../core/shape.js";
import type { Tensor } from "../graph/graph.js";
import type { Scope } from "../graph/scope.js";
import { linear } from "../ops/linear.js";
import { resizeNearest } from "../ops/resize.js";
import { resizeBilinear } from "../ops/resizeBilinear.js";

/** SpatialRescaler of the original code: brings a map, of segments for example, to the latent's size and fewer channels. */
export interface SpatialRescalerConfig {
  /** How often the map is resized. */
  readonly stages: number;
  /** How it is resized. */
  readonly method: "bilinear" | "nearest";
  /** Factor on both sides, at each stage. */
  readonly multiplier: number;
  /** Channels of the map: classes, for segments. */
  readonly inChannels: number;
  /** Channels after the 1 x 1 convolution; undefined: there is none. */
  readonly outChannels: number | undefined;
  /** Whether the convolution has a bias. */
  readonly bias: boolean;
}

/** @throws WebldmError that names a field with an impossible value, UnsupportedError for other ways to resize. */
export function parseSpatialRescalerConfig(json: unknown, file = "cond_stage_config"): SpatialRescalerConfig {
  const f = new Fields(json, file);
  const stages = f.number("n_stages", 1);
  invariant(Number.isInteger(stages) && stages >= 0, `${file}: n_stages is ${stages}, expected 0, 1, 2, ...`);
  const multiplier = f.number("multiplier", 0.5);
  invariant(multiplier > 0, `${file}: multiplier is ${multiplier}, expected a number above 0`);
  const method = f.raw("method") ?? "bilinear";
  if (method !== "bilinear" && method !== "nearest") {
    throw new UnsupportedError(`${file}: method is ${String(method)}, expected bilinear or nearest`);
  }
  return {
    stages,
    method,
    multiplier,
    inChannels: f.count("in_channels", 3),
    outChannels: f.raw("out_channels") === undefined ? undefined : f.count("out_channels"),
    bias: f.boolean("bias", false),
  };
}

/** Height or width after a number of stages. */
export function rescaledSide(side: number, { stages, multiplier }: SpatialRescalerConfig, done = stages): number {
  let result = side;
  for (let stage = 0; stage < done; stage++) result = Math.floor(result * multiplier);
  return result;
}

/** A map [N, H, W, inChannels] at the latent's size, [N, H', W', outChannels]. `w` holds `channel_mapper`. */
export function spatialRescaler(w: Scope, map: Tensor, config: SpatialRescalerConfig): Tensor {
  const { stages, method, multiplier, inChannels, outChannels, bias } = config;
  invariant(
    map.shape.length === 4 && map.shape[3] === inChannels,
    `spatial rescaler: the map is ${showShape(map.shape)}, expected [N, H, W, ${inChannels}]`,
  );
  const [, height, width] = map.shape as [number, number, number, number];
  let x = map;
  for (let stage = 1; stage <= stages; stage++) {
    const size = [rescaledSide(height, config, stage), rescaledSide(width, config, stage)] as const;
    invariant(
      size[0] > 0 && size[1] > 0,
      `spatial rescaler: nothing is left of a map of ${height} x ${width} at stage ${stage} of ${stages}`,
    );
    x = method === "bilinear" ? resizeBilinear(x, size, multiplier) : nearest(x, size, multiplier);
  }
  return outChannels === undefined ? x : linear(x, w.at("channel_mapper"), { out: outChannels, bias, pointwise: true });
}

/** The reference steps by 1 / multiplier, the op by the ratio of the sizes: the same where nothing is cut off, or halved. */
function nearest(x: Tensor, size: readonly [number, number], multiplier: number): Tensor {
  const [, height, width] = x.shape as [number, number, number, number];
  const whole = size[0] === height * multiplier && size[1] === width * multiplier;
  if (!whole && multiplier !== 0.5) {
    throw new UnsupportedError(`spatial rescaler: nearest by ${multiplier} of ${height} x ${width} leaves a remainder`);
  }
  return resizeNearest(x, size);
}
