import { sizeOf } from "../core/shape.js";
import { type ByteSource, checkRange } from "./byteSource.js";

/** A window with strides on a source; offsets and strides in elements. */
export interface Strided {
  /** First byte of element 0 in the source. */
  readonly base: number;
  readonly elementBytes: number;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

const blockBytes = 2 ** 22;

/** Whether the elements lie in row-major order without gaps. */
export function isContiguous({ shape, strides }: Pick<Strided, "shape" | "strides">): boolean {
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const size = shape[axis]!;
    if (size === 0) return true;
    if (size !== 1 && strides[axis] !== expected) return false;
    expected *= size;
  }
  return true;
}

/**
 * The elements in row-major order as a source of their own. A read goes over the stretch of the file that holds them in
 * blocks, so that it never takes more memory than its result and one block.
 */
export function gathered(source: ByteSource, strided: Strided): ByteSource {
  const { base, elementBytes: width, shape } = strided;
  const self: ByteSource = {
    name: source.name,
    size: sizeOf(shape) * width,
    async read(begin, end, signal) {
      checkRange(self, begin, end);
      const out = new Uint8Array(end - begin);
      if (begin === end) return out;
      const first = Math.floor(begin / width);
      const count = Math.ceil(end / width) - first;
      const places = placesOf(strided, first, count);
      let low = Number.POSITIVE_INFINITY;
      let high = 0;
      for (const place of places) {
        low = Math.min(low, place);
        high = Math.max(high, place);
      }
      const blockElements = blockBytes / width;
      for (let from = low; from <= high; from += blockElements) {
        const to = Math.min(from + blockElements, high + 1);
        if (!places.some((place) => place >= from && place < to)) continue;
        const block = await source.read(base + from * width, base + to * width, signal);
        for (let i = 0; i < count; i++) {
          const place = places[i]!;
          if (place < from || place >= to) continue;
          const at = (first + i) * width - begin; // the first and last element may lie partly outside
          for (let b = Math.max(0, -at); b < width && at + b < out.byteLength; b++) {
            out[at + b] = block[(place - from) * width + b]!;
          }
        }
      }
      return out;
    },
  };
  return self;
}

/** Places of elements in their storage, in row-major order. */
function placesOf({ offset, shape, strides }: Strided, first: number, count: number): Float64Array {
  const index = new Array<number>(shape.length).fill(0);
  let rest = first;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    index[axis] = rest % shape[axis]!;
    rest = Math.floor(rest / shape[axis]!);
  }
  let place = index.reduce((sum, i, axis) => sum + i * strides[axis]!, offset);
  const out = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    out[i] = place;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      place += strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      place -= shape[axis]! * strides[axis]!;
      index[axis] = 0;
    }
  }
  return out;
}
