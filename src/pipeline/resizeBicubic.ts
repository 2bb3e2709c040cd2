/** Weights of the four neighbours at fraction t (Keys 1981 with a = -0.75, as PyTorch has it). */
function cubic(t: number): readonly [number, number, number, number] {
  const a = -0.75;
  const near = (x: number) => ((a + 2) * x - (a + 3)) * x * x + 1;
  const far = (x: number) => ((a * x - 5 * a) * x + 8 * a) * x - 4 * a;
  return [far(t + 1), near(t), near(1 - t), far(2 - t)];
}

/** Bicubic resize of [H, W] with half-pixel centres, borders repeated, without antialiasing: PyTorch's "bicubic". */
export function resizeBicubic(
  values: Float32Array,
  [height, width]: readonly [number, number],
  [outHeight, outWidth]: readonly [number, number],
): Float32Array<ArrayBuffer> {
  const rows = taps(width, outWidth);
  const columns = taps(height, outHeight);
  const out = new Float32Array(outHeight * outWidth);
  for (const [y, vertical] of columns.entries()) {
    for (const [x, horizontal] of rows.entries()) {
      let total = 0;
      for (const [row, weight] of vertical) {
        let sum = 0;
        for (const [column, share] of horizontal) sum += share * values[row * width + column]!;
        total += weight * sum;
      }
      out[y * outWidth + x] = total;
    }
  }
  return out;
}

/** For each position of the result: four positions of the input and their weights. */
function taps(size: number, outSize: number): (readonly [number, number])[][] {
  return Array.from({ length: outSize }, (_, i) => {
    const at = ((i + 0.5) * size) / outSize - 0.5;
    const first = Math.floor(at);
    return cubic(at - first).map((weight, k) => [Math.min(Math.max(first - 1 + k, 0), size - 1), weight] as const);
  });
}
