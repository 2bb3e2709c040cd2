/** webldm: latent diffusion on WebGPU. Create an engine, load a model, draw pictures. */
export { UnsupportedError, WebldmError } from "./core/invariant.js";
export type { TuningTable } from "./core/tuningTable.js";
export type { DeviceOptions } from "./gpu/device.js";
export type { PictureSource } from "./pictures/pictureSource.js";
export { drawTo, toBlob, toImageBitmap, toImageData, toPixelImage, toPng } from "./pictures/pictures.js";
export type { Checkpoint } from "./pipeline/checkpoint.js";
export type { Conditioning, EncodedContext } from "./pipeline/conditioning.js";
export { createEngine, type Engine, type EngineOptions } from "./pipeline/engine.js";
export type { AdapterLimits, Estimate, EstimateOptions } from "./pipeline/estimate.js";
export { estimate } from "./pipeline/estimateLazily.js";
export type { DrawingRequest, DrawingTask, LatentDiffusion } from "./pipeline/latentDiffusion.js";
export type { CheckpointOptions, LoadOptions, LoadProgress, ModelSource } from "./pipeline/loadOptions.js";
export type { ConcatCondition, Conditioner, ModelConfig } from "./pipeline/modelConfig.js";
export { openCheckpoint } from "./pipeline/openCheckpoint.js";
export type {
  DecodedImage,
  EncodedLatent,
  FloatImage,
  ImageInput,
  NoiseSource,
  NumberImage,
  Picture,
  PixelImage,
} from "./pipeline/picture.js";
export type {
  Defaults,
  Drawn,
  PrepareOptions,
  SamplingOptions,
  SizeOptions,
  Spacing,
  StepInfo,
} from "./pipeline/request.js";
export type { Step } from "./pipeline/steps.js";
export type { DepthMap, DepthToImageRequest } from "./pipeline/tasks/depthToImage.js";
export type { EncodeImageOptions } from "./pipeline/tasks/firstStage.js";
export type {
  ClassToImageRequest,
  FromNoiseOptions,
  LayoutToImageRequest,
  RetrievalToImageRequest,
  TextToImageRequest,
  UnconditionalRequest,
} from "./pipeline/tasks/fromNoise.js";
export type { ImageToImageRequest } from "./pipeline/tasks/imageToImage.js";
export type { InpaintRequest } from "./pipeline/tasks/inpaint.js";
export type { Endpoint, InterpolateRequest } from "./pipeline/tasks/interpolate.js";
export type { OutpaintRequest } from "./pipeline/tasks/outpaint.js";
export type { KernelTime } from "./pipeline/tasks/profileStep.js";
export type { ProgressiveRequest } from "./pipeline/tasks/progressive.js";
export type { SegmentationMap, SemanticToImageRequest } from "./pipeline/tasks/semanticToImage.js";
export type { UpscaleRequest } from "./pipeline/tasks/upscale.js";
export type { VariationsRequest } from "./pipeline/tasks/variations.js";
export type { TuneProgress, TuneRequest } from "./pipeline/tuneRequest.js";
export type { SamplerName } from "./sampling/sampler.js";
export type { LayoutObject } from "./text/boxes.js";
export type { PaddedPrompt, Tokenizer } from "./text/tokenizer.js";
export { type CacheEntry, cache, type ModelCache, openCache } from "./weights/cache.js";
export { type Folder, folderFromFiles, folderFromHandle, folderFromUrl } from "./weights/folder.js";
