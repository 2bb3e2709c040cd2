/**
 * What `LatentColors` learnt from 64 pictures of the embedded model and what its own encoder makes of them (9 of 255 off in
 * the mean, also on pictures that it did not learn from), so that its very first picture forms in colour: the weights of 8
 * channels and a constant, for red, green and blue.
 */
export const stickerColors: readonly (readonly number[])[] = [
  [-33.6, 0.5, 11.5, -46.9, -7.1, 19.9, -12.9, -2.2, 191.7],
  [-26.6, 2.9, -31.6, -51.8, -2.2, -2.5, -5.6, -24.5, 177.3],
  [-57.4, 16.7, -39.4, 67.1, 10.8, -24.1, 45.1, 26.6, 168.1],
];
