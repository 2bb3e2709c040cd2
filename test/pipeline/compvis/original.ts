// Names and shapes of checkpoints of the original code, made from its rules of assembly: no weights are needed to try
// whether they are translated into what our networks ask for.
import { sizeOf } from "../../../src/core/shape.js";
import type { ByteSource } from "../../../src/weights/byteSource.js";
import { fromBytes } from "../../../src/weights/byteSource.js";
import type { StoredTensor } from "../../../src/weights/safetensors.js";

export type Shapes = Map<string, readonly number[]>;

export interface OriginalUNet {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly modelChannels: number;
  readonly multiples: readonly number[];
  readonly resBlocks?: number;
  /** Downsampling factors at which there is attention. */
  readonly attentionAt: readonly number[];
  /** Width of the context: spatial transformers instead of attention blocks. */
  readonly context?: number;
  readonly depth?: number;
  readonly linear?: boolean;
  readonly resample?: "conv" | "resnet";
  readonly scaleShift?: boolean;
  readonly labels?: number;
  /** Levels whose self-attention is to the context as well. */
  readonly crossOnly?: readonly boolean[];
}

/** openaimodel.UNetModel. */
export function unetShapes(c: OriginalUNet): Shapes {
  const shapes: Shapes = new Map();
  const resBlocks = c.resBlocks ?? 2;
  const time = 4 * c.modelChannels;
  const top = c.multiples.length - 1;
  const pair = (name: string, ...shape: number[]) => {
    shapes.set(`${name}.weight`, shape).set(`${name}.bias`, [shape[0]!]);
  };
  const res = (at: string, from: number, to: number) => {
    pair(`${at}.in_layers.0`, from);
    pair(`${at}.in_layers.2`, to, from, 3, 3);
    pair(`${at}.emb_layers.1`, c.scaleShift ? 2 * to : to, time);
    pair(`${at}.out_layers.0`, to);
    pair(`${at}.out_layers.3`, to, to, 3, 3);
    if (from !== to) pair(`${at}.skip_connection`, to, from, 1, 1);
  };
  const attention = (at: string, n: number, crossOnly = false) => {
    pair(`${at}.norm`, n);
    if (c.context === undefined) {
      pair(`${at}.qkv`, 3 * n, n, 1);
      pair(`${at}.proj_out`, n, n, 1);
      return;
    }
    const taps = c.linear ? [] : [1, 1];
    pair(`${at}.proj_in`, n, n, ...taps);
    for (let d = 0; d < (c.depth ?? 1); d++) {
      const block = `${at}.transformer_blocks.${d}`;
      for (const [name, width] of [
        ["attn1", crossOnly ? c.context : n],
        ["attn2", c.context],
      ] as const) {
        shapes.set(`${block}.${name}.to_q.weight`, [n, n]);
        shapes.set(`${block}.${name}.to_k.weight`, [n, width]);
        shapes.set(`${block}.${name}.to_v.weight`, [n, width]);
        pair(`${block}.${name}.to_out.0`, n, n);
      }
      pair(`${block}.ff.net.0.proj`, 8 * n, n);
      pair(`${block}.ff.net.2`, n, 4 * n);
      for (const norm of ["norm1", "norm2", "norm3"]) pair(`${block}.${norm}`, n);
    }
    pair(`${at}.proj_out`, n, n, ...taps);
  };

  pair("time_embed.0", time, c.modelChannels);
  pair("time_embed.2", time, time);
  if (c.labels !== undefined) shapes.set("label_emb.weight", [c.labels, time]);
  pair("input_blocks.0.0", c.modelChannels, c.inChannels, 3, 3);
  const skips = [c.modelChannels];
  let [ch, ds, index] = [c.modelChannels, 1, 1];
  for (const [level, multiple] of c.multiples.entries()) {
    for (let i = 0; i < resBlocks; i++) {
      res(`input_blocks.${index}.0`, ch, multiple * c.modelChannels);
      ch = multiple * c.modelChannels;
      if (c.attentionAt.includes(ds)) attention(`input_blocks.${index}.1`, ch, c.crossOnly?.[level]);
      skips.push(ch);
      index++;
    }
    if (level < top) {
      if (c.resample === "resnet") res(`input_blocks.${index}.0`, ch, ch);
      else pair(`input_blocks.${index}.0.op`, ch, ch, 3, 3);
      skips.push(ch);
      index++;
      ds *= 2;
    }
  }
  res("middle_block.0", ch, ch);
  attention("middle_block.1", ch);
  res("middle_block.2", ch, ch);
  index = 0;
  for (let level = top; level >= 0; level--) {
    for (let i = 0; i <= resBlocks; i++) {
      const to = c.multiples[level]! * c.modelChannels;
      res(`output_blocks.${index}.0`, ch + skips.pop()!, to);
      ch = to;
      let element = 1;
      if (c.attentionAt.includes(ds)) attention(`output_blocks.${index}.${element++}`, ch, c.crossOnly?.[level]);
      if (level > 0 && i === resBlocks) {
        if (c.resample === "resnet") res(`output_blocks.${index}.${element}`, ch, ch);
        else pair(`output_blocks.${index}.${element}.conv`, ch, ch, 3, 3);
        ds /= 2;
      }
      index++;
    }
  }
  pair("out.0", ch);
  pair("out.2", c.outChannels, c.modelChannels, 3, 3);
  return shapes;
}

