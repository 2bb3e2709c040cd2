// What the bench uses of the other engines, so that it type-checks where they are not installed.

declare module "onnxruntime-web/jspi" {
  export class Tensor {
    static fromGpuBuffer(buffer: GPUBuffer, options: { dataType: string; dims: readonly number[] }): Tensor;
    readonly gpuBuffer: GPUBuffer;
    dispose(): void;
  }
  export interface SessionOptions {
    executionProviders: readonly { name: string; preferredLayout?: string; validationMode?: string }[];
    enableGraphCapture?: boolean;
    preferredOutputLocation?: string;
    externalData?: readonly { path: string; data: Uint8Array }[];
    logSeverityLevel?: number;
  }
  export class InferenceSession {
    static create(model: Uint8Array, options: SessionOptions): Promise<InferenceSession>;
    run(
      feeds: Readonly<Record<string, Tensor>>,
      fetches: Readonly<Record<string, Tensor>>,
    ): Promise<Readonly<Record<string, Tensor>>>;
    release(): Promise<void>;
  }
  export const env: {
    wasm: { wasmPaths: string; numThreads: number };
    webgpu: { powerPreference: string; device: Promise<GPUDevice> | GPUDevice };
  };
}

declare module "@tensorflow/tfjs-core" {
  export interface Tensor {
    readonly shape: readonly number[];
    data(): Promise<Float32Array>;
    dispose(): void;
  }
  type Axes = number | readonly number[];
  export function setBackend(name: string): Promise<boolean>;
  export function ready(): Promise<void>;
  export function backend(): unknown;
  export function tidy<T>(body: () => T): T;
  export function tensor(values: Float32Array, shape: readonly number[]): Tensor;
  export function reshape(x: Tensor, shape: readonly number[]): Tensor;
  export function transpose(x: Tensor, perm: readonly number[]): Tensor;
  export function matMul(a: Tensor, b: Tensor, transposeA?: boolean, transposeB?: boolean): Tensor;
  export function softmax(x: Tensor, axis: number): Tensor;
  export function moments(x: Tensor, axes: Axes, keepDims: boolean): { mean: Tensor; variance: Tensor };
  export function add(a: Tensor, b: Tensor | number): Tensor;
  export function sub(a: Tensor, b: Tensor): Tensor;
  export function mul(a: Tensor, b: Tensor | number): Tensor;
  export function rsqrt(x: Tensor): Tensor;
  export function sigmoid(x: Tensor): Tensor;
  export function erf(x: Tensor): Tensor;
  export function concat(parts: readonly Tensor[], axis: number): Tensor;
  export function split(x: Tensor, parts: number, axis: number): Tensor[];
  export const image: { resizeNearestNeighbor(x: Tensor, size: readonly [number, number]): Tensor };
  export const fused: {
    conv2d(options: {
      x: Tensor;
      filter: Tensor;
      bias: Tensor;
      strides: number;
      pad: number | "valid";
      dataFormat: "NHWC";
    }): Tensor;
    matMul(options: { a: Tensor; b: Tensor; bias?: Tensor; transposeB?: boolean }): Tensor;
  };
}

declare module "@tensorflow/tfjs-backend-webgpu" {
  export class WebGPUBackend {
    readonly device: GPUDevice;
    endComputePassEncoder(): void;
    submitQueue(): void;
  }
}

declare module "@jax-js/jax" {
  export interface Array {
    readonly ref: this;
    readonly shape: number[];
    add(other: Array | number): Array;
    sub(other: Array | number): Array;
    mul(other: Array | number): Array;
    div(other: Array | number): Array;
    mean(axis: number | readonly number[], options?: { keepdims: boolean }): Array;
    reshape(shape: readonly number[]): Array;
    transpose(perm: readonly number[]): Array;
    data(): Promise<ArrayLike<number>>;
    blockUntilReady(): Promise<Array>;
    dispose(): void;
  }
  export function init(device: string): Promise<readonly string[]>;
  export function defaultDevice(device: string): string;
  export function jit<F extends (...args: Array[]) => Array>(f: F): F;
  export const numpy: {
    array(values: Float32Array, options: { shape: readonly number[]; dtype?: string }): Array;
    matmul(a: Array, b: Array): Array;
    sqrt(x: Array): Array;
    concatenate(xs: readonly Array[], axis: number): Array;
    repeat(x: Array, repeats: number, axis: number): Array;
    split(x: Array, parts: number, axis: number): Array[];
    astype(x: Array, dtype: string): Array;
    readonly float16: string;
    readonly float32: string;
  };
  export const lax: {
    convGeneralDilated(
      x: Array,
      weight: Array,
      strides: readonly number[],
      padding: readonly (readonly [number, number])[],
    ): Array;
  };
  export const nn: {
    silu(x: Array): Array;
    gelu(x: Array, options: { approximate: boolean }): Array;
    softmax(x: Array, axis: number): Array;
  };
}
