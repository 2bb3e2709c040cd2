import { attention } from "../../ops/attention.js";
import { nearestCode } from "../../ops/nearestCode.js";
import { settleTies } from "./codes.js";
import { type Check, compareExactly, compareFloats } from "./compare.js";
import { limits } from "./limits.js";
import type { OpContext } from "./opTable.js";
import { channelsLast, reshaped, transpose, type Values } from "./values.js";

/** The files hold [B, heads, L, d], our kernel takes [N, T, heads * d]. */
export async function attentionOp({ id, file, params, lab }: OpContext): Promise<Check[]> {
  const [q, k, v] = (await Promise.all(["q", "k", "v"].map((name) => file.values(`${id}.in.${name}`)))) as [
    Values,
    Values,
    Values,
  ];
  const heads = q.shape[1]!;
  const size = q.shape[3]!;
  const { y } = await lab.run({}, ({ input, graph }) => {
    const tokens = (values: Values) => input(joinHeads(values), graph.dtype);
    const options = { heads, scale: params.number("scale", size ** -0.5), causal: params.boolean("causal", false) };
    return { y: attention(tokens(q), tokens(k), tokens(v), options) };
  });
  const [n, length] = y.shape as [number, number];
  const actual = transpose(reshaped(y, [n, length, heads, size]), [0, 2, 1, 3]);
  return compareFloats("out", actual, await file.values(`${id}.out`), limits.attention, lab.precision);
}

function joinHeads(values: Values): Values {
  const [n, heads, length, size] = values.shape as [number, number, number, number];
  return reshaped(transpose(values, [0, 2, 1, 3]), [n, length, heads * size]);
}

/** Index of the nearest code; in f16 another code may be picked where two are equally near but for a rounding. */
export async function nearestCodeOp({ id, file, lab }: OpContext): Promise<Check[]> {
  const x = channelsLast(await file.values(`${id}.in.x`));
  const codebook = await file.values(`${id}.in.codebook`);
  const expected = await file.values(`${id}.out`);
  const weights = new Map([["codebook", file.renamed(`${id}.in.codebook`, "codebook")]]);
  const { indices, quantised } = await lab.run({ weights, component: id }, ({ input, graph, scope }) =>
    nearestCode(input(x, graph.dtype), scope.matrix("codebook", codebook.shape)),
  );
  const actual = lab.precision === "f16" ? settleTies(indices, expected, x, codebook) : indices;
  const codes = pick(codebook, indices);
  return [
    compareExactly("out", actual, expected),
    ...compareFloats("codes", quantised, { shape: quantised.shape, data: codes }, limits.pointwise, lab.precision),
  ];
}

/** Rows of the codebook behind the indices. */
function pick(codebook: Values, indices: Values): number[] {
  const width = codebook.shape[1]!;
  return Array.from({ length: indices.data.length * width }, (_, i) => {
    const index = indices.data[Math.floor(i / width)]!;
    return codebook.data[index * width + (i % width)]!;
  });
}
