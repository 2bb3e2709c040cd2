import { dirname, join } from "node:path";
import { UnsupportedError } from "../../core/invariant.js";
import { Fields } from "../../core/json.js";
import type { Case } from "./case.js";
import { type Check, compareFloats } from "./compare.js";
import { GoldenFile } from "./goldenFile.js";
import { largeMeanFloor, limits } from "./limits.js";
import { attentionOp, nearestCodeOp } from "./opsSpecial.js";
import { type Op, opTable } from "./opTable.js";
import { listIn } from "./pythonJson.js";

/** The cases of an `ops.json`; the tensors are in `ops.safetensors` beside it. */
export function opCases(path: string, json: unknown, prefix: string): Case[] {
  const folder = dirname(path);
  return listIn(json, path).map((entry, i) => {
    const f = new Fields(entry, `${path} entry ${i}`);
    const id = String(f.raw("id") ?? i);
    const kind = String(f.raw("op") ?? "unknown");
    return { name: `${prefix}/${id}`, kind, run: (lab) => runOp(id, kind, f, join(folder, "ops.safetensors"), lab) };
  });
}

async function runOp(
  id: string,
  kind: string,
  entry: Fields,
  path: string,
  lab: Parameters<Case["run"]>[0],
): Promise<Check[]> {
  const special = { attention: attentionOp, vq_argmin: nearestCodeOp }[kind];
  const op: Op | undefined = opTable[kind];
  if (!special && !op) throw new UnsupportedError(`the operation ${kind} is not supported yet`);
  const file = await GoldenFile.open(path);
  const params = new Fields(entry.raw("params") ?? {}, `params of ${id}`);
  const context = { id, file, params, lab };
  if (special) return special(context);
  const floor = floorOf(entry);
  const largeMean = kind === "group_norm" && floor !== undefined && floor > largeMeanFloor;
  const limit = largeMean ? limits.group_norm_large_mean : limits[op!.limit];
  const precision = "f16" in limit ? lab.precision : "f32";
  const actual = await op!.run(context, precision);
  return compareFloats("out", actual, await file.values(`${id}.out`), limit, lab.precision);
}

/** Error of the float32 reference against float64. */
export function floorOf(entry: Fields): number | undefined {
  const floor = entry.raw("fp32_vs_fp64");
  return floor === undefined ? undefined : new Fields(floor, "fp32_vs_fp64").number("max_abs_over_max", 0);
}
