export { fromBlob } from "./blob.js";
export { type ByteSource, fromBytes } from "./byteSource.js";
export { fromUrl, openUrl } from "./url.js";
