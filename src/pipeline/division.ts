import { dtypeBytes } from "../core/dtype.js";
import { invariant, WebldmError } from "../core/invariant.js";
import { alignUp } from "../core/shape.js";
import type { Graph, GraphOptions } from "../graph/graph.js";
import { downsampling } from "../models/autoencoder.js";
import type { AutoencoderConfig } from "../models/autoencoderConfig.js";
import { bandableLevels } from "../models/decoderBands.js";
import { decodePicture, type FirstStageConfig } from "../models/firstStage.js";
import { storageBytes } from "../plan/lifetimes.js";
import { measure, poolBytes } from "../plan/measure.js";
import { bandedDecoderGraph } from "./decoderBands.js";
import { decoderGraph } from "./decoderGraph.js";
import { encoderGraph } from "./encoderGraphs.js";
import { decoderTileGraph, encoderTileGraph, rgbaGraph } from "./tileGraphs.js";
import { type Division, gridOf, type StageSize, tileSizes } from "./tileGrid.js";

export interface StageBytes {
  /** Intermediates, inputs and results together. */
  readonly total: number;
  /** The largest single buffer. */
  readonly largest: number;
}

/**
 * What a half of a first stage takes on the device besides its weights; needs no device.
 * @param size what goes in: latents for the decoder, pictures for the encoder
 * @param division in one piece where it names nothing
 */
export function stageBytes(
  half: "decoder" | "encoder",
  config: FirstStageConfig,
  size: StageSize,
  settings: GraphOptions,
  division: Division = {},
): StageBytes {
  return bytesOf(stageGraphs(half, config, size, settings, division));
}

/** The programs of a half of a first stage. */
export function stageGraphs(
  half: "decoder" | "encoder",
  config: FirstStageConfig,
  size: StageSize,
  settings: GraphOptions,
  { bands, tile }: Division = {},
): Graph[] {
  invariant(
    !bands || (half === "decoder" && config.kind !== "tiny"),
    `bands: of the ${half} of a ${config.kind} first stage, expected the decoder of another kind`,
  );
  const factor = half === "decoder" ? 1 : downsampling(config);
  const grid = gridOf({ images: size.images, height: size.height / factor, width: size.width / factor }, tile);
  if (!grid) {
    if (bands) return [bandedDecoderGraph(config, size, settings, bands).graph];
    const { graph } =
      half === "decoder" ? decoderGraph(config, size, settings, decodePicture) : encoderGraph(config, size, settings);
    return [graph];
  }
  if (half === "encoder") {
    return tileSizes(grid).map((shape) => encoderTileGraph(config, size.images, grid, shape, settings).graph);
  }
  const programs = tileSizes(grid).map((shape) => decoderTileGraph(config, size.images, grid, shape, settings, bands));
  const graphs: Graph[] = programs.map(({ graph }) => graph);
  const { picture } = programs[0]!;
  if (picture.dtype === "f32") graphs.push(rgbaGraph(picture.shape, settings).graph);
  return graphs;
}

/** Programs that share a pool, and by their labels all values that outlive a run. */
function bytesOf(graphs: readonly Graph[]): StageBytes {
  const measures = graphs.map(measure);
  const kept = new Map<string, number>();
  for (const graph of graphs) {
    for (const { id, kind, label } of graph.storages) {
      const lasting = kind === "input" || kind === "state" || graph.outputs.has(id);
      if (!lasting) continue;
      const key = label || `output ${id}`;
      kept.set(key, Math.max(kept.get(key) ?? 0, storageBytes(graph, id)));
    }
  }
  const lasting = [...kept.values()];
  return {
    total: poolBytes(measures) + lasting.reduce((a, b) => a + b, 0),
    largest: Math.max(...lasting, ...measures.map(({ slots }) => slots[0] ?? 0)),
  };
}

