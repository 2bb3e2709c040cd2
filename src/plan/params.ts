import { alignUp } from "../core/shape.js";
import { bindingAlignment, type Call } from "../graph/graph.js";

/** The params of all calls in one block of bytes, and where each call's lie. Equal params share a slice. */
export function packParams(calls: readonly Call[]): {
  bytes: Uint8Array<ArrayBuffer>;
  offsets: number[];
  sizes: number[];
} {
  const known = new Map<string, number>();
  const slices: Uint8Array[] = [];
  const sizes: number[] = [];
  const offsets = calls.map((call) => {
    const slice = packCall(call);
    sizes.push(slice.byteLength);
    if (slice.byteLength === 0) return 0;
    const key = slice.join();
    let index = known.get(key);
    if (index === undefined) {
      index = slices.push(slice) - 1;
      known.set(key, index);
    }
    return index * bindingAlignment;
  });
  const bytes = new Uint8Array(slices.length * bindingAlignment);
  for (const [index, slice] of slices.entries()) bytes.set(slice, index * bindingAlignment);
  return { bytes, offsets, sizes };
}

/** A call's `Params` struct: scalars of four bytes in declared order. */
function packCall(call: Call): Uint8Array {
  const fields = Object.entries(call.kernel.params);
  const bytes = new Uint8Array(alignUp(fields.length * 4, 16));
  const view = new DataView(bytes.buffer);
  for (const [i, [name, type]] of fields.entries()) {
    const value = call.params[name]!;
    if (type === "f32") view.setFloat32(i * 4, value, true);
    else if (type === "i32") view.setInt32(i * 4, value, true);
    else view.setUint32(i * 4, value, true);
  }
  return bytes;
}
