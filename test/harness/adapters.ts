import { describe } from "vitest";
import { create, globals } from "webgpu";
import { dawnOptions } from "../../src/cli/dawn.js";
import { pollPatiently } from "../../src/cli/polling.js";

/** Adapters that tests run on: two in software, and a real one where the machine has it. */
export type AdapterName = "swiftshader" | "lavapipe" | "gpu";

/** An adapter as the environment promises it, before it is opened. */
export interface TestDevice {
  readonly name: AdapterName;
  /** False: f32 only. True for a GPU until it is opened and says otherwise. */
  readonly hasF16: boolean;
  /** Why there is none; undefined when there is. */
  readonly missing: string | undefined;
}

/** What Dawn's `adapter=` option looks for in an adapter's name. */
const patterns: Readonly<Record<AdapterName, string | undefined>> = {
  swiftshader: "SwiftShader",
  lavapipe: "llvmpipe",
  gpu: undefined,
};

const fromEnv = (process.env["WEBLDM_ADAPTERS"] ?? "").split(",").filter(isAdapterName);
const missingByName = JSON.parse(process.env["WEBLDM_MISSING"] ?? "{}") as Readonly<Record<string, string>>;

/** Every adapter that a test should run on, those that are missing on this machine included. */
export const testDevices: readonly TestDevice[] = (
  fromEnv.includes("gpu") ? fromEnv : (["swiftshader", "lavapipe"] as const)
).map((name) => ({
  name,
  hasF16: name !== "swiftshader",
  missing: fromEnv.includes(name)
    ? undefined
    : (missingByName[name] ?? "run the tests with `npm test`, which looks for it"),
}));

/** The adapters of this machine. */
export const adapterNames: readonly AdapterName[] = testDevices.filter((d) => !d.missing).map((d) => d.name);

/** Runs a suite once on each adapter; on one that is missing it is skipped, and the report says why. */
export function describeAdapters(title: string, suite: (device: TestDevice) => void): void {
  for (const device of testDevices) {
    if (device.missing) describe.skip(`${title} on ${device.name} [${device.missing}]`, () => suite(device));
    else describe(`${title} on ${device.name}`, () => suite(device));
  }
}

/** The adapter on which tests run that kernels have no part in, since these have tests of their own: the fastest. */
export const oneAdapter: AdapterName | undefined = adapterNames.includes("lavapipe") ? "lavapipe" : adapterNames[0];

/** Runs a suite on that one; without any adapter it is skipped, and the report says why. */
export function describeOneAdapter(title: string, suite: (device: TestDevice) => void): void {
  const device = testDevices.find(({ name }) => name === oneAdapter) ?? testDevices[0]!;
  if (device.missing) describe.skip(`${title} [${device.missing}]`, () => suite(device));
  else describe(`${title} on ${device.name}`, () => suite(device));
}

// Dawn dies when what `create()` returned is collected while one of its devices lives.
const kept = globalThis as { webldmTestGpus?: Map<string, GPU> };

/** Dawn restricted to one adapter. Fails with the reason when the adapter is promised but does not open. */
export async function openAdapter(name: AdapterName): Promise<GPUAdapter | undefined> {
  const device = testDevices.find((d) => d.name === name);
  if (!device || device.missing) {
    console.warn(`skipped ${name}: ${device?.missing ?? "not an adapter of this machine"}`);
    return undefined;
  }
  const adapter = await openGpu(name).requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) throw new Error(`${name}: Dawn answered requestAdapter() with null`);
  return adapter;
}

/** Dawn's GPU object for one adapter, made once per process. */
export function openGpu(name: AdapterName): GPU {
  if (!kept.webldmTestGpus) Object.assign(globalThis, globals); // GPUBufferUsage and its like
  pollPatiently();
  kept.webldmTestGpus ??= new Map();
  let gpu = kept.webldmTestGpus.get(name);
  if (!gpu) {
    const pattern = patterns[name];
    gpu = create([...(pattern ? [`adapter=${pattern}`] : []), ...dawnOptions(process.env["DAWN_GPU_FLAGS"])]);
    kept.webldmTestGpus.set(name, gpu);
  }
  return gpu;
}

function isAdapterName(name: string): name is AdapterName {
  return name in patterns;
}
