import { decode, encode } from "fast-png";
import { describe, expect, it } from "vitest";
import { toBlob, toPixelImage, toPng } from "../../src/pictures/pictures.js";
import { failure, seeded } from "../weights/tiny.js";

const next = seeded(5);

/** Random pixels on a slope, so that every filter of PNG is the best of some row. */
function sample(width: number, height: number, opaque: boolean) {
  const pixels = new Uint8ClampedArray(width * height * 4);
  for (let i = 0; i < pixels.length; i++) {
    const [x, y] = [Math.floor(i / 4) % width, Math.floor(i / 4 / width)];
    const noise = y % 5 === 0 ? next() * 255 : next() * 3;
    pixels[i] = i % 4 < 3 ? x * 5 + (y % 5 === 1 ? 0 : y * 7) + noise : opaque ? 255 : next() * 256;
  }
  return { width, height, pixels };
}

describe("PNG files", () => {
  it.each([
    [1, 1, true],
    [3, 2, false],
    [37, 41, true],
    [64, 20, false],
  ])("%i x %i, opaque: %o", async (width, height, opaque) => {
    const picture = sample(width, height, opaque);
    const bytes = await toPng(picture);
    const decoded = decode(bytes, { checkCrc: true });
    expect([decoded.width, decoded.height, decoded.depth, decoded.channels]).toEqual([
      width,
      height,
      8,
      opaque ? 3 : 4,
    ]);
    const back = await toPixelImage(bytes);
    expect(back.width).toBe(width);
    expect(Buffer.compare(Buffer.from(back.pixels.buffer), Buffer.from(picture.pixels.buffer))).toBe(0);
    expect(await toPng(picture)).toEqual(bytes);
  });

  it("are small where the picture is smooth", async () => {
    const pixels = new Uint8ClampedArray(100 * 100 * 4).map((_, i) => (i % 4 === 3 ? 255 : (i >> 2) % 100));
    expect((await toPng({ width: 100, height: 100, pixels })).length).toBeLessThan(600);
  });

  it("are blobs too", async () => {
    const picture = sample(5, 4, true);
    const blob = await toBlob(picture);
    expect(blob.type).toBe("image/png");
    expect(new Uint8Array(await blob.arrayBuffer())).toEqual(await toPng(picture));
    expect([...(await toPixelImage(blob)).pixels]).toEqual([...picture.pixels]);
    expect(await failure(toBlob(picture, "image/jpeg"))).toContain("expected image/png, got image/jpeg");
  });

  it("of other kinds are read", async () => {
    const grey = encode({ width: 2, height: 1, data: Uint8Array.of(7, 200), channels: 1, depth: 8 });
    expect([...(await toPixelImage(grey)).pixels]).toEqual([7, 7, 7, 255, 200, 200, 200, 255]);
  });

  it("need as many pixels as they say", async () => {
    expect(await failure(toPng({ width: 2, height: 2, pixels: new Uint8Array(4) }))).toContain(
      "expected 16 bytes of RGBA",
    );
  });
});

describe("pictures in other forms", () => {
  it("are told from what is none", async () => {
    const data = new Uint8ClampedArray([1, 2, 3, 4]);
    expect(await toPixelImage({ width: 1, height: 1, data, colorSpace: "srgb" } as ImageData)).toEqual({
      width: 1,
      height: 1,
      pixels: data,
    });
    const own = { width: 1, height: 1, pixels: data };
    expect(await toPixelImage(own)).toBe(own);
    for (const none of [undefined, null, 3, {}, "a.png"]) {
      expect(await failure(toPixelImage(none as never))).toMatch(/^WebldmError: picture: expected image data/);
    }
    expect(await failure(toPixelImage(new Blob(["text"])))).toMatch(/^WebldmError: picture: expected a PNG file: /);
  });
});
