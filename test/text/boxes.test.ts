import { describe, expect, it } from "vitest";
import { encodeBoxes, type LayoutObject } from "../../src/text/boxes.js";

const cell = (x: number, y: number) => y * 90 + x;
const box = [0, 0, 1, 1] as const;

describe("a layout as tokens", () => {
  it("holds three tokens an object, as many as there may be, and the crop", () => {
    const ids = encodeBoxes([
      { category: 7, box: [0.25, 0.1, 0.75, 0.9] },
      { category: 353, box: [0, 0, 1, 1] },
    ]);
    expect(ids).toHaveLength(92);
    // 0.25 * 89 = 22.25, 0.75 * 89 = 66.75, 0.1 * 89 = 8.9, 0.9 * 89 = 80.1
    expect(ids.slice(0, 6)).toEqual([7, cell(22, 9), cell(67, 80), 353, 0, 8099]);
    expect(ids.slice(6, 90)).toEqual(new Array<number>(84).fill(8191));
    expect(ids.slice(90)).toEqual([0, 8099]);
    expect(encodeBoxes([])).toEqual([...new Array<number>(90).fill(8191), 0, 8099]);
  });

  it("rounds halves to even cells, as Python does", () => {
    // 0.5 * 89 = 44.5; of a grid of 4 x 4: 0.5 * 3 = 1.5
    expect(encodeBoxes([{ category: 0, box: [0.5, 0, 1, 0.5] }]).slice(1, 3)).toEqual([cell(44, 0), cell(89, 44)]);
    const small = { tokens: 16, objects: 1 };
    expect(encodeBoxes([{ category: 3, box: [0.5, 0.5, 1, 1] }], small)).toEqual([3, 2 * 4 + 2, 15, 0, 15]);
  });

  it.each([
    [{ groupOf: true }, 1],
    [{ occluded: true }, 2],
    [{ depiction: true }, 4],
    [{ inside: true }, 8],
    [{ groupOf: true, inside: true, depiction: false }, 9],
  ] satisfies [Partial<LayoutObject>, number][])(
    "counts the attributes %j beyond the categories",
    (attributes, bits) => {
      const [id] = encodeBoxes([{ category: 5, box, ...attributes }], { categories: 354 });
      expect(id).toBe(5 + 354 * bits);
    },
  );

  it("leaves out what lies outside of the crop, and keeps the order", () => {
    const objects: LayoutObject[] = [
      { category: 3, box: [0.6, 0, 1, 1] },
      { category: 1, box: [0.5, 0.5, 1, 1] },
      { category: 2, box: [0, 0, 0.4, 0.4] },
    ];
    const ids = encodeBoxes(objects, { crop: [0, 0, 0.55, 1], objects: 3 });
    expect(ids).toEqual([1, cell(44, 44), 8099, 2, 0, cell(36, 36), 8191, 8191, 8191, 0, cell(49, 89)]);
  });

  it.each([
    [
      [
        { category: 0, box },
        { category: 9, box: [0.5, 0, 0.5, 1] },
      ],
      {},
      "object 1: box is [0.5, 0, 0.5, 1], expected [x0",
    ],
    [[{ category: 0, box: [0, -0.1, 1, 1] }], {}, "object 0: box is [0, -0.1, 1, 1]"],
    [[{ category: 0, box: [0, 0, 1, Number.NaN] }], {}, "object 0: box is [0, 0, 1, NaN]"],
    [[{ category: 1.5, box }], {}, "object 0: category is 1.5, expected an integer from 0 to 8190"],
    [[{ category: 10, box }], { categories: 10 }, "object 0: category is 10, expected an integer from 0 to 9"],
    [[{ category: 1, box, inside: true }], {}, "object 0: has attributes, which need the number of categories"],
    [
      [{ category: 1, box, inside: true }],
      { categories: 2000 },
      "object 0: category 1 with its attributes is token 16001",
    ],
    [
      [
        { category: 0, box },
        { category: 0, box },
      ],
      { objects: 1 },
      "objects: 2, expected at most 1",
    ],
    [[], { crop: [0.5, 0, 0.4, 1] }, "crop: box is [0.5, 0, 0.4, 1]"],
  ] as [LayoutObject[], Parameters<typeof encodeBoxes>[1], string][])(
    "refuses %j with %j",
    (objects, options, message) => {
      expect(() => encodeBoxes(objects, options)).toThrow(message);
    },
  );
});
