import { type Estimate, estimate } from "../index.js";
import { settingsFor } from "../pipeline/settings.js";
import { openDevice } from "./dawn.js";
import { defined } from "./defined.js";
import { modelName, readCheckpoint } from "./loadModel.js";
import type { DeviceOptions, ModelOptions, SamplingFlags, SizeFlags } from "./sharedOptions.js";

export interface EstimateCommandOptions
  extends ModelOptions,
    SizeFlags,
    Pick<SamplingFlags, "images" | "guidance" | "memoryBudget">,
    DeviceOptions {
  /** Whether to ask this machine's adapter. */
  readonly check?: boolean;
}

/**
 * `webldm estimate`: the bytes that a model and a picture of a size take. Reads headers, and opens a graphics device only
 * to `check` whether this machine's can do it.
 * @returns 1 where it cannot, else 0
 */
export async function estimateModel(options: EstimateCommandOptions, signal: AbortSignal): Promise<number> {
  const { json, check, width, height, images, guidance, memoryBudget } = options;
  const checkpoint = await readCheckpoint(options, signal);
  const device = check ? await openDevice() : undefined;
  const dtype = options.dtype ?? (device && !device.features.f16 ? "f32" : "f16");
  const request = { ...defined({ width, height, images, guidance, memoryBudget }), dtype };
  const own = device ? { limits: device.gpu.limits, traits: await settingsFor(device, dtype) } : {};
  const found = await estimate(checkpoint, { ...request, ...own });
  checkpoint.close?.();
  const { defaults } = checkpoint;
  const subject = {
    model: modelName(options),
    width: width ?? defaults.width,
    height: height ?? defaults.height,
    images: images ?? 1,
    dtype,
    ...(device ? { adapter: device.adapterName } : {}),
  };
  device?.dispose();
  process.stdout.write(`${json ? JSON.stringify({ ...subject, ...found }) : text(subject, found)}\n`);
  return found.fits === false ? 1 : 0;
}

interface Subject {
  readonly model: string;
  readonly width: number;
  readonly height: number;
  readonly images: number;
  readonly dtype: string;
  readonly adapter?: string;
}

function text({ model, width, height, images, dtype, adapter }: Subject, found: Estimate): string {
  const { download, weights, components, intermediates, largestBuffer, fits, reason } = found;
  const row = (name: string, bytes: number) =>
    `${name.padEnd(16)}${bytes.toLocaleString("en-US").padStart(16)} bytes  ${(bytes / 2 ** 20).toFixed(1).padStart(8)} MiB`;
  return [
    `${model}: ${images === 1 ? "a picture" : `${images} pictures`} of ${width} x ${height} in ${dtype}`,
    row("to read", download),
    row("weights", weights),
    ...components.map(({ name, bytes }) => row(`  ${name}`, bytes)),
    row("intermediates", intermediates),
    row("largest buffer", largestBuffer),
    ...(fits === undefined ? [] : [`${adapter}: ${fits ? "can do it" : `cannot do it: ${reason}`}`]),
  ].join("\n");
}
