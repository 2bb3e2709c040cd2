/** webldm/core: record, compile and run networks of your own with the engine's kernels. */
export type { DType } from "./core/dtype.js";
export { fromBfloat16, fromHalf, toHalf } from "./core/half.js";
export { UnsupportedError, WebldmError } from "./core/invariant.js";
export { type ConstValues, defineKernel, type Kernel, type ParamType } from "./core/kernel.js";
export type { MatrixUnits } from "./core/matrixUnits.js";
export { type Shape, sizeOf } from "./core/shape.js";
export type { TuningTable } from "./core/tuningTable.js";
export type { WinogradCall, WinogradForm, WinogradShape } from "./core/winogradForm.js";
export { Device, type DeviceOptions, type Features } from "./gpu/device.js";
export {
  type Call,
  type FormChooser,
  Graph,
  type GraphOptions,
  linearGrid,
  type Operand,
  type Phase,
  reshape,
  type Storage,
  type Tensor,
  type TunedOp,
  type WeightLayout,
  type WeightRequest,
  type Window,
} from "./graph/graph.js";
export { print } from "./graph/print.js";
export { Scope } from "./graph/scope.js";
export {
  type AutoencoderConfig,
  type DecodeOptions,
  decodeLatent,
  parseAutoencoderConfig,
} from "./models/autoencoder.js";
export { encodeMoments } from "./models/autoencoderEncoder.js";
export { type BertConfig, bertText, parseBertConfig } from "./models/bert.js";
export { type ClipConfig, clipText, parseClipConfig } from "./models/clip.js";
export type { LabelEmbedding } from "./models/labelEmbedding.js";
export { type ResBlockOptions, resBlock } from "./models/resBlock.js";
export type { SpatialRescalerConfig } from "./models/spatialRescaler.js";
export type { TinyAutoencoderConfig } from "./models/tinyAutoencoder.js";
export { spatialTransformer, type TransformerOptions } from "./models/transformer.js";
export { type UNetConditions, unet } from "./models/unet.js";
export {
  parseUNetConfig,
  type Resampler,
  type StageAttention,
  type UNetConfig,
  type UNetStage,
} from "./models/unetConfig.js";
export { type Activation, activation } from "./ops/activation.js";
export { type AffineOptions, affine } from "./ops/affine.js";
export { type AttentionOptions, attention } from "./ops/attention.js";
export { attentionReferenceKernel } from "./ops/attentionReference.js";
export { blendMasked } from "./ops/blendMasked.js";
export { concat } from "./ops/concat.js";
export { type Conv2dOptions, conv2d } from "./ops/conv2d.js";
export { conv2dReferenceKernel } from "./ops/conv2dReference.js";
export { embedding } from "./ops/embedding.js";
export { type GaussianOptions, gaussian } from "./ops/gaussian.js";
export { type GroupNormOptions, groupNorm } from "./ops/groupNorm.js";
export { layerNorm } from "./ops/layerNorm.js";
export { type LinearOptions, linear } from "./ops/linear.js";
export { linearReferenceKernel } from "./ops/linearReference.js";
export { nearestCode } from "./ops/nearestCode.js";
export { quantile } from "./ops/quantile.js";
export { randn } from "./ops/randn.js";
export { averagePool, resizeNearest } from "./ops/resize.js";
export { resizeBilinear } from "./ops/resizeBilinear.js";
export { type SamplerStepOptions, samplerStep, scalarCount } from "./ops/samplerStep.js";
export { softmax } from "./ops/softmax.js";
export { type TimestepEmbeddingOptions, timestepEmbedding } from "./ops/timestepEmbedding.js";
export { toRgba } from "./ops/toRgba.js";
export { type CompareOptions, type UploadOptions, uploadWeights, type WeightBuffers } from "./pipeline/upload.js";
export { graphOptions } from "./plan/options.js";
export { type CompileOptions, type Dispatch, Plan } from "./plan/plan.js";
export { SlotPool } from "./plan/pool.js";
export { profile, type Timing } from "./plan/profile.js";
export { trace } from "./plan/trace.js";
export type { Combination } from "./sampling/path.js";
export {
  type SamplerOptions,
  type SamplerPath,
  type SamplerStep,
  samplerPath,
  stepScalars,
} from "./sampling/sampler.js";
export { parseSchedulerConfig, type SchedulerConfig, type SolverConfig } from "./sampling/schedule.js";
export { openComponent } from "./weights/checkpoint.js";
export { openSafetensors, type Safetensors, type StoredTensor } from "./weights/safetensors.js";
export { type ByteSource, fromBlob, fromBytes, fromUrl } from "./weights/source.js";
