// What a step costs as pictures, batches and networks grow: each point is a request of its own, compiled and timed.
import type { Engine } from "../../src/pipeline/engine.js";
import { latentFactor, type ModelConfig } from "../../src/pipeline/modelConfig.js";
import { flopsOf } from "./callWork.js";
import { replay, type Times, timed } from "./clock.js";
import type { GpuBytes } from "./gpuBytes.js";
import { denoiserOf, loadSubject, type Subject } from "./subject.js";

export interface GrowthPoint {
  /** Pixels along a side, pictures a batch, or channels of the first level. */
  readonly x: number;
  readonly time: Times;
  readonly flops: number;
  /** Bytes of buffers beyond the weights, the most at once. */
  readonly bytes: number;
  /** Of the weights. */
  readonly weights: number;
}

export interface GrowthSeries {
  readonly id: "resolution" | "batch" | "channels";
  readonly points: readonly GrowthPoint[];
  /** Why a point is missing. */
  readonly stopped?: string;
}

interface GrowthOptions {
  readonly seconds: number;
  readonly only: (id: string) => boolean;
}

/** Steps without guidance. */
export async function growth(
  engine: Engine,
  config: ModelConfig,
  bytes: GpuBytes,
  options: GrowthOptions,
  log: (line: string) => void,
): Promise<GrowthSeries[]> {
  const series: GrowthSeries[] = [];
  const side = config.unet.sampleSize * latentFactor(config);
  const width = config.unet.down[0]!.channels;
  const sides = [0.5, 0.75, 1, 1.25, 1.5, 2, 2.5, 3, 4].map((f) => side * f);
  const walks = {
    resolution: sides.map((s) => ({ x: s, config, side: s, images: 1 })),
    batch: [1, 2, 3, 4, 6, 8, 12, 16].map((images) => ({ x: images, config, side, images })),
    channels: [
      ...new Set([0.25, 0.5, 0.75, 1, 1.25, 1.5].map((f) => 32 * Math.max(1, Math.round((width * f) / 32)))),
    ].map((channels) => ({ x: channels, config: widened(config, channels / width), side, images: 1 })),
  };
  for (const [id, walk] of Object.entries(walks) as [GrowthSeries["id"], (typeof walks)["batch"]][]) {
    if (!options.only(id)) continue;
    const points: GrowthPoint[] = [];
    let stopped: string | undefined;
    let subject: Subject | undefined;
    const began = performance.now();
    for (const { x, config, side, images } of walk) {
      if (performance.now() - began > options.seconds * 1000) {
        stopped = `out of time before ${x}`;
        break;
      }
      try {
        if (subject?.config !== config) {
          subject?.model.dispose();
          subject = await loadSubject(engine, config);
        }
        points.push({ x, ...(await point(subject, bytes, side, images)) });
      } catch (error) {
        stopped = `${x}: ${error instanceof Error ? error.message : error}`;
        break;
      }
      log(`${id} ${x}: ${points.at(-1)!.time.median.toFixed(1)} ms`);
    }
    subject?.model.dispose();
    series.push({ id, points, ...(stopped ? { stopped } : {}) });
  }
  return series;
}

async function point(subject: Subject, bytes: GpuBytes, side: number, images: number): Promise<Omit<GrowthPoint, "x">> {
  const { model, engine } = subject;
  model.programs.drop();
  const weights = bytes.now();
  bytes.most();
  const { denoiser } = await denoiserOf(subject, { images, guided: false, side });
  const time = await timed(engine.device, replay(denoiser.plan, "step"), { runs: 7, least: 0 });
  const flops = denoiser.plan.list("step").reduce((sum, { call }) => sum + flopsOf(call), 0);
  return { time, flops, bytes: bytes.most() - weights, weights };
}

/** The same topology with other widths; norms need whole groups. */
function widened(config: ModelConfig, factor: number): ModelConfig {
  const { down, mid, groups } = config.unet;
  const scale = (channels: number) => Math.max(groups, groups * Math.round((channels * factor) / groups));
  if (factor === 1) return config;
  const levels = down.map(({ channels }) => scale(channels));
  return {
    ...config,
    unet: {
      ...config.unet,
      down: down.map((level, i) => ({ ...level, channels: levels[i]! })),
      up: config.unet.up.map((level, i) => ({ ...level, channels: levels[levels.length - 1 - i]! })),
      mid: { ...mid, channels: levels.at(-1)! },
      timeWidth: 4 * levels[0]!,
    },
  };
}
