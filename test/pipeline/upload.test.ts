import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { toHalf } from "../../src/core/half.js";
import { Device } from "../../src/gpu/device.js";
import { readBuffer } from "../../src/gpu/readback.js";
import type { WeightRequest } from "../../src/graph/graph.js";
import { uploadWeights } from "../../src/pipeline/upload.js";
import { openSafetensors } from "../../src/weights/safetensors.js";
import { fromBytes } from "../../src/weights/source.js";
import type { StoredType } from "../../src/weights/storedType.js";
import { writeSafetensors } from "../../src/weights/writer.js";
import { adapterNames, openAdapter } from "../harness/adapters.js";

const values = Array.from({ length: 2 * 3 * 4 }, (_, i) => i - 7);

function stored(dtype: StoredType): Uint8Array {
  const bits = new Uint32Array(Float32Array.from(values).buffer);
  if (dtype === "F16") return new Uint8Array(Uint16Array.from(values, toHalf).buffer);
  if (dtype === "BF16") return new Uint8Array(Uint16Array.from(bits, (word) => word >>> 16).buffer);
  if (dtype === "F64") return new Uint8Array(Float64Array.from(values).buffer);
  return new Uint8Array(Float32Array.from(values).buffer);
}

const file = async (tensors: { name: string; dtype: StoredType; shape: number[]; bytes: Uint8Array }[]) =>
  (await openSafetensors(fromBytes(writeSafetensors(tensors), "tiny.safetensors"))).tensors;

describe("weights on their way to the device", () => {
  let device: Device;
  beforeAll(async () => {
    device = await Device.open({ adapter: (await openAdapter(adapterNames[0]!))! });
  });
  afterAll(() => device.dispose());

  const conv: WeightRequest = { name: "conv.weight", shape: [2, 3, 2, 2], layout: "conv", dtype: "f32" };
  const plain: WeightRequest = { name: "linear.weight", shape: [2, 12], layout: "plain", dtype: "f32" };

  it.each<StoredType>(["F32", "F16", "BF16", "F64"])("converts and reorders %s", async (dtype) => {
    const bytes = stored(dtype);
    const tensors = await file([
      { name: "conv.weight", dtype, shape: [2, 3, 2, 2], bytes },
      { name: "linear.weight", dtype, shape: [2, 12], bytes },
    ]);
    let read = 0;
    const onBytes = (count: number) => {
      read += count;
    };
    const weights = await uploadWeights(device, [conv, plain], tensors, { component: "tiny", onBytes });
    const get = async (name: string) => {
      const data = await readBuffer(device, weights.buffers.get(name)!, 0, 24 * 4);
      return [...new Float32Array(data.buffer)];
    };
    expect(await get("linear.weight")).toEqual(values);
    const reordered = [0, 1].flatMap((o) =>
      [0, 1, 2, 3].flatMap((tap) => [0, 1, 2].map((i) => values[(o * 3 + i) * 4 + tap]!)),
    );
    expect(await get("conv.weight")).toEqual(reordered);
    expect(read).toBe(2 * bytes.byteLength);
    weights.dispose();
    expect(weights.buffers.size).toBe(0);
  });

  it("names what is missing, extra or misshapen, before anything is uploaded", async () => {
    const bytes = stored("F32");
    const tensors = await file([
      { name: "linear.weight", dtype: "F32", shape: [12, 2], bytes },
      { name: "other.bias", dtype: "F32", shape: [24], bytes },
      { name: "text_model.embeddings.position_ids", dtype: "F32", shape: [24], bytes },
    ]);
    await expect(uploadWeights(device, [conv, plain], tensors, { component: "tiny" })).rejects.toThrow(
      "tiny: the weights do not fit the configuration: conv.weight is missing; linear.weight has shape [12, 2], expected [2, 12]; other.bias is not part of the model",
    );
    const ignore = (name: string) => name === "other.bias";
    const fits = { ...plain, shape: [12, 2] };
    (await uploadWeights(device, [fits], tensors, { component: "tiny", ignore })).dispose();
  });

  it("frees everything when it is cancelled", async () => {
    const tensors = await file([{ name: "linear.weight", dtype: "F32", shape: [2, 12], bytes: stored("F32") }]);
    const signal = AbortSignal.abort();
    await expect(uploadWeights(device, [plain], tensors, { component: "tiny", signal })).rejects.toThrow("aborted");
  });
});
