import { invariant } from "../../core/invariant.js";
import type { StoredTensor } from "../../weights/safetensors.js";
import { type Rows, rowsOf } from "../../weights/view.js";

/**
 * Rows of queries, keys and values of a joined projection [3 * C, ...]. `newOrder`: all queries, then all keys, then all
 * values; else, as in every published model, the query, key and value of the first head, then those of the second ...
 */
export function splitQkv(
  tensor: StoredTensor,
  heads: number,
  newOrder: boolean,
): { readonly part: "q" | "k" | "v"; readonly tensor: StoredTensor }[] {
  const channels = tensor.shape[0]! / 3;
  const width = channels / heads;
  invariant(
    Number.isInteger(channels) && Number.isInteger(width),
    () => `${tensor.name}: ${tensor.shape[0]} rows do not split into queries, keys and values of ${heads} heads`,
  );
  return (["q", "k", "v"] as const).map((part, i) => {
    const rows: Rows[] = newOrder
      ? [{ first: i * channels, count: channels }]
      : Array.from({ length: heads }, (_, head) => ({ first: (3 * head + i) * width, count: width }));
    return { part, tensor: rowsOf(tensor, `${tensor.name} (${part})`, rows) };
  });
}
