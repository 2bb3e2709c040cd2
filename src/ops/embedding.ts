import code from "../../shaders/embedding.wgsl";
import { dtypeBytes } from "../core/dtype.js";
import { invariant } from "../core/invariant.js";
import { defineKernel } from "../core/kernel.js";
import { ceilDiv, showShape } from "../core/shape.js";
import { linearGrid, type Tensor } from "../graph/graph.js";
import { splitRows } from "./bands.js";

export const embeddingKernel = defineKernel({
  name: "embedding",
  code,
  reads: ["ids", "tokens", "positions"],
  writes: ["y"],
  params: { count: "u32", channels: "u32", length: "u32", firstId: "u32", ids: "u32" },
  consts: ["W", "O", "POSITIONS"],
});

/**
 * Rows of a table: ids [N, T] (u32) to [N, T, C], plus the row of each position where there is a table of positions. The
 * table of tokens is [vocabulary, C], that of positions holds at least T rows. Ids beyond the vocabulary must be refused before they get here: their rows are not written.
 */
export function embedding(ids: Tensor, tokens: Tensor, positions?: Tensor): Tensor {
  invariant(
    ids.shape.length === 2 && ids.dtype === "u32",
    `embedding: ids are ${showShape(ids.shape)} ${ids.dtype}, expected [N, T] u32`,
  );
  const [n, length] = ids.shape as [number, number];
  const [vocabulary, channels] = tokens.shape as [number, number];
  if (positions) {
    const fits = positions.shape[1] === channels && positions.shape[0]! >= length && positions.dtype === tokens.dtype;
    invariant(
      fits,
      `embedding: positions are ${showShape(positions.shape)}, expected at least [${length}, ${channels}]`,
    );
  }
  const { graph } = ids;
  const y = graph.empty([n, length, channels]);
  const count = n * length * channels;
  const rowBytes = channels * dtypeBytes[tokens.dtype];
  for (const band of splitRows(vocabulary, rowBytes, Math.floor(graph.maxBinding / rowBytes))) {
    graph.emit(embeddingKernel, {
      reads: {
        ids,
        tokens: { tensor: tokens, offset: band.first * channels, length: band.count * channels },
        positions,
      },
      writes: { y },
      params: { count, channels, length, firstId: band.first, ids: band.count },
      consts: { W: tokens.dtype, O: y.dtype, POSITIONS: positions ? 1 : 0 },
      grid: linearGrid(ceilDiv(count, 256)),
    });
  }
  return y;
}
