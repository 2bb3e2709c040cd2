/// <reference types="@webgpu/types" preserve="true" />
/** webldm: latent diffusion on WebGPU. Create an engine, load a model, draw pictures. */
export { UnsupportedError, WebldmError } from "./core/invariant.js";
export type { DeviceOptions } from "./gpu/device.js";
export { type Checkpoint, openCheckpoint } from "./pipeline/checkpoint.js";
export { createEngine, type Engine, type EngineOptions } from "./pipeline/engine.js";
export type { LoadOptions, LoadProgress } from "./pipeline/loadOptions.js";
export type { Picture } from "./pipeline/picture.js";
export type { Defaults, NoiseSource, StepInfo, TextToImageRequest } from "./pipeline/request.js";
export type { StableDiffusion } from "./pipeline/stableDiffusion.js";
export { type Folder, folderFromFiles, folderFromHandle, folderFromUrl } from "./weights/folder.js";
