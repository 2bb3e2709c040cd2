/** Most bytes, gzipped, of what pictures from text need. */
export const bundleLimit: number;
export function bundle(): Promise<{
  readonly first: Uint8Array;
  readonly kernels: Uint8Array;
  readonly all: Uint8Array;
}>;
export function gzipped(code: Uint8Array): number;
export function checkBundle(): Promise<void>;
