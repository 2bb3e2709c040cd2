// biome-ignore-all lint/suspicious/noEmptyInterface: what they hold is for others to say
/**
 * Names of WebGPU that the package's declarations mention. TypeScript merges them with the real ones where a project has
 * those (`@webgpu/types`, or a library of TypeScript's own); without, the declarations still stand on their own.
 */
declare global {
  interface GPU {}
  interface GPUAdapter {}
  interface GPUBindGroup {}
  interface GPUBindGroupLayout {}
  interface GPUBuffer {}
  interface GPUCommandEncoder {}
  interface GPUComputePipeline {}
  interface GPUDevice {}
  interface GPUSupportedLimits {
    readonly maxBufferSize: number;
    readonly maxStorageBufferBindingSize: number;
  }
}

export {};
