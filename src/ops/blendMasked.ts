import { invariant } from "../core/invariant.js";
import { defineKernel } from "../core/kernel.js";
import { ceilDiv, sameShape, showShape, sizeOf } from "../core/shape.js";
import { linearGrid, type Tensor } from "../graph/graph.js";

export const blendMaskedKernel = defineKernel({
  name: "blendMasked",
  code: () => import("../../shaders/blendMasked.wgsl"),
  reads: ["clean", "mask", "noise", "scalars"],
  writes: ["x"],
  params: { count: "u32", channels: "u32", cleanSize: "u32", maskSize: "u32" },
  consts: [],
});

/**
 * Masked sampling: x = mask * x + (1 - mask) * (signal * clean + level * noise), in place on the latent x (a state
 * [N, H, W, C]). `clean` is [N or 1, H, W, C], `mask` [N or 1, H, W, 1] with 1 where x is kept and 0 where clean is,
 * `noise` of x's shape, `scalars` at least [2]: signal, level. All f32. The original code blends before each evaluation
 * at that step's level with fresh noise; diffusers after each step at the next step's level with the first noise, and
 * after the last with level 0.
 */
export function blendMasked(x: Tensor, clean: Tensor, mask: Tensor, noise: Tensor, scalars: Tensor): void {
  const shown = [clean, mask, noise].map((t) => showShape(t.shape)).join(", ");
  const [n, ...image] = x.shape;
  const batched = (t: Tensor, rest: readonly number[]) =>
    (t.shape[0] === n || t.shape[0] === 1) && sameShape(t.shape.slice(1), rest);
  const fits = batched(clean, image) && batched(mask, [...image.slice(0, -1), 1]) && sameShape(noise.shape, x.shape);
  const typed = [x, clean, mask, noise, scalars].every((t) => t.dtype === "f32");
  invariant(
    fits && typed && sizeOf(scalars.shape) >= 2,
    `blendMasked: clean, mask, noise are ${shown} for a latent ${showShape(x.shape)}, all in f32`,
  );
  const count = sizeOf(x.shape);
  x.graph.emit(blendMaskedKernel, {
    reads: { clean, mask, noise, scalars },
    writes: { x },
    params: { count, channels: image.at(-1)!, cleanSize: sizeOf(clean.shape), maskSize: sizeOf(mask.shape) },
    consts: {},
    grid: linearGrid(ceilDiv(count, 256)),
  });
}
