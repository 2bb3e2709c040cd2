import { dtypeBytes } from "../core/dtype.js";
import { invariant } from "../core/invariant.js";
import { defineKernel } from "../core/kernel.js";
import { ceilDiv, showShape, sizeOf } from "../core/shape.js";
import { bindingAlignment, type Tensor } from "../graph/graph.js";
import type { Scope } from "../graph/scope.js";
import { type Activation, activations } from "./activation.js";
import { rowAlignment, splitRows } from "./bands.js";
import { applyNorm, channelBlocks, Moments } from "./groupNormSteps.js";
import { reductionWorkgroup } from "./workgroup.js";

export const groupNormKernel = defineKernel({
  name: "groupNorm",
  code: () => import("../../shaders/groupNorm.wgsl"),
  reads: ["x", "weight", "bias", "modulation"],
  writes: ["y"],
  params: { pixels: "u32", channels: "u32", groupSize: "u32", eps: "f32" },
  consts: ["T", "ACT", "MODULATED", "WORKGROUP", "VECTOR"],
});

/** How a group norm works. */
export interface GroupNormOptions {
  /** How many groups the channels split into; 32 by default. */
  readonly groups?: number;
  /** Added to variances; 1e-5 by default. */
  readonly eps?: number;
  /** Activation of the result. */
  readonly act?: Activation;
  /**
   * Scales and shifts the normed values of each image, before the activation: [N, 2C] in f32, of which the first C are
   * added to 1 and multiplied, the last C added ("scale-shift norm", as in FiLM).
   */
  readonly modulation?: Tensor;
  /** One workgroup per group, or three steps that spread a large image; chosen by size when absent. */
  readonly variant?: "whole" | "chunked";
  /** Pixels of a chunk, about: for tests and tuning. @internal */
  readonly chunk?: number;
}

/** Workgroups that take the statistics of a large image. */
const wantedWorkgroups = 256;

/** Elements per (group, image) above which the work is spread over chunks: by fours, and where they go one by one. */
const wholeUpTo = { fours: 1 << 14, ones: 1 << 12 } as const;

/** Group normalisation over [N, H, W, C] with the scale and shift at `w`, in float32 whatever the storage. */
export function groupNorm(x: Tensor, w: Scope, given: GroupNormOptions = {}): Tensor {
  const options = x.graph.forms?.choose("groupNorm", [x], given) ?? given;
  const { groups = 32, eps = 1e-5, act = "none", modulation } = options;
  const channels = x.shape.at(-1)!;
  const n = x.shape[0]!;
  invariant(x.shape.length >= 3, `groupNorm ${w.path}: input is ${showShape(x.shape)}, expected [N, H, W, C]`);
  invariant(channels % groups === 0, `groupNorm ${w.path}: ${channels} channels do not split into ${groups} groups`);
  if (modulation) {
    const fits = sizeOf(modulation.shape) === 2 * n * channels && modulation.dtype === "f32";
    const came = `${showShape(modulation.shape)} ${modulation.dtype}`;
    invariant(fits, `groupNorm ${w.path}: modulation is ${came}, expected [${n}, ${2 * channels}] f32`);
  }
  const MODULATED = modulation ? 1 : 0;
  const { graph } = x;
  const WORKGROUP = reductionWorkgroup(graph, 256);
  const pixels = x.shape.slice(1, -1).reduce((a, b) => a * b, 1);
  const groupSize = channels / groups;
  const weight = w.vector("weight", channels);
  const bias = w.vector("bias", channels);
  const y = graph.empty(x.shape, x.dtype);
  const bytes = channels * dtypeBytes[x.dtype];
  const variant = options.variant ?? (suitsWhole(x, groups) ? "whole" : "chunked");
  if (variant === "whole") {
    graph.emit(groupNormKernel, {
      reads: { x, weight, bias, modulation },
      writes: { y },
      params: { pixels, channels, groupSize, eps },
      consts: { T: x.dtype, ACT: activations[act], MODULATED, WORKGROUP, VECTOR: groupSize % 4 === 0 ? 1 : 0 },
      grid: [groups, n],
    });
    return y;
  }

  const chunkPixels = chunkOf(x, groups, options.chunk);
  const moments = new Moments(graph, { images: n, pixels, channels, groups, chunkPixels });
  const windows = imageWindows(n, pixels, chunkPixels, channels, bytes, graph.maxBinding, w.path);
  for (const { range, ...place } of windows) moments.add({ tensor: x, ...range }, place);
  const scaleShift = moments.scaleShift({ weight, bias, modulation, eps });
  for (const { image, size, range } of windows) {
    applyNorm({ tensor: x, ...range }, { tensor: y, ...range }, { scaleShift, act, image, imagePixels: size });
  }
  return y;
}

