// Engines side by side in one page: the same work with the same numbers, in turns.
import { Device } from "../../src/gpu/device.js";
import { parseUNetConfig } from "../../src/models/unetConfig.js";
import { stableDiffusion15 } from "../configs.js";
import { summary, type Times } from "../speed/clock.js";
import { relativeError } from "../speed/float64.js";
import { acceptanceCases, type OpCase, smallCases } from "../speed/opCases.js";
import { withheld } from "../speed/without.js";
import type { Contender, Prepared } from "./contender.js";
import { jax } from "./jax.js";
import type { Expected, Task } from "./net.js";
import { ort } from "./ort.js";
import { expectedUnet, ownOp, ownUnet } from "./ownContender.js";
import { opTask, unetTask } from "./tasks.js";
import { tfjs } from "./tfjs.js";

export interface PeersJob {
  readonly small: boolean;
  readonly dtype: "f32" | "f16";
  readonly without: readonly string[];
  readonly runs: number;
  /** Versions of the packages, by their names. */
  readonly versions: Readonly<Record<string, string>>;
  readonly only?: string;
}

export interface PeerTime {
  readonly engine: string;
  readonly variant: string;
  readonly time?: Times;
  readonly error?: number;
  /** Why it does not count. */
  readonly void?: string;
}

export interface PeerRow {
  readonly id: string;
  readonly flops: number;
  readonly own: PeerTime;
  readonly peers: readonly PeerTime[];
}

export interface PeersResult {
  readonly adapter: string;
  readonly dtype: "f32" | "f16";
  readonly features: readonly string[];
  readonly rows: readonly PeerRow[];
}

declare global {
  var webldmPeers: (job: PeersJob) => Promise<PeersResult>;
}

/** Relative errors above these are no rounding. Some engines sum in float16. */
const limits = { f32: 1e-3, f16: 0.06 } as const;

/** 0.36 GFLOP a step, every kind of layer of Stable Diffusion 1. */
const smallUnet = parseUNetConfig({
  in_channels: 4,
  out_channels: 4,
  sample_size: 16,
  block_out_channels: [32, 64, 64],
  layers_per_block: 2,
  attention_head_dim: 4,
  cross_attention_dim: 64,
  norm_num_groups: 16,
  down_block_types: ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
  up_block_types: ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
});

interface Work {
  readonly task: Task;
  readonly own: (device: Device) => Promise<Prepared>;
  readonly expected: (device: Device) => Expected | Promise<Expected>;
  /** Networks that only ONNX Runtime is known to take. */
  readonly large?: boolean;
}

function* worksOf({ small, dtype, only }: PeersJob): Generator<Work> {
  const op = (item: OpCase): Work => {
    const task = opTask(item, dtype);
    return { task, own: (device) => ownOp(device, dtype, item), expected: () => task.expected() };
  };
  const wanted = (id: string) => only === undefined || id.includes(only);
  for (const item of small ? smallCases() : acceptanceCases()) if (wanted(item.id)) yield op(item);
  if (small && wanted("UNet")) {
    const task = unetTask(smallUnet, 16, 1, dtype);
    yield { task, own: (device) => ownUnet(device, dtype, smallUnet, task), expected: () => task.expected() };
  }
  if (!small && only?.startsWith("UNet")) {
    const { unet } = stableDiffusion15;
    const task = unetTask(unet, unet.sampleSize, only.endsWith("1") ? 1 : 2, dtype);
    const own = (device: Device) => ownUnet(device, dtype, unet, task);
    yield { task, own, expected: (device) => expectedUnet(device, unet, task), large: true };
  }
}

