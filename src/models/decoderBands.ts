import { invariant } from "../core/invariant.js";
import type { Tensor } from "../graph/graph.js";
import type { Scope } from "../graph/scope.js";
import { type Conv2dOptions, conv2d } from "../ops/conv2d.js";
import { normRows, RowMoments } from "../ops/groupNormRows.js";
import { BandedImage, type Range, writeRows } from "../ops/imageRows.js";
import { decodeToLevel } from "./autoencoder.js";
import { eps } from "./autoencoderBlocks.js";
import type { AutoencoderConfig } from "./autoencoderConfig.js";

/*
 * The decoder's last levels need the most memory: tensors as large as the picture, with hundreds of channels, several at
 * once. Their convolutions look at neighbours only, so rows can be worked on band by band with a halo. What hinders that
 * is group normalisation, whose means and variances are of the whole picture. So each band is computed as often as there
 * are norms in its way: once for the statistics, which are all that is kept of it, and again with them. Between blocks a
 * band is a tensor of its own, so that those of a block's result take the memory of those that it has read. The picture is
 * the one that the decoder in one piece gives.
 */

/** How a decoder works in bands. */
export interface Bands {
  /** Levels that work so, from the picture's own on. */
  readonly levels: number;
  /** Rows of a band, at each level; the last band of a picture may have fewer. A multiple of 16. */
  readonly rows: number;
}

/** An image [1, height, width, channels] of which rows can be had. */
interface RowSource {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  /** Rows as they are. */
  plain(range: Range): Tensor;
  /** Rows, normed and activated. */
  normed(range: Range, scaleShift: Tensor): Tensor;
}

/** How many of a decoder's levels can work in bands: those before the first with attention, which looks everywhere. */
export function bandableLevels({ channels, decoderAttention }: AutoencoderConfig): number {
  const attentive = decoderAttention.indexOf(true);
  return Math.min(channels.length - 1, attentive < 0 ? channels.length : attentive);
}

/**
 * As `decodeLatent`, with the last levels in bands of rows: the same picture but for the order of sums in statistics, in
 * less memory and more time.
 */
export function decodeInBands(w: Scope, latent: Tensor, config: AutoencoderConfig, { levels, rows }: Bands): Tensor {
  const { channels, layers, groups, outChannels } = config;
  const most = bandableLevels(config);
  invariant(levels > 0 && levels <= most, `bands: of ${levels} levels, of this decoder ${most} can work so`);
  invariant(rows > 0 && rows % 16 === 0, `bands: of ${rows} rows, expected a multiple of 16`);
  const { graph } = w;
  const decoder = w.at("decoder");
  const top = channels.length - 1;
  const [images, latentHeight, latentWidth] = latent.shape as [number, number, number];
  invariant(images === 1, `bands: of ${images} latents, expected one`);
  const picture = graph.empty([1, latentHeight << top, latentWidth << top, outChannels], "f32");
  let above = inBands([decodeToLevel(w, latent, config, levels)]);
  for (let level = levels - 1; level >= 0; level--) {
    const block = decoder.at("up_blocks", top - level);
    const upsampler = decoder.at("up_blocks", top - level - 1).at("upsamplers.0.conv");
    let source = upsampled(above, upsampler);
    const { height, width } = source;
    const out = channels[level]!;
    const bands = bandsOf(height, rows);
    const moments = (count: number) => new RowMoments(graph, [height, width, count], groups, rows);
    let last = moments(source.channels);
    for (const band of bands) last.add(source.plain(band), band[0]);
    for (let i = 0; i <= layers; i++) {
      const result = level === 0 || i < layers ? moments(out) : undefined;
      const parts = { out, bands, last, between: moments(out), result };
      source = inBands(resBlock(block.at("resnets", i), source, parts));
      if (result) last = result;
    }
    above = source;
    if (level > 0) continue;
    const scaleShift = last.scaleShift(decoder.at("conv_norm_out"), eps);
    for (const band of bands) {
      const near = around(band, 1, height);
      const options = { out: outChannels, dtype: "f32" } as const;
      const made = convolved(source.normed(near, scaleShift), near, band, decoder.at("conv_out"), options);
      writeRows(picture, band[0], made);
    }
  }
  return picture;
}