export interface OriginalFirstStage {
  readonly latent: number;
  /** Entries of the codebook; absent for a KL model. */
  readonly codes?: number;
  readonly width?: number;
  readonly multiples: readonly number[];
  readonly resBlocks?: number;
  /** Levels with attention. */
  readonly attends?: readonly number[];
  /** `attn_type: none` where false. */
  readonly midAttention?: boolean;
}

/** AutoencoderKL or VQModelInterface. */
export function firstStageShapes(c: OriginalFirstStage): Shapes {
  const shapes: Shapes = new Map();
  const { latent, multiples } = c;
  const [width, resBlocks, top] = [c.width ?? 128, c.resBlocks ?? 2, multiples.length - 1];
  const pair = (name: string, ...shape: number[]) => {
    shapes.set(`${name}.weight`, shape).set(`${name}.bias`, [shape[0]!]);
  };
  const res = (at: string, from: number, to: number) => {
    pair(`${at}.norm1`, from);
    pair(`${at}.conv1`, to, from, 3, 3);
    pair(`${at}.norm2`, to);
    pair(`${at}.conv2`, to, to, 3, 3);
    if (from !== to) pair(`${at}.nin_shortcut`, to, from, 1, 1);
  };
  const attention = (at: string, n: number) => {
    pair(`${at}.norm`, n);
    for (const part of ["q", "k", "v", "proj_out"]) pair(`${at}.${part}`, n, n, 1, 1);
  };
  const middle = (at: string, n: number) => {
    res(`${at}.block_1`, n, n);
    if (c.midAttention !== false) attention(`${at}.attn_1`, n);
    res(`${at}.block_2`, n, n);
  };
  const moments = c.codes === undefined ? 2 * latent : latent;

  let ch = width;
  pair("encoder.conv_in", ch, 3, 3, 3);
  for (const [level, multiple] of multiples.entries()) {
    for (let i = 0; i < resBlocks; i++) {
      res(`encoder.down.${level}.block.${i}`, ch, multiple * width);
      ch = multiple * width;
      if (c.attends?.includes(level)) attention(`encoder.down.${level}.attn.${i}`, ch);
    }
    if (level < top) pair(`encoder.down.${level}.downsample.conv`, ch, ch, 3, 3);
  }
  middle("encoder.mid", ch);
  pair("encoder.norm_out", ch);
  pair("encoder.conv_out", moments, ch, 3, 3);
  pair("quant_conv", moments, moments, 1, 1);
  if (c.codes !== undefined) shapes.set("quantize.embedding.weight", [c.codes, latent]);
  pair("post_quant_conv", latent, latent, 1, 1);
  pair("decoder.conv_in", ch, latent, 3, 3);
  middle("decoder.mid", ch);
  for (let level = top; level >= 0; level--) {
    for (let i = 0; i <= resBlocks; i++) {
      res(`decoder.up.${level}.block.${i}`, ch, multiples[level]! * width);
      ch = multiples[level]! * width;
      if (c.attends?.includes(level)) attention(`decoder.up.${level}.attn.${i}`, ch);
    }
    if (level > 0) pair(`decoder.up.${level}.upsample.conv`, ch, ch, 3, 3);
  }
  pair("decoder.norm_out", ch);
  pair("decoder.conv_out", 3, ch, 3, 3);
  return shapes;
}

/** A name and shapes under a prefix. */
export const under = (prefix: string, shapes: Shapes): Shapes =>
  new Map([...shapes].map(([name, shape]) => [prefix + name, shape]));

/** Stored tensors that must not be read. */
export function unread(...all: Shapes[]): Map<string, StoredTensor> {
  const source: ByteSource = {
    name: "weights.ckpt",
    size: Number.MAX_SAFE_INTEGER,
    read: async () => Promise.reject(new Error("the weights are not to be read")),
  };
  return new Map(
    all
      .flatMap((shapes) => [...shapes])
      .map(([name, shape]) => [name, { name, dtype: "F16", shape, source, begin: 0, end: 2 * sizeOf(shape) }]),
  );
}

/** A stored tensor of float32 with these numbers. */
export function floats(name: string, shape: readonly number[], values: ArrayLike<number>): StoredTensor {
  const bytes = new Uint8Array(Float32Array.from(values).buffer);
  return { name, dtype: "F32", shape, source: fromBytes(bytes), begin: 0, end: bytes.byteLength };
}

/** Stored float32 tensors of these shapes; every element of the checkpoint is a number of its own. */
export function counted(shapes: Shapes): Map<string, StoredTensor> {
  let next = 0;
  return new Map(
    [...shapes].map(([name, shape]) => {
      const size = sizeOf(shape);
      const values = Float32Array.from({ length: size }, (_, i) => next + i);
      next += size;
      return [name, floats(name, shape, values)];
    }),
  );
}

export const countOf = (shapes: Iterable<readonly number[]>): number =>
  [...shapes].reduce((sum, shape) => sum + sizeOf(shape), 0);
