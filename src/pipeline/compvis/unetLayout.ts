import { invariant, UnsupportedError } from "../../core/invariant.js";
import type { StoredTensor } from "../../weights/safetensors.js";

/** What names and shapes of a UNet of the original code (`openaimodel.UNetModel`) say of its topology. */
export interface UNetLayout {
  readonly inChannels: number;
  readonly outChannels: number;
  readonly modelChannels: number;
  /** Channels of each level, highest resolution first. */
  readonly channels: readonly number[];
  /** Residual blocks a level on the way down; one more on the way up. */
  readonly resBlocks: number;
  /** Whether each level has attention; the middle always has. */
  readonly attends: readonly boolean[];
  /** Transformers that attend to a context; undefined where attention is over the pixels alone. */
  readonly transformer?: {
    readonly contextWidth: number;
    /** Blocks in each transformer of a level. */
    readonly depths: readonly number[];
    /** proj_in and proj_out are matrices, not 1 x 1 convolutions. */
    readonly linear: boolean;
    /** Whether the first attention of a level's blocks attends to the context as well. */
    readonly crossOnly: readonly boolean[];
  };
  /** Residual blocks change the resolution (`resblock_updown`), not convolutions. */
  readonly resample: "conv" | "resnet";
  readonly scaleShift: boolean;
  /** Rows of the table of class labels. */
  readonly labels?: number;
}

type Tensors = ReadonlyMap<string, StoredTensor>;

/**
 * Reads the topology from names without prefix, such as `input_blocks.0.0.weight`. The number of attention heads leaves
 * no trace in the weights.
 */
export function unetLayout(tensors: Tensors): UNetLayout {
  const axis = (name: string, i: number): number => {
    const size = tensors.get(name)?.shape[i];
    invariant(size !== undefined, `UNet: ${name} is missing, or has no axis ${i}`);
    return size;
  };
  const blocks = countOf(tensors, "input_blocks");
  invariant(
    blocks > 0 && countOf(tensors, "output_blocks") === blocks,
    `UNet: ${blocks} input blocks and ${countOf(tensors, "output_blocks")} output blocks, expected as many of each`,
  );
  // The last block of a level on the way up ends in what raises the resolution: the first such block counts the level.
  const isUp = (o: number) => [1, 2].some((i) => upsampler(tensors, o, i) !== undefined);
  const first = Array.from({ length: blocks }, (_, o) => o).find(isUp);
  const perLevel = (first ?? blocks - 1) + 1;
  const levels = blocks / perLevel;
  invariant(
    Number.isInteger(levels) && perLevel > 1,
    `UNet: ${blocks} blocks do not split into levels of ${perLevel}; only equal levels are supported`,
  );
  const resBlocks = perLevel - 1;
  const inputAt = (level: number) => `input_blocks.${1 + level * perLevel}`;
  const of = <T>(read: (level: number) => T): T[] => Array.from({ length: levels }, (_, level) => read(level));

  const modelChannels = axis("input_blocks.0.0.weight", 0);
  const channels = of((level) => axis(`${inputAt(level)}.0.in_layers.2.weight`, 0));
  const attends = of((level) => tensors.has(`${inputAt(level)}.1.norm.weight`));
  invariant(
    tensors.has("middle_block.1.norm.weight") && tensors.has("middle_block.2.in_layers.0.weight"),
    "UNet: expected a middle of residual block, attention and residual block",
  );
  const up = first === undefined ? undefined : [1, 2].map((i) => upsampler(tensors, first, i)).find(Boolean);
  const label = labelsOf(tensors);
  const transformer = tensors.has("middle_block.1.transformer_blocks.0.attn2.to_k.weight")
    ? transformerOf(
        tensors,
        of((level) => (attends[level] ? `${inputAt(level)}.1` : undefined)),
        axis,
      )
    : undefined;
  return {
    inChannels: axis("input_blocks.0.0.weight", 1),
    outChannels: axis("out.2.weight", 0),
    modelChannels,
    channels,
    resBlocks,
    attends,
    ...(transformer ? { transformer } : {}),
    resample: up ?? "conv",
    scaleShift: axis("middle_block.0.emb_layers.1.weight", 0) === 2 * channels.at(-1)!,
    ...(label === undefined ? {} : { labels: label }),
  };
}

function transformerOf(
  tensors: Tensors,
  /** The first attention of each level, if there is one. */
  places: readonly (string | undefined)[],
  axis: (name: string, i: number) => number,
): NonNullable<UNetLayout["transformer"]> {
  const middle = "middle_block.1";
  const contextWidth = axis(`${middle}.transformer_blocks.0.attn2.to_k.weight`, 1);
  const middleDepth = countOf(tensors, `${middle}.transformer_blocks`);
  const depths = places.map((at) => (at === undefined ? middleDepth : countOf(tensors, `${at}.transformer_blocks`)));
  if (depths.at(-1) !== middleDepth) {
    throw new UnsupportedError(
      `UNet: ${middleDepth} transformer blocks in the middle, ${depths.at(-1)} at the lowest level`,
    );
  }
  // Where the context is as wide as the level, nothing shows which of the two attn1 sees: in published models, the level.
  const crossOnly = places.map((at) => {
    if (at === undefined) return false;
    const width = axis(`${at}.transformer_blocks.0.attn1.to_k.weight`, 1);
    return width !== axis(`${at}.transformer_blocks.0.attn1.to_q.weight`, 1);
  });
  const linear = tensors.get(`${middle}.proj_in.weight`)?.shape.length === 2;
  return { contextWidth, depths, linear, crossOnly };
}

function labelsOf(tensors: Tensors): number | undefined {
  if (tensors.has("label_emb.0.0.weight")) {
    throw new UnsupportedError("UNet: label_emb takes vectors (unCLIP, SDXL), which is not supported yet");
  }
  const table = tensors.get("label_emb.weight");
  if (!table) return undefined;
  if (tensors.has("label_emb.bias")) throw new UnsupportedError('UNet: num_classes "continuous" is not supported yet');
  return table.shape[0];
}

/** How the element `i` of an output block raises the resolution, if it does. */
function upsampler(tensors: Tensors, block: number, i: number): UNetLayout["resample"] | undefined {
  if (tensors.has(`output_blocks.${block}.${i}.conv.weight`)) return "conv";
  return tensors.has(`output_blocks.${block}.${i}.in_layers.0.weight`) ? "resnet" : undefined;
}

/** How many numbers from 0 on follow a prefix: `input_blocks.0`, `input_blocks.1` ... */
export function countOf(tensors: Tensors, prefix: string): number {
  const begin = `${prefix}.`;
  let most = -1;
  for (const name of tensors.keys()) {
    if (name.startsWith(begin)) most = Math.max(most, Number.parseInt(name.slice(begin.length), 10));
  }
  return most + 1;
}
