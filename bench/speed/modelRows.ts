// Whole models: milliseconds of the host, from the call until the device is done, since that is what a page waits for.
import type { Device } from "../../src/gpu/device.js";
import { flopsOf } from "./callWork.js";
import { summary, type Times } from "./clock.js";
import type { GpuBytes } from "./gpuBytes.js";
import { modelErrors } from "./modelErrors.js";
import type { Row } from "./row.js";
import { decoderOf, denoiserOf, type Subject } from "./subject.js";

export interface ModelOptions {
  /** Counted runs; 20 by default. */
  readonly runs?: number;
  /** Seconds after which a row gets no more runs, once it has three; 40 by default. */
  readonly seconds?: number;
  /** Of these rows only; all by default. */
  readonly only?: (id: string) => boolean;
  readonly errors?: boolean;
}

/** Bytes of buffers on the device. */
export interface Memory {
  readonly weights: number;
  /** Most at once while a picture was drawn, weights included. */
  readonly picture512: number;
  readonly picture1024?: number;
}

export interface ModelResult {
  readonly rows: readonly Row[];
  readonly memory?: Memory;
}

/** Runs until the device is done, after two that warm up. */
export async function hostTimes(run: () => unknown, device: Device, options: ModelOptions, per = 1) {
  const { runs = 20, seconds = 40 } = options;
  const warmups = device.features.software ? 1 : 2;
  const values: number[] = [];
  const began = performance.now();
  for (let i = -warmups; i < runs; i++) {
    if (values.length >= 3 && performance.now() - began > seconds * 1000) break;
    const started = performance.now();
    await run();
    await device.idle();
    if (i >= 0) values.push((performance.now() - started) / per);
  }
  return summary(values, "host");
}

/** The rows of a model whose pictures have `side` pixels; `larger` pixels for the rows of large pictures. */
export async function modelRows(
  subject: Subject,
  bytes: GpuBytes,
  sides: { readonly side: number; readonly larger?: number },
  options: ModelOptions = {},
): Promise<ModelResult> {
  const { model, engine } = subject;
  const { device } = engine;
  const { side, larger } = sides;
  const { only = () => true } = options;
  const weights = bytes.now();
  const errors = options.errors === false ? new Map<string, number>() : await modelErrors(subject, side, only);
  const rows: Row[] = [];
  const add = (id: string, time: Times, flops = 0, note = "") => {
    const error = errors.get(id);
    rows.push({
      id,
      time,
      ...(flops ? { flops } : {}),
      ...(error === undefined ? {} : { error }),
      ...(note ? { note } : {}),
    });
  };

  if (only("text encoder batch 2")) {
    const contexts = await model.programs.contextEncoder(2);
    const ids = ["", "a red apple"].map((text) => model.tokenize(text).ids);
    add("text encoder batch 2", await hostTimes(() => contexts.encode(ids), device, options));
  }
  for (const guided of [false, true]) {
    const id = `UNet step batch ${guided ? 2 : 1}`;
    if (!only(id)) continue;
    const { denoiser, step } = await denoiserOf(subject, { guided, side });
    const calls = denoiser.plan.list("step").map(({ call }) => call);
    const flops = calls.reduce((sum, call) => sum + flopsOf(call), 0);
    // As a picture does them: ten in a row, the host ahead of the device.
    const burst = device.features.software ? 1 : 10;
    const run = () => {
      for (let i = 0; i < burst; i++) step(i);
    };
    add(id, await hostTimes(run, device, options, burst), flops, `${calls.length} dispatches`);
  }
  for (const pixels of [side, ...(larger ? [larger] : [])]) {
    const id = `VAE decode ${pixels}`;
    if (!only(id)) continue;
    const { decoder, latent } = await decoderOf(subject, pixels);
    const flops = decoder.plans.flatMap((plan) => plan.list("step")).reduce((sum, { call }) => sum + flopsOf(call), 0);
    add(id, await hostTimes(() => decoder.decode(latent), device, options), flops, "with read-back of the picture");
    latent.destroy();
  }
  let memory: Memory | undefined;
  const id = `20-step picture ${side}`;
  if (only(id)) {
    const draw = (pixels: number, steps: number) =>
      model.textToImage({ prompt: "a red apple", seed: 1, steps, width: pixels, height: pixels });
    // What rows before have left in the pool would count as the picture's.
    model.programs.drop();
    bytes.most();
    await draw(side, 1);
    const picture512 = bytes.most();
    add(id, await hostTimes(() => draw(side, 20), device, options));
    if (larger) {
      model.programs.drop();
      bytes.most();
      await draw(larger, 1);
    }
    memory = { weights, picture512, ...(larger ? { picture1024: bytes.most() } : {}) };
  }
  return { rows, ...(memory ? { memory } : {}) };
}