export interface DivisionOptions {
  readonly settings: GraphOptions;
  /** Bytes that intermediates, inputs and results may take together; no limit where absent. */
  readonly budget?: number;
  /** Where the programs will run: its largest buffer counts. */
  readonly device?: { readonly gpu: { readonly limits: Pick<GPUSupportedLimits, "maxBufferSize"> } };
}

/** Sides of tiles that are tried are multiples of this. */
const tileStep = 8;

/** Rows of bands that are tried: smaller ones save little, and cost more at their edges. */
const bandRows = [128, 64, 32];

/**
 * How a half of a first stage fits into a budget and into the device's buffers: in one piece where that fits; a decoder
 * in bands, which give the same picture, where these do, with as few levels and as many rows as the budget allows; else in
 * the largest tiles that fit.
 * @param size what goes in: latents for the decoder, pictures for the encoder
 * @throws WebldmError where not even the smallest tile fits
 */
export function divisionFor(
  half: "decoder" | "encoder",
  config: FirstStageConfig,
  size: StageSize,
  options: DivisionOptions,
): Division {
  const { budget = Number.POSITIVE_INFINITY } = options;
  const problem = problemOf(half, config, size, options);
  if (!problem({})) return {};
  const factor = half === "decoder" ? 1 : downsampling(config);
  const side = alignUp(Math.max(size.height, size.width) / factor, tileStep);
  // The pictures of a batch one after the other come out as they do together.
  const oneByOne = size.images > 1 ? { tile: side } : {};
  if (size.images > 1 && !problem(oneByOne)) return oneByOne;
  if (half === "decoder" && config.kind !== "tiny" && leastOfBands(config, size, options) <= budget) {
    for (let levels = 1; levels <= bandableLevels(config); levels++) {
      for (const rows of bandRows) {
        const division = { ...oneByOne, bands: { levels, rows } };
        if (!problem(division)) return division;
      }
    }
  }
  const smallest = problem({ tile: tileStep });
  if (smallest) throw smallest;
  // Bytes grow with the tile: the largest that fits lies between one that does and one that does not.
  let fits = 1;
  let fails = side / tileStep + 1;
  while (fails - fits > 1) {
    const middle = Math.floor((fits + fails) / 2);
    if (problem({ tile: middle * tileStep })) fails = middle;
    else fits = middle;
  }
  return { tile: fits * tileStep };
}

/** What no division into bands goes below: the last block's result, of one picture. Spares recording what cannot fit. */
const leastOfBands = (config: AutoencoderConfig, { height, width }: StageSize, { settings }: DivisionOptions): number =>
  height * width * downsampling(config) ** 2 * config.channels[0]! * dtypeBytes[settings.dtype];

/** Why a half does not fit when it is divided so; undefined where it does. */
function problemOf(
  half: "decoder" | "encoder",
  config: FirstStageConfig,
  size: StageSize,
  { settings, budget = Number.POSITIVE_INFINITY, device }: DivisionOptions,
) {
  const largestBuffer = device?.gpu.limits.maxBufferSize ?? Number.POSITIVE_INFINITY;
  const what = `${half} of ${size.images} x ${size.height} x ${size.width}`;
  return (division: Division): WebldmError | undefined => {
    const { bands, tile } = division;
    const where = bands
      ? `in bands of ${bands.rows} rows`
      : tile === undefined
        ? "in one piece"
        : `in tiles of ${tile} latent pixels`;
    // A program that exceeds a binding where bands do not help cannot even be recorded: its error says so.
    try {
      const { total, largest } = stageBytes(half, config, size, settings, division);
      if (total > budget) return new WebldmError(`${what}: takes ${total} bytes ${where}, the budget is ${budget}`);
      if (largest <= largestBuffer) return undefined;
      return new WebldmError(
        `${what}: needs a buffer of ${largest} bytes ${where}, this adapter allows ${largestBuffer}`,
      );
    } catch (error) {
      if (error instanceof WebldmError) return error;
      throw error;
    }
  };
}
