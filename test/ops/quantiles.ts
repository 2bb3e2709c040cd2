/** The q-quantile of the absolute values, linearly interpolated between the two nearest of them in order. */
export function sortedQuantile(values: ArrayLike<number>, ratio: number): number {
  const sorted = Array.from(values, Math.abs).sort((a, b) => a - b);
  const position = ratio * (sorted.length - 1);
  const low = sorted[Math.floor(position)]!;
  const high = sorted[Math.ceil(position)]!;
  return low + (high - low) * (position - Math.floor(position));
}

/** The images of a batch. */
export function images(values: ArrayLike<number>, count: number): number[][] {
  const size = values.length / count;
  return Array.from({ length: count }, (_, n) => Array.from(values).slice(n * size, (n + 1) * size));
}