interface BlockParts {
  readonly out: number;
  readonly bands: readonly Range[];
  /** Of what comes in. */
  readonly last: RowMoments;
  /** To gather: of what the first convolution gives. */
  readonly between: RowMoments;
  /** To gather: of the result, where a norm follows. */
  readonly result: RowMoments | undefined;
}

/** A residual block, in two rounds over the bands; gives the bands of the result. */
function resBlock(w: Scope, source: RowSource, { out, bands, last, between, result }: BlockParts): Tensor[] {
  const { height } = source;
  const first = last.scaleShift(w.at("norm1"), eps);
  for (const band of bands) {
    const near = around(band, 1, height);
    between.add(convolved(source.normed(near, first), near, band, w.at("conv1"), { out }), band[0]);
  }
  const second = between.scaleShift(w.at("norm2"), eps);
  return bands.map((band) => {
    const [near, far] = [around(band, 1, height), around(band, 2, height)];
    const { normed, residual } = blockInputs(w, source, { out, band, far, scaleShift: first });
    const h = convolved(normed, far, near, w.at("conv1"), { out });
    const made = convolved(normRows(h, second, "silu"), near, band, w.at("conv2"), { out, residual });
    result?.add(made, band[0]);
    return made;
  });
}

interface BlockInput {
  readonly out: number;
  readonly band: Range;
  /** The band and what both convolutions look at beside it. */
  readonly far: Range;
  readonly scaleShift: Tensor;
}

/** What a residual block's convolutions begin with, and what is added in the end. */
function blockInputs(w: Scope, source: RowSource, { out, band, far, scaleShift }: BlockInput) {
  if (source.channels === out) return { residual: source.plain(band), normed: source.normed(far, scaleShift) };
  const plain = source.plain(far);
  const residual = convolved(plain, far, band, w.at("conv_shortcut"), { out, kernel: 1 });
  return { residual, normed: normRows(plain, scaleShift, "silu") };
}

const bandsOf = (height: number, rows: number): Range[] =>
  Array.from({ length: Math.ceil(height / rows) }, (_, i) => [i * rows, Math.min(height, (i + 1) * rows)]);

const around = ([first, end]: Range, by: number, height: number): Range => [
  Math.max(0, first - by),
  Math.min(height, end + by),
];

/** An image of which each band is a tensor of its own: its memory is free again once the last row is read. */
function inBands(bands: readonly Tensor[]): RowSource {
  const [, , width, channels] = bands[0]!.shape as [number, number, number, number];
  const image = new BandedImage(bands);
  return {
    height: image.height,
    width,
    channels,
    plain: (range) => image.rows(range),
    normed: (range, scaleShift) => normRows(image.part(range), scaleShift, "silu"),
  };
}

/** What an upsampler makes of the image of the level above, computed whenever rows of it are asked for. */
function upsampled(image: RowSource, w: Scope): RowSource {
  const { channels } = image;
  const [height, width] = [2 * image.height, 2 * image.width];
  const plain = (range: Range) => {
    const [first, end] = around(range, 1, height);
    const [from, to] = [Math.floor(first / 2), Math.ceil(end / 2)];
    const resize = [2 * (to - from), width] as const;
    return convolved(image.plain([from, to]), [2 * from, 2 * to], range, w, { out: channels, resize });
  };
  return { height, width, channels, plain, normed: (range, scaleShift) => normRows(plain(range), scaleShift, "silu") };
}

/**
 * Rows `to` of a convolution of an image, from the rows `from` of it: zeros stand in for what lies outside of the image,
 * and rows that are not needed are left out.
 */
function convolved(rows: Tensor, from: Range, to: Range, w: Scope, options: Conv2dOptions): Tensor {
  const half = Math.floor((options.kernel ?? 3) / 2);
  return conv2d(rows, w, { ...options, pad: [half, half, from[0] - to[0] + half, to[1] - from[1] + half] });
}
