import { invariant, UnsupportedError } from "../core/invariant.js";
import { Fields } from "../core/json.js";
import { showShape } from "../core/shape.js";
import type { Tensor } from "../graph/graph.js";
import type { Scope } from "../graph/scope.js";
import { activation } from "../ops/activation.js";
import { affine } from "../ops/affine.js";
import { conv2d } from "../ops/conv2d.js";

/**
 * A small distilled first stage (TAESD) as `config.json` of AutoencoderTiny describes it. It works on the latent as the
 * denoiser has it, so its scaling factor is 1; its decoder is fast enough for a preview of each step.
 */
export interface TinyAutoencoderConfig {
  /** Tells it from other first stages. */
  readonly kind: "tiny";
  /** Channels of the pictures that are encoded. */
  readonly inChannels: number;
  /** Channels of the pictures that are decoded. */
  readonly outChannels: number;
  /** Channels of each level; all the same. */
  readonly channels: readonly number[];
  /** Residual blocks of each level in the order in which they run: from the full resolution, and from the latent's. */
  readonly encoderBlocks: readonly number[];
  /** The same of the decoder. */
  readonly decoderBlocks: readonly number[];
  /** Channels of the latent, as the denoiser sees it. */
  readonly latentChannels: number;
  /** The denoiser sees (latent - shift) * scale; 1 of published files. */
  readonly scalingFactor: number;
  /** Mostly 0. */
  readonly shiftFactor: number;
  /** A latent in [-magnitude, magnitude] becomes [0, 1] where it is kept as an image. */
  readonly latentMagnitude: number;
  /** Where 0 lies in [0, 1]. */
  readonly latentShift: number;
}

/** @throws UnsupportedError for a feature that is not built yet, WebldmError for an impossible value; both name the field. */
export function parseTinyAutoencoderConfig(json: unknown, file = "vae/config.json"): TinyAutoencoderConfig {
  const f = new Fields(json, file);
  const expected: readonly [string, unknown][] = [
    ["_class_name", "AutoencoderTiny"],
    ["act_fn", "relu"],
    ["upsample_fn", "nearest"],
    ["upsampling_scaling_factor", 2],
  ];
  for (const [name, only] of expected) {
    const value = f.raw(name);
    if (value !== undefined && value !== only) {
      throw new UnsupportedError(`${file}: ${name} is ${JSON.stringify(value)}, which is not supported yet`);
    }
  }
  const list = (name: string, fallback: readonly number[]) => (f.raw(name) === undefined ? fallback : f.counts(name));
  const channels = list("encoder_block_out_channels", [64, 64, 64, 64]);
  const decoderChannels = list("decoder_block_out_channels", [64, 64, 64, 64]);
  const encoderBlocks = list("num_encoder_blocks", [1, 3, 3, 3]);
  const decoderBlocks = list("num_decoder_blocks", [3, 3, 3, 1]);
  const same = [...channels, ...decoderChannels].every((count) => count === channels[0]);
  invariant(same, `${file}: levels have ${channels} and ${decoderChannels} channels, expected the same number each`);
  for (const levels of [decoderChannels, encoderBlocks, decoderBlocks]) {
    invariant(
      levels.length === channels.length,
      `${file}: lists of ${channels.length} and ${levels.length} levels, expected the same number each`,
    );
  }
  return {
    kind: "tiny",
    inChannels: f.count("in_channels", 3),
    outChannels: f.count("out_channels", 3),
    channels,
    encoderBlocks,
    decoderBlocks,
    latentChannels: f.count("latent_channels", 4),
    scalingFactor: f.number("scaling_factor", 1),
    shiftFactor: f.number("shift_factor", 0),
    latentMagnitude: f.number("latent_magnitude", 3),
    latentShift: f.number("latent_shift", 0.5),
  };
}

/** Picture [N, H, W, 3] in [-1, 1] to the latent [N, H/f, W/f, latentChannels] in f32. */
export function encodeTiny(w: Scope, image: Tensor, config: TinyAutoencoderConfig): Tensor {
  const { channels, encoderBlocks, latentChannels } = config;
  invariant(
    image.shape.at(-1) === config.inChannels,
    `tiny encoder: image is ${showShape(image.shape)}, expected ${config.inChannels} channels`,
  );
  const layers = new Layers(w.at("encoder.layers"));
  const out = channels[0]!;
  // The network works on pictures in [0, 1].
  let h = affine(image, { scale: 0.5, shift: 0.5 });
  for (const [level, blocks] of encoderBlocks.entries()) {
    h =
      level === 0
        ? conv2d(h, layers.next(), { out, dtype: w.graph.dtype })
        : conv2d(h, layers.next(), { out, stride: 2, bias: false });
    for (let i = 0; i < blocks; i++) h = tinyBlock(layers.next(), h, out);
  }
  return conv2d(h, layers.next(), { out: latentChannels, dtype: "f32" });
}

/**
 * Latent [N, h, w, latentChannels] (f32) to a picture [N, f * h, f * w, 3], roughly in [-1, 1] and not clamped, in f32.
 * Latents are squashed to (-3, 3) first.
 */
export function decodeTiny(w: Scope, latent: Tensor, config: TinyAutoencoderConfig): Tensor {
  const { channels, decoderBlocks, latentChannels } = config;
  invariant(
    latent.shape.at(-1) === latentChannels,
    `tiny decoder: latent is ${showShape(latent.shape)}, expected ${latentChannels} channels`,
  );
  const layers = new Layers(w.at("decoder.layers"));
  const out = channels[0]!;
  const z = affine(activation(affine(latent, { scale: 1 / 3 }), "tanh"), { scale: 3 });
  let h = conv2d(z, layers.next(), { out, act: "relu", dtype: w.graph.dtype });
  layers.skip(); // the activation
  for (const [level, blocks] of decoderBlocks.entries()) {
    for (let i = 0; i < blocks; i++) h = tinyBlock(layers.next(), h, out);
    if (level === decoderBlocks.length - 1) break;
    layers.skip(); // the enlargement
    const [, height, width] = h.shape as [number, number, number];
    h = conv2d(h, layers.next(), { out, bias: false, resize: [2 * height, 2 * width] });
  }
  const image = conv2d(h, layers.next(), { out: config.outChannels, dtype: "f32" });
  return affine(image, { scale: 2, shift: -1 });
}

/** relu(x + conv(relu(conv(relu(conv(x)))))). */
function tinyBlock(w: Scope, x: Tensor, out: number): Tensor {
  const a = conv2d(x, w.at("conv.0"), { out, act: "relu" });
  const b = conv2d(a, w.at("conv.2"), { out, act: "relu" });
  return activation(conv2d(b, w.at("conv.4"), { out, residual: x }), "relu");
}

/** The layers of one half, numbered through in the order in which they run; some of them have no weights. */
class Layers {
  private index = 0;

  constructor(private readonly w: Scope) {}

  next(): Scope {
    return this.w.at(this.index++);
  }

  skip(): void {
    this.index++;
  }
}

/** A raw latent value to [0, 1], as the files keep latents as images. */
export const toUnitRange = (value: number, { latentMagnitude, latentShift }: TinyAutoencoderConfig): number =>
  Math.min(Math.max(value / (2 * latentMagnitude) + latentShift, 0), 1);

/** The way back from [0, 1]. */
export const fromUnitRange = (value: number, { latentMagnitude, latentShift }: TinyAutoencoderConfig): number =>
  (value - latentShift) * 2 * latentMagnitude;
