import type { GraphOptions } from "../graph/graph.js";
import type { FirstStageConfig } from "../models/firstStage.js";
import { type DecoderPrograms, held } from "./decoderPrograms.js";
import type { StageParts } from "./stageParts.js";
import { decoderTileGraph, rgbaGraph } from "./tileGraphs.js";
import { gridOf, type HalfSize } from "./tileGrid.js";
import { compileTiles } from "./tilePrograms.js";

/** The programs of a decoder that works tile by tile; none where one tile is all. */
export async function decoderTiles(
  parts: StageParts,
  config: FirstStageConfig,
  settings: GraphOptions,
  size: HalfSize,
): Promise<DecoderPrograms | undefined> {
  const { images } = size;
  const grid = gridOf(size, size.tile);
  if (!grid) return undefined;
  const programs = await compileTiles(parts, grid, (tile) =>
    decoderTileGraph(config, images, grid, tile, settings, size.bands),
  );
  const { latent: given, picture: merged } = programs.first;
  const [latent, picture] = [held(programs.plan, given), held(programs.plan, merged)];
  const runTiles = () => {
    for (const { plan, program, place } of programs.tiles(images)) {
      plan.write(program.place, place);
      plan.run("step");
    }
  };
  if (merged.dtype === "u32") return { latent, rgba: picture, picture: undefined, run: runTiles };
  const last = rgbaGraph(merged.shape, settings);
  const plan = await parts.compile(last.graph, new Map([[last.picture, picture.buffer]]));
  const run = () => {
    runTiles();
    plan.run("step");
  };
  return { latent, rgba: held(plan, last.rgba), picture, run };
}
