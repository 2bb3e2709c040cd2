import { invariant } from "../../core/invariant.js";
import { type Shape, showShape, sizeOf } from "../../core/shape.js";

/** Numbers in row-major order. */
export interface Values {
  readonly shape: Shape;
  readonly data: ArrayLike<number>;
}

/** Axes in another order: axis i of the result is axis `order[i]` of the input. */
export function transpose({ shape, data }: Values, order: readonly number[]): Values {
  invariant(order.length === shape.length, () => `${showShape(shape)}: expected ${order.length} axes`);
  const strides = shape.map((_, i) => sizeOf(shape.slice(i + 1)));
  const outShape = order.map((axis) => shape[axis]!);
  const steps = order.map((axis) => strides[axis]!);
  const out = new Float64Array(data.length);
  const at = new Array<number>(order.length).fill(0);
  let from = 0;
  for (let i = 0; i < out.length; i++) {
    out[i] = data[from]!;
    for (let axis = order.length - 1; axis >= 0; axis--) {
      from += steps[axis]!;
      if (++at[axis]! < outShape[axis]!) break;
      from -= steps[axis]! * outShape[axis]!;
      at[axis] = 0;
    }
  }
  return { shape: outShape, data: out };
}

/** [N, C, H, W] of the files to [N, H, W, C] of the device. */
export const channelsLast = (values: Values): Values => transpose(values, [0, 2, 3, 1]);

/** [N, H, W, C] of the device to [N, C, H, W] of the files. */
export const channelsFirst = (values: Values): Values => transpose(values, [0, 3, 1, 2]);

/** The same numbers under another shape. */
export function reshaped({ data }: Values, shape: Shape): Values {
  invariant(sizeOf(shape) === data.length, () => `${data.length} numbers do not fill ${showShape(shape)}`);
  return { shape, data };
}

/** Item i of the first axis. */
export function item({ shape, data }: Values, i: number): Values {
  const inner = shape.slice(1);
  const size = sizeOf(inner);
  return { shape: inner, data: Array.prototype.slice.call(data, i * size, (i + 1) * size) };
}

/** Items of one shape joined along a new first axis. */
export function stack(items: readonly Values[]): Values {
  const shape = [items.length, ...(items[0]?.shape ?? [])];
  const data = new Float64Array(sizeOf(shape));
  let at = 0;
  for (const { data: part } of items) {
    data.set(part, at);
    at += part.length;
  }
  return { shape, data };
}