/** Whether one workgroup per group does better than chunks. */
export function suitsWhole({ graph, shape, dtype }: Tensor, groups: number): boolean {
  const size = sizeOf(shape);
  const groupSize = shape.at(-1)! / groups;
  const most = groupSize % 4 === 0 ? wholeUpTo.fours : wholeUpTo.ones;
  // On a CPU chunks win at nearly every size: a column is summed without a barrier.
  return !graph.software && size / (shape[0]! * groups) <= most && size * dtypeBytes[dtype] <= graph.maxBinding;
}

/** Pixels of a chunk: what is asked for, or suits the device, at least so many that statistics fit. */
export function chunkOf({ graph, shape, dtype }: Tensor, groups: number, asked?: number): number {
  const [n, channels] = [shape[0]!, shape.at(-1)!];
  const pixels = sizeOf(shape) / n / channels;
  const groupSize = channels / groups;
  const bytes = channels * dtypeBytes[dtype];
  // Whole chunks per band, at bindable offsets.
  const step = rowAlignment(bytes);
  const { blocks } = channelBlocks(graph, groups, groupSize);
  const onGpu = Math.max(8, ceilDiv(n * pixels * blocks, wantedWorkgroups));
  const wish = asked ?? (graph.software ? ceilDiv(4096, groupSize) : onGpu);
  const most = Math.max(1, Math.floor(graph.maxBinding / bytes / step)); // so that a band holds a chunk
  const chunks = Math.max(1, Math.min(asked ? 4096 : 256, Math.floor(graph.maxBinding / (n * groups * 8)))); // statistics fit
  return Math.min(ceilDiv(Math.max(wish, ceilDiv(pixels, chunks)), step), most) * step;
}

/** The windows to work on: all at once where one binding spans the tensor, else bands of chunks, image by image. */
function imageWindows(
  n: number,
  pixels: number,
  chunkPixels: number,
  channels: number,
  bytes: number,
  maxBinding: number,
  path: string,
) {
  const chunks = ceilDiv(pixels, chunkPixels);
  if (n * pixels * bytes <= maxBinding) {
    const range = { offset: 0, length: n * pixels * channels };
    return [{ image: 0, images: n, firstChunk: 0, count: chunks, size: pixels, range }];
  }
  invariant(
    n === 1 || (pixels * bytes) % bindingAlignment === 0,
    `groupNorm ${path}: ${n} images of ${pixels * bytes} bytes exceed a binding and do not start at multiples of 256 bytes`,
  );
  const most = Math.max(1, Math.floor(maxBinding / (chunkPixels * bytes)));
  return Array.from({ length: n }, (_, image) =>
    splitRows(chunks, chunkPixels * bytes, most).map(({ first, count }) => {
      const size = Math.min(count * chunkPixels, pixels - first * chunkPixels);
      const offset = (image * pixels + first * chunkPixels) * channels;
      return { image, images: 1, firstChunk: first, count, size, range: { offset, length: size * channels } };
    }),
  ).flat();
}
