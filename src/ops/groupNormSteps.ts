// Group normalisation in three steps: statistics of chunks of pixels, scale and shift of each channel, their application.
import { defineKernel } from "../core/kernel.js";
import { ceilDiv } from "../core/shape.js";
import { type Graph, linearGrid, type Tensor, type Window } from "../graph/graph.js";
import { type Activation, activations } from "./activation.js";
import { reductionWorkgroup } from "./workgroup.js";

export const groupNormStatsKernel = defineKernel({
  name: "groupNormStats",
  code: () => import("../../shaders/groupNormStats.wgsl"),
  reads: ["x"],
  writes: ["stats"],
  params: {
    pixels: "u32",
    channels: "u32",
    groupSize: "u32",
    blockGroups: "u32",
    chunkPixels: "u32",
    chunks: "u32",
    firstChunk: "u32",
    image: "u32",
  },
  consts: ["T", "WORKGROUP", "VECTOR", "MOST"],
});

export const groupNormScaleKernel = defineKernel({
  name: "groupNormScale",
  code: () => import("../../shaders/groupNormScale.wgsl"),
  reads: ["stats", "weight", "bias", "modulation"],
  writes: ["scaleShift"],
  params: {
    channels: "u32",
    groupSize: "u32",
    pixels: "u32",
    chunkPixels: "u32",
    chunks: "u32",
    eps: "f32",
  },
  consts: ["WORKGROUP", "MODULATED"],
});

export const groupNormApplyKernel = defineKernel({
  name: "groupNormApply",
  code: () => import("../../shaders/groupNormApply.wgsl"),
  reads: ["x", "scaleShift"],
  writes: ["y"],
  params: { count: "u32", channels: "u32", imageSize: "u32", image: "u32" },
  consts: ["T", "ACT", "VECTOR", "IN_PLACE"],
  inPlace: ["x", "y"],
});

/**
 * Channels that a workgroup takes the statistics of, unless a single group has more. SwiftShader clears each number of workgroup
 * memory by an instruction of its own: 512 channels take it 0.6 s to compile, 64 a tenth of a second.
 */
const blockChannels = ({ software }: Graph): number => (software ? 64 : 512);

/** The groups that a workgroup takes the statistics of, and whether it can read four channels at a time. */
export function channelBlocks(
  graph: Graph,
  groups: number,
  groupSize: number,
): { blocks: number; blockGroups: number; vector: boolean } {
  const blockGroups = ceilDiv(groups, ceilDiv(groups, Math.max(1, Math.floor(blockChannels(graph) / groupSize))));
  const aligned = (count: number) => (count * groupSize) % 4 === 0;
  // Blocks of an even number of groups, where that lets each start at a multiple of four channels.
  const even = [blockGroups, blockGroups - 1, blockGroups - 2, blockGroups - 3].find((g) => g > 0 && aligned(g));
  const vector = aligned(groups) && even !== undefined;
  const size = vector ? even : blockGroups;
  return { blocks: ceilDiv(groups, size), blockGroups: size, vector };
}

/** What is normed, and how it is cut into chunks. */
export interface MomentsShape {
  readonly images: number;
  /** Of each image. */
  readonly pixels: number;
  readonly channels: number;
  readonly groups: number;
  /** Pixels of a chunk; the last one of an image may hold fewer. */
  readonly chunkPixels: number;
}

/** A part of images that begins with a chunk. */
export interface Part {
  /** The first image, and how many. */
  readonly image: number;
  readonly images: number;
  readonly firstChunk: number;
  /** Pixels of each image. */
  readonly size: number;
}

/** Means and variances of the groups of images, gathered part by part. */
export class Moments {
  private readonly stats: Tensor;
  private readonly chunks: number;

  constructor(
    private readonly graph: Graph,
    private readonly shape: MomentsShape,
  ) {
    const { images, pixels, groups, chunkPixels } = shape;
    this.chunks = ceilDiv(pixels, chunkPixels);
    this.stats = graph.empty([images, groups, this.chunks, 2], "f32");
  }

  /** Takes a part in. */
  add(x: Window, { image, images, firstChunk, size }: Part): void {
    const { graph, stats, chunks } = this;
    const { channels, groups, chunkPixels } = this.shape;
    const groupSize = channels / groups;
    const { blocks, blockGroups, vector } = channelBlocks(graph, groups, groupSize);
    graph.emit(groupNormStatsKernel, {
      reads: { x },
      writes: { stats },
      params: { pixels: size, channels, groupSize, blockGroups, chunkPixels, chunks, firstChunk, image },
      consts: {
        T: x.tensor.dtype,
        WORKGROUP: reductionWorkgroup(graph, 256),
        VECTOR: vector ? 1 : 0,
        MOST: blockChannels(graph),
      },
      grid: [ceilDiv(size, chunkPixels), blocks, images],
    });
  }

  /** Scales and shifts of the channels [N, 2, C], once every part is taken in. */
  scaleShift(norm: { weight: Tensor; bias: Tensor; modulation?: Tensor | undefined; eps: number }): Tensor {
    const { graph, stats, chunks } = this;
    const { images, pixels, channels, groups, chunkPixels } = this.shape;
    const { weight, bias, modulation, eps } = norm;
    const scaleShift = graph.empty([images, 2, channels], "f32");
    graph.emit(groupNormScaleKernel, {
      reads: { stats, weight, bias, modulation },
      writes: { scaleShift },
      params: { channels, groupSize: channels / groups, pixels, chunkPixels, chunks, eps },
      consts: { MODULATED: modulation ? 1 : 0, WORKGROUP: reductionWorkgroup(graph, 64) },
      grid: [groups, images],
    });
    return scaleShift;
  }
}

/** How a part is normed. */
export interface Application {
  readonly scaleShift: Tensor;
  readonly act: Activation;
  /** The first image of the part, and pixels of each image. */
  readonly image: number;
  readonly imagePixels: number;
}

/** y = act(x * scale + shift) on a part. */
export function applyNorm(x: Window, y: Window, { scaleShift, act, image, imagePixels }: Application): void {
  const { graph, dtype } = x.tensor;
  const channels = scaleShift.shape[2]!;
  graph.emit(groupNormApplyKernel, {
    reads: { x, scaleShift },
    writes: { y },
    params: { count: x.length, channels, imageSize: imagePixels * channels, image },
    consts: { T: dtype, ACT: activations[act], VECTOR: channels % 4 === 0 ? 1 : 0, IN_PLACE: 0 },
    grid: linearGrid(ceilDiv(x.length, 1024)),
  });
}
