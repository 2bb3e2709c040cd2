// The first stage as tasks use it: latents to pictures, pictures to latents, whole or in tiles.
export { decoderRequests, encoderRequests } from "./firstStageRequests.js";
export { type EncodeOptions, ImageEncoder } from "./imageEncoder.js";
export { LatentDecoder } from "./latentDecoder.js";
export type { HalfSize, StageSize } from "./tileGrid.js";
export { stageBytes, tileFor } from "./tiling.js";
