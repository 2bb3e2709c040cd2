// The first stage as tasks use it: latents to pictures, pictures to latents, whole or in tiles.

export { divisionFor, stageBytes } from "./division.js";
export { decoderRequests, encoderRequests } from "./firstStageRequests.js";
export { type EncodeOptions, ImageEncoder } from "./imageEncoder.js";
export { LatentDecoder } from "./latentDecoder.js";
export type { Division, HalfSize, StageSize } from "./tileGrid.js";
