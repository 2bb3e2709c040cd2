import { invariant } from "../core/invariant.js";
import { type ByteSource, checkRange } from "./byteSource.js";
import type { StoredTensor } from "./safetensors.js";
import { storedBits } from "./storedType.js";

/**
 * A stored matrix [R, C] as [C, R], under another name. Nothing is read before the result is; each read of a part reads the
 * whole matrix, so this is for small ones.
 */
export function transposed(tensor: StoredTensor, name: string): StoredTensor {
  const [rows, columns, ...more] = tensor.shape;
  const bits = storedBits[tensor.dtype];
  invariant(
    rows !== undefined && columns !== undefined && more.length === 0 && bits % 8 === 0,
    () => `${tensor.name}: [${tensor.shape.join(", ")}] ${tensor.dtype} is no matrix of whole bytes to transpose`,
  );
  const width = bits / 8;
  const size = tensor.end - tensor.begin;
  const source: ByteSource = {
    name: tensor.source.name,
    size,
    async read(begin, end, signal) {
      checkRange(source, begin, end);
      const stored = await tensor.source.read(tensor.begin, tensor.end, signal);
      const bytes = new Uint8Array(size);
      for (let row = 0; row < rows; row++) {
        for (let column = 0; column < columns; column++) {
          const from = (row * columns + column) * width;
          const to = (column * rows + row) * width;
          for (let i = 0; i < width; i++) bytes[to + i] = stored[from + i]!;
        }
      }
      return bytes.subarray(begin, end);
    },
  };
  return { ...tensor, name, shape: [columns, rows], source, begin: 0, end: size };
}
