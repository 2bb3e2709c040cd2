/**
 * What else than numbers holds a picture: a page's image data, bitmaps, canvases and pictures; or a file, as a blob or as its
 * bytes, of a type that the browser decodes. Node decodes PNG files (with the package fast-png) and `ImageData`.
 */
export type PictureSource =
  | ImageData
  | ImageBitmap
  | HTMLCanvasElement
  | OffscreenCanvas
  | HTMLImageElement
  | Blob
  | Uint8Array;
