/** Parts of networks in the order in which they run; a part without a rank comes after the first and before the last. */
const first = ["conv_in", "time_embedding", "class_embedding", "embeddings", "down_blocks", "mid_block", "up_blocks"];
const last = ["final_layer_norm", "conv_norm_out", "conv_out", "text_projection"];
/** Pictures are decoded far more often than encoded: the encoder's weights lie behind, where nobody reads over them. */
const autoencoder = ["post_quant_conv", "quantize", "decoder", "encoder", "quant_conv"];

const ranks = new Map([
  ...first.map((name, i): [string, number] => [name, i - 100]),
  ...autoencoder.map((name, i): [string, number] => [name, i + 1]),
  ...last.map((name, i): [string, number] => [name, i + 100]),
]);

/**
 * Names of a network's tensors in the order in which it is loaded and runs, so that what is read together lies
 * together: numbered layers by their number, and what a task can do without in one piece at the end.
 */
export function loadOrder(names: Iterable<string>): string[] {
  const keyed = [...names].map((name) => ({ name, parts: name.split(".") }));
  return keyed.sort((a, b) => compare(a.parts, b.parts)).map(({ name }) => name);
}

function compare(a: readonly string[], b: readonly string[]): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const order = comparePart(a[i]!, b[i]!);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

function comparePart(a: string, b: string): number {
  if (a === b) return 0;
  const byRank = (ranks.get(a) ?? 0) - (ranks.get(b) ?? 0);
  if (byRank !== 0) return byRank;
  const [left, right] = [a, b].map((part) => (/^\d+$/.test(part) ? Number(part) : Number.POSITIVE_INFINITY));
  if (left !== right) return left! - right!; // numbers before words
  return a < b ? -1 : 1;
}
