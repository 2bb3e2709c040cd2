/** What `LatentColors` learns from the embedded model's pictures, so that its very first picture forms in colour. */
export const stickerColors: readonly (readonly number[])[] | undefined = undefined;
