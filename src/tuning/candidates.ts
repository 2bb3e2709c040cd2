import type { Graph, Tensor } from "../graph/graph.js";
import { type AttentionOptions, rowsShape } from "../ops/attention.js";
import { attentionBlocks } from "../ops/attentionMatrix.js";
import type { Conv2dOptions } from "../ops/conv2d.js";
import { chunkOf, type GroupNormOptions, suitsWhole } from "../ops/groupNorm.js";
import type { LinearOptions } from "../ops/linear.js";
import { linearRowsMost } from "../ops/linearRows.js";
import { chooseBlock, cuts, type MatrixBlock, type Product, suitsUnits, takesProducts } from "../ops/matrixBlock.js";
import { blocks, chooseTile, estimate, type Tiling, tilings } from "../ops/tile.js";
import type { Instance } from "./instance.js";

/** One way to record an op. The names are those of tables: they stay with what they stand for. */
export interface Candidate {
  readonly name: string;
  /** Options that make the op take this form; none for what it takes anyway. */
  readonly form:
    | Pick<Conv2dOptions | LinearOptions, "variant" | "tiling" | "block">
    | Pick<AttentionOptions, "variant" | "block" | "rows">
    | Pick<GroupNormOptions, "variant" | "chunk">;
}

/** What an op takes where nothing else was measured to be faster. */
export const usual: Candidate = { name: "usual", form: {} };

/** Each is a compilation and some runs: more are not worth their time. */
const most = 5;

/** The few ways that are worth a try for an op of a shape on a device, the usual one first. */
export function candidatesOf(instance: Instance): Candidate[] {
  const { op, inputs, options } = instance;
  const x = inputs[0]!;
  const others = (): Candidate[] => {
    switch (op) {
      case "conv2d": {
        const { out, kernel = 3, stride = 1, resize } = options;
        const channels = x.shape[3]!;
        const [height, width] = resize ?? [x.shape[1]!, x.shape[2]!];
        const rows = x.shape[0]! * Math.ceil(height / stride) * Math.ceil(width / stride);
        const tiles = products(x, { rows, outputs: out, inner: kernel * kernel * channels, channels });
        return [...otherWinograd(x, options), ...tiles];
      }
      case "linear": {
        const channels = x.shape.at(-1)!;
        const rows = x.shape.reduce((a, b) => a * b) / channels;
        const bare = !options.residual && !options.channelBias;
        const few = rows <= linearRowsMost && channels % 4 === 0 && bare;
        const onRows: Candidate[] = few && x.graph.software ? [{ name: "rows", form: { variant: "rows" } }] : [];
        const { out, gated = false } = options;
        const product = { rows, outputs: gated ? 2 * out : out, inner: channels, channels, gated };
        return [...onRows, ...products(x, product, few)];
      }
      case "attention":
        return heads(x, inputs[1]!.shape[1]!, options);
      case "groupNorm":
        return norms(x, options);
    }
  };
  return [usual, ...others()].slice(0, most);
}

/** Winograd's form where the usual one is tiled, and the usual tiles where it is Winograd's. */
function otherWinograd(x: Tensor, { out, kernel = 3, stride = 1, resize, pad }: Conv2dOptions): Candidate[] {
  const { graph } = x;
  const [images, , , channels] = x.shape as [number, number, number, number];
  const [left, right, top, bottom] = pad ?? [1, 1, 1, 1];
  const [height, width] = resize ?? [x.shape[1]!, x.shape[2]!];
  const [outHeight, outWidth] = [height + top + bottom - 2, width + left + right - 2];
  const shape = { images, outHeight, outWidth, channels, outputs: out };
  if (graph.software || kernel !== 3 || stride !== 1 || !graph.winograd?.takes(x, shape)) return [];
  if (!graph.winograd.prefers(x, shape)) return [{ name: "winograd", form: { variant: "winograd" } }];
  return [tiled(chooseTile(images * outHeight * outWidth, out, 9 * channels))];
}

/** `few`: the usual form is one for few rows, and so every other one is worth a try. */
function products({ graph, dtype }: Tensor, product: Product, few = false): Candidate[] {
  const { rows, outputs, inner, channels, gated } = product;
  const onMatrix = takesProducts(graph.matrix, channels, gated ? outputs / 2 : outputs, dtype, gated);
  const direct: Candidate[] = channels % 4 === 0 ? [{ name: "direct", form: { variant: "direct" } }] : [];
  if (graph.software) return []; // on CPUs tiles take seconds to compile, and take longer than the direct form
  const tile = chooseTile(rows, outputs, inner, gated);
  if (!onMatrix) return [...(few ? [tiled(tile)] : []), ...otherTiles(product, tile), ...direct];
  return [...matrixBlocks(graph, product, few), tiled(tile)];
}

