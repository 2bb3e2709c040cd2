/** Names for features that a measurement can do without. */
const features: Readonly<Record<string, readonly string[]>> = {
  matrix: ["chromium-experimental-subgroup-matrix"],
  f16: ["shader-f16"],
  subgroups: ["subgroups", "chromium-experimental-subgroup-matrix"],
  timestamps: ["timestamp-query"],
};

/** @throws Error for a name that stands for nothing */
export function withheldFeatures(names: readonly string[]): string[] {
  return names.flatMap((name) => {
    const known = features[name];
    if (!known) throw new Error(`--without: expected ${Object.keys(features).join(", ")}, got ${name}`);
    return known;
  });
}

/** The adapter as one that lacks features, so that slower paths are measured on the same card. */
export function withheld(adapter: GPUAdapter, names: readonly string[]): GPUAdapter {
  const gone = withheldFeatures(names);
  const { limits, info } = adapter;
  return {
    features: new Set([...adapter.features].filter((name) => !gone.includes(name))),
    limits,
    info,
    requestDevice: (descriptor?: GPUDeviceDescriptor) => adapter.requestDevice(descriptor),
  } as unknown as GPUAdapter;
}
