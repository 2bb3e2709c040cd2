/**
 * Where a sampler's step finds its numbers on the device (shaders/samplerStep.wgsl): `sampling` writes them, `ops` reads
 * them. 0 timestep, 1 signal, 2 noise, 3 guidance scale, 4 share of guidance rescale; then the rows of the update.
 */
export const scalarCount = 64;

/** The first row. */
export const scalarRows = 8;

/** From row to row: x, x0, eps, noise and the registers. */
export const scalarStride = 9;

/** Most registers that a row has room for. */
export const maxRegisters = 5;
