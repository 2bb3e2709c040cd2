import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32, deflateSync } from "node:zlib";
import { type DecodedPng, encode } from "fast-png";
import { Jimp } from "jimp";
import { afterAll, describe, expect, it } from "vitest";
import { fittingSize, readPicture, resizeNearest, resizePicture } from "../../src/cli/pictureInput.js";
import type { PixelImage } from "../../src/index.js";
import { pngPixels } from "../../src/pictures/pngPixels.js";

const folder = mkdtempSync(join(tmpdir(), "webldm-pictures-"));
afterAll(() => rmSync(folder, { recursive: true }));

const colours = ({ pixels }: PixelImage): number[][] =>
  Array.from({ length: pixels.length / 4 }, (_, i) => [...pixels.subarray(i * 4, i * 4 + 4)]);
const solid = (width: number, height: number, colour: readonly number[]): PixelImage => ({
  width,
  height,
  pixels: new Uint8ClampedArray(Array.from({ length: width * height }, () => colour).flat()),
});

describe("a PNG as pixels", () => {
  const png = (fields: Partial<DecodedPng>): DecodedPng => ({
    width: 2,
    height: 1,
    depth: 8,
    channels: 1,
    data: new Uint8Array(),
    text: {},
    ...fields,
  });

  it.each<[string, Partial<DecodedPng>, number[][]]>([
    [
      "grey",
      { data: Uint8Array.of(0, 200) },
      [
        [0, 0, 0, 255],
        [200, 200, 200, 255],
      ],
    ],
    [
      "grey of 16 bits",
      { depth: 16, data: Uint16Array.of(0, 51400) },
      [
        [0, 0, 0, 255],
        [200, 200, 200, 255],
      ],
    ],
    [
      "grey with alpha",
      { channels: 2, data: Uint8Array.of(9, 0, 10, 128) },
      [
        [9, 9, 9, 0],
        [10, 10, 10, 128],
      ],
    ],
    [
      "colours",
      { channels: 3, data: Uint8Array.of(1, 2, 3, 4, 5, 6) },
      [
        [1, 2, 3, 255],
        [4, 5, 6, 255],
      ],
    ],
    [
      "colours with alpha",
      { channels: 4, data: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) },
      [
        [1, 2, 3, 4],
        [5, 6, 7, 8],
      ],
    ],
    [
      "colours of 16 bits with alpha",
      { channels: 4, depth: 16, data: Uint16Array.of(257, 514, 771, 65535, 0, 0, 0, 0) },
      [
        [1, 2, 3, 255],
        [0, 0, 0, 0],
      ],
    ],
    [
      "one transparent colour",
      { channels: 3, data: Uint8Array.of(1, 2, 3, 1, 2, 4), transparency: Uint16Array.of(1, 2, 3) },
      [
        [1, 2, 3, 0],
        [1, 2, 4, 255],
      ],
    ],
    [
      "a palette",
      {
        data: Uint8Array.of(1, 0),
        palette: [
          [1, 2, 3],
          [4, 5, 6],
        ],
      },
      [
        [4, 5, 6, 255],
        [1, 2, 3, 255],
      ],
    ],
    [
      "a palette of 4 bits with alpha",
      {
        depth: 4,
        data: Uint8Array.of(0x10),
        palette: [
          [1, 2, 3, 0],
          [4, 5, 6, 255],
        ],
      },
      [
        [4, 5, 6, 255],
        [1, 2, 3, 0],
      ],
    ],
    [
      "two rows of 1 bit, each beginning with a byte",
      { width: 9, height: 2, depth: 1, data: Uint8Array.of(0b1000_0000, 0b1000_0000, 0b0111_1111, 0) },
      [255, 0, 0, 0, 0, 0, 0, 0, 255, 0, 255, 255, 255, 255, 255, 255, 255, 0].map((x) => [x, x, x, 255]),
    ],
    [
      "2 bits",
      { width: 4, depth: 2, data: Uint8Array.of(0b00_01_10_11) },
      [0, 85, 170, 255].map((x) => [x, x, x, 255]),
    ],
  ])("%s", (_, fields, expected) => {
    expect(colours(pngPixels(png(fields)))).toEqual(expected);
  });
});

/** A grey PNG of 1 bit, interlaced, from its rows with their filters. */
function interlaced(side: number, rows: readonly number[]): Buffer {
  const chunk = (name: string, data: Uint8Array) => {
    const body = Buffer.concat([Buffer.from(name), data]);
    const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    sum.writeUInt32BE(crc32(body));
    return Buffer.concat([length, body, sum]);
  };
  const header = Buffer.from([0, 0, 0, side, 0, 0, 0, side, 1, 0, 0, 0, 1]);
  const signature = Buffer.from("89504e470d0a1a0a", "hex");
  const data = deflateSync(Buffer.from(rows));
  return Buffer.concat([signature, chunk("IHDR", header), chunk("IDAT", data), chunk("IEND", Buffer.alloc(0))]);
}

