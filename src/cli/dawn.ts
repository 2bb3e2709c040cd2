import { WebldmError } from "../core/invariant.js";
import { Device } from "../gpu/device.js";
import { oneLine } from "../weights/oneLine.js";
import { optional } from "./optional.js";
import { pollPatiently } from "./polling.js";

// Dawn dies when what `create()` returned is collected while one of its devices lives.
let kept: GPU | undefined;

/**
 * A graphics adapter of this machine through Dawn (npm `webgpu`).
 * @param adapterName part of the adapter's name; by default `WEBLDM_ADAPTER`, else any adapter
 * @throws WebldmError where there is none
 */
export async function openAdapter(adapterName = process.env["WEBLDM_ADAPTER"]): Promise<GPUAdapter> {
  const { create, globals } = await optional("webgpu", () => import("webgpu"));
  Object.assign(globalThis, globals); // GPUBufferUsage and its like
  pollPatiently();
  const options = [...(adapterName ? [`adapter=${adapterName}`] : []), ...dawnOptions(process.env["DAWN_GPU_FLAGS"])];
  let adapter: GPUAdapter | null;
  try {
    kept = create(options);
    adapter = await kept.requestAdapter({ powerPreference: "high-performance" });
  } catch (error) {
    throw noAdapter(oneLine(error), adapterName);
  }
  if (!adapter) throw noAdapter("Dawn finds no graphics driver", adapterName);
  return adapter;
}

/** A device of this machine. */
export const openDevice = async (adapterName?: string): Promise<Device> =>
  Device.open({ adapter: await openAdapter(adapterName) });

/** The options in `DAWN_GPU_FLAGS`, between which stand spaces or commas; a value may hold commas itself. */
export const dawnOptions = (flags: string | undefined): string[] =>
  (flags ?? "").split(/\s+|,(?=[\w-]+=)/).filter((flag) => flag !== "");

const noAdapter = (why: string, adapterName: string | undefined): WebldmError =>
  new WebldmError(
    adapterName ? `no WebGPU adapter: expected one named ${adapterName}: ${why}` : `no WebGPU adapter: ${why}`,
  );
