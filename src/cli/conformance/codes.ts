import { invariant } from "../../core/invariant.js";
import { codeTie } from "./limits.js";
import type { Values } from "./values.js";

/*
 * A codebook turns an error within its limit into a whole code where two codes are about equally near, so results behind
 * a codebook are compared in half precision as if such pixels had fallen on the reference's side.
 */

/** The expected index where, of what was looked up (`x` [..., C]), the code found is as near, or nearer; else the one found. */
export function settleTies(found: Values, expected: Values, x: Values, codebook: Values): Values {
  invariant(found.data.length === expected.data.length, "another number of indices than expected");
  const data = Array.from(found.data, (index, pixel) => {
    const wanted = expected.data[pixel]!;
    const gap = distance(x, pixel, codebook, index) - distance(x, pixel, codebook, wanted);
    return gap < codeTie ? wanted : index;
  });
  return { shape: found.shape, data };
}

/** Codes [N, H, W, C] of the indices found, with the expected ones where these were settled otherwise. */
export function settleCodes(codes: Values, found: Values, settled: Values, expected: Values): Values {
  const width = codes.shape.at(-1)!;
  const source = (i: number) =>
    found.data[Math.floor(i / width)] === settled.data[Math.floor(i / width)] ? codes : expected;
  return { shape: codes.shape, data: Array.from(codes.data, (_, i) => source(i).data[i]!) };
}

/** Latents [N, H, W, C] that are compared on their own, with the expected pixel wherever theirs is of another code. */
export function settleLatent(found: Values, expected: Values, codebook: Values): Values {
  const width = codebook.shape[1]!;
  const data = Float64Array.from(found.data);
  for (let pixel = 0; pixel < data.length / width; pixel++) {
    if (nearest(found, pixel, codebook) === nearest(expected, pixel, codebook)) continue;
    for (let c = pixel * width; c < (pixel + 1) * width; c++) data[c] = expected.data[c]!;
  }
  return { shape: found.shape, data };
}

function nearest(x: Values, pixel: number, codebook: Values): number {
  let [best, least] = [0, Number.POSITIVE_INFINITY];
  for (let code = 0; code < codebook.shape[0]!; code++) {
    const here = distance(x, pixel, codebook, code);
    if (here < least) [best, least] = [code, here];
  }
  return best;
}

function distance(x: Values, pixel: number, codebook: Values, code: number): number {
  const width = codebook.shape[1]!;
  let sum = 0;
  for (let c = 0; c < width; c++) sum += (x.data[pixel * width + c]! - codebook.data[code * width + c]!) ** 2;
  return sum;
}
