/**
 * What `LatentColors` learnt from six pictures of the embedded model (7 of 255 off in the mean), so that its very first
 * picture forms in colour: the weights of 8 channels and a constant, for red, green and blue.
 */
export const stickerColors: readonly (readonly number[])[] = [
  [11.7, -0.1, 2.5, 38.1, 47.3, 2.3, -2.7, 18, 201.9],
  [-4.3, -3.8, 14.2, 2.6, 32, 6.6, -14.9, -61.3, 184.6],
  [-0.7, 28.1, 4.6, 35, 5.7, -1.3, 23.5, -1, 173.9],
];