globalThis.webldmPeers = async (job) => {
  const request = { powerPreference: "high-performance" } as const;
  const adapter = (await navigator.gpu.requestAdapter(request)) ?? (await navigator.gpu.requestAdapter(request));
  if (!adapter) throw new Error("the browser offers no adapter");
  const device = await Device.open({ adapter: withheld(adapter, job.without) });
  const { versions } = job;
  const contenders: Contender[] = [
    ort(new URL("/files/", location.href).href, versions["onnxruntime-web"]!, !device.features.software),
    tfjs(versions["@tensorflow/tfjs-backend-webgpu"]!),
    jax(versions["@jax-js/jax"]!),
  ];
  const rows: PeerRow[] = [];
  for (const work of worksOf(job))
    rows.push(await compared(device, work, work.large ? contenders.slice(0, 1) : contenders, job));
  return { adapter: device.adapterName, dtype: job.dtype, features: [...device.gpu.features].sort(), rows };
};

interface Entry {
  readonly engine: string;
  readonly prepared: Prepared;
  readonly error: number;
  readonly repeats: number;
  readonly samples: number[];
}

/** Seconds that an engine may take to prepare a task, and to run it twice. */
const patience = 240;

async function compared(
  device: Device,
  { task, own, expected: expectedOf }: Work,
  contenders: readonly Contender[],
  { dtype, runs }: PeersJob,
): Promise<PeerRow> {
  console.log(task.id);
  const expected = await expectedOf(device);
  const entries: Entry[] = [];
  const voided: PeerTime[] = [];
  const enter = async (engine: string, prepared: Prepared) => {
    const started = performance.now();
    await prepared.run();
    await prepared.wait();
    const output = await prepared.output();
    const error = relativeError(
      expected.places.map((i) => output[i]!),
      expected.values,
    );
    if (!(error <= limits[dtype])) {
      voided.push({ engine, variant: prepared.variant, error, void: "wrong result" });
      await prepared.dispose();
      return;
    }
    const again = performance.now();
    await prepared.run();
    await prepared.wait();
    const once = performance.now() - again;
    // Short work is done so often that waiting does not count; slow adapters do it once.
    const repeats = device.features.software ? 1 : Math.min(200, Math.max(1, Math.ceil(20 / once)));
    console.log(
      `  ${engine} ${prepared.variant}: ${(performance.now() - started).toFixed(0)} ms for two runs, error ${error.toExponential(1)}`,
    );
    entries.push({ engine, prepared, error, repeats, samples: [] });
  };
  await enter("webldm", await own(device));
  for (const contender of contenders) {
    try {
      const ways = contender.prepare(task, dtype);
      for (let way = await patiently(ways.next()); !way.done; way = await patiently(ways.next())) {
        await patiently(enter(contender.name, way.value));
      }
    } catch (error) {
      const why = whyOf(error);
      voided.push({ engine: contender.name, variant: "", void: why });
      console.log(`  ${contender.name}: ${why}`);
    }
  }
  for (let run = 0; run < runs; run++) {
    for (const entry of [...entries]) {
      const { prepared, repeats, samples } = entry;
      try {
        const started = performance.now();
        for (let i = 0; i < repeats; i++) await prepared.run();
        await prepared.wait();
        samples.push((performance.now() - started) / repeats);
      } catch (error) {
        entries.splice(entries.indexOf(entry), 1);
        voided.push({ engine: entry.engine, variant: prepared.variant, void: whyOf(error) });
      }
    }
  }
  const times = entries.map(({ engine, prepared, error, samples, repeats }): PeerTime => {
    return { engine, variant: prepared.variant, error, time: summary(samples, "host", repeats) };
  });
  for (const { prepared } of entries) await prepared.dispose();
  const [first, ...peers] = times;
  const missing: PeerTime = { engine: "webldm", variant: "", void: "wrong result" };
  const ours = first?.engine === "webldm" ? first : missing;
  return { id: task.id, flops: task.flops, own: ours, peers: [...(ours === first ? peers : times), ...voided] };
}

const whyOf = (error: unknown): string =>
  String(error instanceof Error ? error.message : error)
    .split("\n")[0]!
    .slice(0, 160);

/** Gives up on an engine that does not answer. */
function patiently<T>(promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, fail) => {
    timer = setTimeout(() => fail(new Error(`no answer within ${patience} s`)), patience * 1000);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