describe("a picture's file", () => {
  it("shows white where it is transparent", async () => {
    const path = join(folder, "alpha.png");
    const data = Uint8Array.of(0, 0, 0, 0, 10, 20, 30, 255, 0, 0, 0, 51);
    writeFileSync(path, encode({ width: 3, height: 1, channels: 4, data }));
    expect(colours(await readPicture(path))).toEqual([
      [255, 255, 255, 255],
      [10, 20, 30, 255],
      [204, 204, 204, 255],
    ]);
  });

  it.each(["image/jpeg", "image/bmp", "image/gif", "image/tiff"] as const)("%s", async (mime) => {
    const path = join(folder, mime.replace("/", "."));
    const { width, height, pixels } = solid(16, 8, [200, 100, 50, 255]);
    writeFileSync(path, await new Jimp({ width, height, data: Buffer.from(pixels) }).getBuffer(mime));
    const read = await readPicture(path);
    expect(read).toMatchObject({ width: 16, height: 8 });
    for (const [r, g, b, a] of colours(read)) {
      for (const [value, wanted] of [
        [r, 200],
        [g, 100],
        [b, 50],
      ] as const) {
        expect(Math.abs(value! - wanted)).toBeLessThanOrEqual(4);
      }
      expect(a).toBe(255);
    }
  });

  it("is read where a PNG is interlaced with several pixels to a byte", async () => {
    const path = join(folder, "interlaced.png");
    // 2 x 2 of 1 bit, made of the passes that such a size has: one pixel, one pixel, a row of two.
    const rows = [0, 0b1000_0000, 0, 0, 0, 0b0100_0000];
    writeFileSync(path, interlaced(2, rows));
    const [white, black] = [255, 0].map((x) => [x, x, x, 255]);
    expect(colours(await readPicture(path))).toEqual([white, black, black, white]);
    writeFileSync(path, interlaced(2, rows).subarray(0, 40));
    await expect(readPicture(path)).rejects.toThrow("interlaced.png: expected a PNG, JPEG, BMP, GIF or TIFF: ");
  });

  it("that is not one is refused by name", async () => {
    const path = join(folder, "text.jpg");
    writeFileSync(path, "not a picture");
    await expect(readPicture(path)).rejects.toThrow("text.jpg: expected a PNG, JPEG, BMP, GIF or TIFF: ");
    writeFileSync(path, encode({ width: 8, height: 8, channels: 3, data: new Uint8Array(192) }).subarray(0, 40));
    await expect(readPicture(path)).rejects.toThrow("text.jpg: is not a valid PNG: ");
    await expect(readPicture(join(folder, "no.png"))).rejects.toThrow("no.png: expected a picture, it does not exist");
  });
});

describe("sizes", () => {
  it("averages what shrinks", async () => {
    const pixels = new Uint8ClampedArray(
      [...Array(8).keys()].flatMap((i) => (i % 2 ? [200, 0, 0, 255] : [100, 0, 0, 255])),
    );
    const half = await resizePicture({ width: 8, height: 1, pixels }, { width: 4, height: 1 });
    expect(half).toMatchObject({ width: 4, height: 1 });
    for (const [r] of colours(half)) expect(Math.abs(r! - 150)).toBeLessThanOrEqual(1);
  });

  it("keeps the two values of a mask", async () => {
    const pixels = new Uint8ClampedArray([0, 255, 255].flatMap((x) => [x, x, x, 255]));
    const mask = { width: 3, height: 1, pixels };
    const reds = (picture: PixelImage) => colours(picture).map(([r]) => r);
    expect(reds(await resizeNearest(mask, { width: 6, height: 1 }))).toEqual([0, 0, 255, 255, 255, 255]);
    expect(reds(await resizeNearest(mask, { width: 2, height: 1 }))).toEqual([0, 255]);
  });

  it.each<[string, [number, number], { width?: number; height?: number }, [number, number]]>([
    ["what fits stays", [512, 384], {}, [512, 384]],
    ["the nearest that fits", [500, 333], {}, [504, 336]],
    ["never nothing", [3, 500], {}, [8, 504]],
    ["as asked", [500, 333], { width: 64, height: 64 }, [64, 64]],
    ["one side in proportion", [500, 250], { width: 128 }, [128, 64]],
    ["the other, too", [500, 250], { height: 128 }, [256, 128]],
  ])("%s", (_, [width, height], asked, [w, h]) => {
    expect(fittingSize({ width, height }, asked, 8)).toEqual({ width: w, height: h });
  });
});