const tiled = (tiling: Tiling): Candidate => ({
  name: `tiled ${tiling.m}x${tiling.n}/${tiling.splits}`,
  form: { variant: "tiled", tiling },
});

/** The two blocks next best as estimated, and the usual one with its inner axis shared by half as many or twice as many. */
function otherTiles({ rows, outputs, inner, gated }: Product, usual: Tiling): Candidate[] {
  const all = tilings(rows, outputs, inner, gated);
  const cost = (tiling: Tiling) => estimate(tiling, rows, outputs);
  const best = blocks
    .filter(({ m, n }) => (m !== usual.m || n !== usual.n) && all.some((t) => t.m === m && t.n === n))
    .map(({ m, n }) => all.filter((t) => t.m === m && t.n === n).reduce((a, b) => (cost(b) < cost(a) ? b : a)))
    .sort((a, b) => cost(a) - cost(b))
    .slice(0, 2);
  const { splits } = usual;
  const wanted = splits > 1 ? Math.ceil(splits / 2) : 2;
  const shared = all.find((t) => t.m === usual.m && t.n === usual.n && t.splits === wanted);
  return [...best, ...(shared ? [shared] : [])].map(tiled);
}

/** The other blocks, each alone and shared as the usual one is, from the largest on. */
function matrixBlocks({ matrix }: Graph, product: Product, few: boolean): Candidate[] {
  const chosen = matrix && chooseBlock(product, matrix);
  if (!matrix || !chosen) return [];
  const found = new Map<string, MatrixBlock>();
  for (const splits of new Set([chosen.splits, 1])) {
    for (const cut of Object.values(cuts)) {
      const block = { ...cut, splits };
      const { rows, columns, depth, acrossRows, acrossColumns } = block;
      const name = `matrix ${rows}x${columns}x${depth} ${acrossRows}x${acrossColumns}/${splits}`;
      const isUsual = !few && JSON.stringify(block) === JSON.stringify(chosen);
      if (!isUsual && suitsUnits(cut, matrix, product.channels, product.gated)) found.set(name, block);
    }
  }
  return [...found].slice(0, 3).map(([name, block]) => ({ name, form: { variant: "matrix", block } }));
}

function heads({ shape, graph, dtype }: Tensor, keys: number, { heads }: AttentionOptions): Candidate[] {
  const headSize = shape[2]! / heads;
  const queries = shape[1]!;
  const rows = rowsShape(headSize, queries);
  const named = (given: NonNullable<typeof rows>): Candidate => ({
    name: `rows ${given.LINES}x${given.ROWS} keys ${given.KEYS}`,
    form: { variant: "flash", rows: given },
  });
  const online: Candidate = { name: "online", form: { variant: "flash", rows: false } };
  if (graph.software) return []; // drivers on CPUs compile the others for up to a minute
  const { matrix } = graph;
  const onMatrix = matrix && dtype === "f16" ? attentionBlocks(headSize, keys, matrix) : [];
  if (onMatrix.length > 0) {
    const blocks = onMatrix.slice(1, 4).map((block): Candidate => {
      const { keys, rows, subgroups } = block;
      return { name: `matrix keys ${keys} ${subgroups}x${rows}`, form: { variant: "matrix", block } };
    });
    return [...blocks, rows ? named(rows) : online];
  }
  if (!rows) return [];
  const lines = [32, 64, 128].filter((LINES) => LINES !== rows.LINES).map((LINES) => named({ ...rows, LINES }));
  return [...lines, ...(rows.ROWS > 1 ? [named({ ...rows, ROWS: 1 })] : []), online];
}

/** Values up to this size a single workgroup a group may norm: larger ones are normed in place, in steps. */
const wholeMost = 8 << 20;

function norms(x: Tensor, { groups = 32 }: GroupNormOptions): Candidate[] {
  const { shape, graph } = x;
  const size = shape.reduce((a, b) => a * b);
  // Many workgroups hide how long memory takes to answer, few leave less to join.
  const sizes = new Map([[chunkOf(x, groups), 0]]);
  for (const chunk of graph.software ? [] : [8, 16, 64]) {
    const size = chunkOf(x, groups, chunk);
    if (!sizes.has(size)) sizes.set(size, chunk);
  }
  const chunked = [...sizes.values()]
    .slice(1)
    .map((chunk): Candidate => ({ name: `chunked ${chunk}`, form: { variant: "chunked", chunk } }));
  if (suitsWhole(x, groups)) return [{ name: "chunked", form: { variant: "chunked" } }, ...chunked];
  const fits = size * 4 <= Math.min(wholeMost, graph.maxBinding);
  return [...(fits ? [{ name: "whole", form: { variant: "whole" } } as const] : []), ...chunked];
}
