/** Sizes of the axes of a tensor, outermost first. `[]` is a scalar. */
export type Shape = readonly number[];

/** Number of elements of a tensor of this shape. */
export const sizeOf = (shape: Shape): number => shape.reduce((product, axis) => product * axis, 1);

export const sameShape = (a: Shape, b: Shape): boolean => a.length === b.length && a.every((axis, i) => axis === b[i]);

/** `[1, 64, 64, 320]` for messages. */
export const showShape = (shape: Shape): string => `[${shape.join(", ")}]`;

/** Rounds up to a multiple. */
export const alignUp = (value: number, multiple: number): number => Math.ceil(value / multiple) * multiple;

export const ceilDiv = (a: number, b: number): number => Math.ceil(a / b);
