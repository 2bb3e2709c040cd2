import { invariant } from "../core/invariant.js";

/** An object of a layout. */
export interface LayoutObject {
  /** Number of its category, from 0. */
  readonly category: number;
  /** Left, top, right, bottom, as fractions of the picture's width and height from 0 to 1. */
  readonly box: readonly [x0: number, y0: number, x1: number, y1: number];
  /** Several of a kind that touch each other. */
  readonly groupOf?: boolean;
  /** Partly hidden by something else. */
  readonly occluded?: boolean;
  /** A drawing, a statue, not the thing itself. */
  readonly depiction?: boolean;
  /** Seen from inside. */
  readonly inside?: boolean;
}

export interface LayoutOptions {
  /** How many categories there are; needed to tell attributes (`groupOf` and so on), which count beyond them. */
  readonly categories?: number;
  /** Vocabulary of the encoder. @defaultValue 8192 */
  readonly tokens?: number;
  /** Objects of a layout; fewer are filled up. @defaultValue 30 */
  readonly objects?: number;
  /** Part of the picture to draw. Objects outside of it are left out. @defaultValue [0, 0, 1, 1] */
  readonly crop?: readonly [x0: number, y0: number, x1: number, y1: number];
}

const attributes = ["groupOf", "occluded", "depiction", "inside"] as const; // bits 1, 2, 4, 8

/**
 * A layout as ids: for each object its category, top left and bottom right, "none" for those missing, and the two corners of
 * the crop: 3 * 30 + 2 = 92. A point is a cell of a square grid, 90 to a side with 8192 tokens (`coordinates_bbox` of
 * taming-transformers, ObjectsBoundingBoxConditionalBuilder). The order of objects, which training shuffled, is kept.
 * @throws WebldmError that names the object that does not fit
 */
export function encodeBoxes(objects: readonly LayoutObject[], options: LayoutOptions = {}): number[] {
  const { categories, tokens = 8192, objects: most = 30, crop = [0, 0, 1, 1] } = options;
  invariant(objects.length <= most, `objects: ${objects.length}, expected at most ${most}`);
  checkBox("crop", crop);
  const side = Math.floor(Math.sqrt(tokens));
  const none = tokens - 1;
  const corners = ([x0, y0, x1, y1]: LayoutObject["box"]) => [cell(x0, y0, side), cell(x1, y1, side)];
  const ids: number[] = [];
  for (const [i, object] of objects.entries()) {
    const name = `object ${i}`;
    checkBox(name, object.box);
    const id = categoryId(object, name, categories, none);
    if (overlap(object.box, crop)) ids.push(id, ...corners(object.box));
  }
  while (ids.length < 3 * most) ids.push(none);
  return [...ids, ...corners(crop)];
}

function categoryId(object: LayoutObject, name: string, categories: number | undefined, none: number): number {
  const { category } = object;
  const count = categories ?? none;
  invariant(
    Number.isInteger(category) && category >= 0 && category < count,
    `${name}: category is ${category}, expected an integer from 0 to ${count - 1}`,
  );
  const bits = attributes.reduce((sum, attribute, bit) => sum + (object[attribute] ? 2 ** bit : 0), 0);
  if (bits === 0) return category;
  invariant(categories !== undefined, `${name}: has attributes, which need the number of categories`);
  const id = category + categories * bits;
  invariant(id < none, `${name}: category ${category} with its attributes is token ${id}, expected one below ${none}`);
  return id;
}

/** A point as a cell of the grid. Halves go to the even cell, as Python rounds. */
function cell(x: number, y: number, side: number): number {
  const at = (value: number) => {
    const scaled = value * (side - 1);
    const up = Math.round(scaled);
    return up - scaled === 0.5 && up % 2 === 1 ? up - 1 : up;
  };
  return at(y) * side + at(x);
}

function checkBox(name: string, box: readonly number[]): void {
  const [x0, y0, x1, y1] = box as [number, number, number, number];
  const fits = box.length === 4 && 0 <= x0 && x0 < x1 && x1 <= 1 && 0 <= y0 && y0 < y1 && y1 <= 1;
  invariant(fits, `${name}: box is [${box.join(", ")}], expected [x0, y0, x1, y1] with x0 < x1 and y0 < y1 in 0 to 1`);
}

const overlap = ([ax0, ay0, ax1, ay1]: readonly number[], [bx0, by0, bx1, by1]: readonly number[]): boolean =>
  Math.max(ax0!, bx0!) < Math.min(ax1!, bx1!) && Math.max(ay0!, by0!) < Math.min(ay1!, by1!);
