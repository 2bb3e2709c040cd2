import { env, InferenceSession, type SessionOptions, Tensor } from "onnxruntime-web/jspi";
import { dtypeBytes } from "../../src/core/dtype.js";
import { fromHalf, toHalf } from "../../src/core/half.js";
import { sizeOf } from "../../src/core/shape.js";
import type { Contender, Prepared } from "./contender.js";
import type { Numbers, Task, Value } from "./net.js";
import { type OnnxParts, onnxNet } from "./onnxNet.js";
import { encodeModel, type OnnxValue, weightsFile } from "./onnxProto.js";

/** ONNX's shape of a picture is channel first. */
const outside = (shape: readonly number[]) =>
  shape.length === 4 ? [shape[0]!, shape[3]!, shape[1]!, shape[2]!] : [...shape];

/** Between [N, H, W, C] and [N, C, H, W]; `back` from the second to the first. */
function turned(values: ArrayLike<number>, shape: readonly number[], back: boolean): Float32Array<ArrayBuffer> {
  if (shape.length !== 4) return Float32Array.from(values);
  const [n, height, width, channels] = shape as readonly [number, number, number, number];
  const pixels = height * width;
  const out = new Float32Array(values.length);
  for (let b = 0; b < n; b++) {
    for (let p = 0; p < pixels; p++) {
      for (let c = 0; c < channels; c++) {
        const last = (b * pixels + p) * channels + c;
        const first = (b * channels + c) * pixels + p;
        if (back) out[last] = values[first]!;
        else out[first] = values[last]!;
      }
    }
  }
  return out;
}

/**
 * ONNX Runtime Web, its WebGPU build with JSPI.
 * @param files where its WebAssembly lies
 * @param capture record the dispatches of a run once and replay them: worth it where a dispatch is short
 */
export function ort(files: string, version: string, capture: boolean): Contender {
  env.wasm.wasmPaths = files;
  env.wasm.numThreads = 1;
  env.webgpu.powerPreference = "high-performance";
  // With its last session the runtime gives its device up, and the buffers on it.
  let keeper: Promise<InferenceSession> | undefined;
  return {
    name: "onnxruntime-web",
    version,
    async *prepare(task, dtype) {
      keeper ??= InferenceSession.create(smallestModel(), { executionProviders: [{ name: "webgpu" }] });
      await keeper;
      const parts = new Set<string>();
      for (const fused of task.flops > large ? [true] : [true, false]) {
        const { model, weights, output } = modelOf(task, dtype, fused);
        // Without attention both are the same model.
        if (parts.has(output.ops)) continue;
        parts.add(output.ops);
        const name = output.ops.includes("MultiHeadAttention") ? "fused attention" : "";
        // Inputs go to ORT's own device, which there is once it has a session.
        for (const enableGraphCapture of capture ? [true, false] : [false]) {
          try {
            yield await open(task, dtype, { model, weights, output }, enableGraphCapture, name);
            break;
          } catch (error) {
            if (!enableGraphCapture) throw error;
          }
        }
      }
    },
  };
}

function smallestModel(): Uint8Array {
  const value = (name: string): OnnxValue => ({ name, type: "f32", shape: [1] });
  const nodes = [{ op: "Relu", inputs: ["x"], outputs: ["y"] }];
  return encodeModel({ nodes, tensors: [], inputs: [value("x")], outputs: [value("y")] }).model;
}

/** Operations of networks that are not compiled twice to find the better way. */
const large = 1e11;

interface Output {
  readonly name: string;
  readonly shape: readonly number[];
  readonly ops: string;
}

function modelOf(task: Task, dtype: "f32" | "f16", fused: boolean) {
  const parts: OnnxParts = { nodes: [], tensors: [] };
  const inputs = new Map(
    [...task.inputs].map(([name, { shape }]): [string, Value<string>] => [name, { shape, v: name }]),
  );
  const { shape, v } = task.record(onnxNet(parts, task.weight, dtype, fused), inputs);
  const declared = [...task.inputs].map(
    ([name, { shape }]): OnnxValue => ({ name, type: dtype, shape: outside(shape) }),
  );
  const outputs: OnnxValue[] = [{ name: v, type: dtype, shape: outside(shape) }];
  const output: Output = { name: v, shape, ops: parts.nodes.map(({ op }) => op).join() };
  return { ...encodeModel({ ...parts, inputs: declared, outputs }), output };
}

async function open(
  task: Task,
  dtype: "f32" | "f16",
  { model, weights, output }: { model: Uint8Array; weights: Uint8Array; output: Output },
  enableGraphCapture: boolean,
  name: string,
): Promise<Prepared> {
  const options: SessionOptions = {
    executionProviders: [{ name: "webgpu", preferredLayout: "NHWC", validationMode: "disabled" }],
    enableGraphCapture,
    // Results lie in buffers of ours; only capturing wants to hear of it.
    ...(enableGraphCapture ? { preferredOutputLocation: "gpu-buffer" } : {}),
    externalData: weights.length > 0 ? [{ path: weightsFile, data: weights }] : [],
    logSeverityLevel: 3,
  };
  const session = await InferenceSession.create(model, options);
  const device = await env.webgpu.device;
  const buffers: GPUBuffer[] = [];
  const tensor = (shape: readonly number[], numbers?: Numbers): Tensor => {
    const size = Math.ceil((sizeOf(shape) * dtypeBytes[dtype]) / 16) * 16;
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    const buffer = device.createBuffer({ size, usage });
    buffers.push(buffer);
    const values = numbers ? turned(numbers.values, shape, false) : new Float32Array(sizeOf(shape)).fill(Number.NaN);
    device.queue.writeBuffer(buffer, 0, dtype === "f16" ? Uint16Array.from(values, toHalf) : values);
    return Tensor.fromGpuBuffer(buffer, { dataType: dtype === "f16" ? "float16" : "float32", dims: outside(shape) });
  };
  const feeds = Object.fromEntries([...task.inputs].map(([key, numbers]) => [key, tensor(numbers.shape, numbers)]));
  const result = tensor(output.shape);
  const fetches = { [output.name]: result };
  // Fails here where the graph cannot be captured, or loses track of its buffers later on.
  for (let i = 0; i < (enableGraphCapture ? 3 : 1); i++) await session.run(feeds, fetches);
  return {
    variant: [name, enableGraphCapture ? "captured" : ""].filter(Boolean).join(", "),
    run: async () => {
      await session.run(feeds, fetches);
    },
    wait: () => device.queue.onSubmittedWorkDone(),
    async output() {
      const bytes = await readBack(device, result.gpuBuffer, sizeOf(output.shape) * dtypeBytes[dtype]);
      const values = dtype === "f16" ? Float32Array.from(new Uint16Array(bytes), fromHalf) : new Float32Array(bytes);
      return turned(values, output.shape, true);
    },
    async dispose() {
      await session.release();
      for (const buffer of buffers) buffer.destroy();
    },
  };
}

async function readBack(device: GPUDevice, from: GPUBuffer, length: number): Promise<ArrayBuffer> {
  const size = Math.ceil(length / 4) * 4;
  const staging = device.createBuffer({ size, usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ });
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(from, 0, staging, 0, size);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  const bytes = staging.getMappedRange().slice(0, length);
  staging.destroy();
  return bytes;
}
