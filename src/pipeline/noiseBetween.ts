import { NoiseStream } from "./noiseStream.js";

/** The noise on the way from one seed's to another's: each draw turns as far as `t` says, from 0 to 1. */
export function noiseBetween([from, to]: readonly [number, number], t: number): Pick<NoiseStream, "draw"> {
  const stream = (seed: number) => new NoiseStream({ noise: "torch", seeds: [seed] });
  const [a, b] = [stream(from), stream(to)];
  return { draw: (shape) => ({ values: slerp(a.values(shape), b.values(shape), t) }) };
}

/** The way on the sphere from one noise to the other: both ends and all between have the norm of noise. `t` from 0 to 1. */
function slerp(a: Float32Array, b: Float32Array, t: number): Float32Array<ArrayBuffer> {
  let dot = 0;
  let [aa, bb] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    dot += a[i]! * b[i]!;
    aa += a[i]! ** 2;
    bb += b[i]! ** 2;
  }
  const angle = Math.acos(Math.min(1, Math.max(-1, dot / Math.sqrt(aa * bb))));
  // Nearly parallel vectors have no plane to turn in; the straight line is the same there.
  const [wa, wb] =
    Math.sin(angle) < 1e-6
      ? [1 - t, t]
      : [Math.sin((1 - t) * angle), Math.sin(t * angle)].map((s) => s / Math.sin(angle));
  return Float32Array.from(a, (x, i) => wa! * x + wb! * b[i]!);
}
