import { invariant } from "../core/invariant.js";
import type { PixelImage } from "./pixelImage.js";

/** A PNG file (W3C PNG 3rd edition) of eight bits a channel; RGB where every pixel is opaque, else RGBA. */
export async function encodePng({ width, height, pixels }: PixelImage): Promise<Uint8Array<ArrayBuffer>> {
  const size = width * height * 4;
  invariant(
    width > 0 && height > 0 && pixels.length === size,
    `picture: expected ${size} bytes of RGBA for ${width} x ${height}, got ${pixels.length}`,
  );
  const opaque = pixels.every((value, i) => i % 4 < 3 || value === 255);
  const channels = opaque ? 3 : 4;
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([8, opaque ? 2 : 6], 8);
  const rows = new Blob([filtered(pixels, width, height, channels)]).stream();
  const data = await new Response(rows.pipeThrough(new CompressionStream("deflate"))).arrayBuffer();
  const parts = [
    Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a),
    chunk("IHDR", header),
    chunk("IDAT", new Uint8Array(data)),
    chunk("IEND", new Uint8Array(0)),
  ];
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

/** Rows, each led by its filter: that of none, left, above and Paeth whose differences are smallest in sum. */
function filtered(pixels: ArrayLike<number>, width: number, height: number, channels: number): Uint8Array<ArrayBuffer> {
  const length = width * channels;
  const out = new Uint8Array(height * (length + 1));
  const tries = [0, 1, 2, 4].map((type) => ({ type, row: new Uint8Array(length) }));
  let above = new Uint8Array(length);
  let row = new Uint8Array(length);
  for (let y = 0; y < height; y++) {
    for (let i = 0; i < length; i++) {
      row[i] = pixels[(y * width + Math.floor(i / channels)) * 4 + (i % channels)]!;
    }
    let least = Number.POSITIVE_INFINITY;
    for (const { type, row: differences } of tries) {
      let sum = 0;
      for (let i = 0; i < length; i++) {
        const left = i < channels ? 0 : row[i - channels]!;
        const corner = i < channels ? 0 : above[i - channels]!;
        const guess = type === 0 ? 0 : type === 1 ? left : type === 2 ? above[i]! : paeth(left, above[i]!, corner);
        const difference = (row[i]! - guess) & 255;
        differences[i] = difference;
        sum += Math.min(difference, 256 - difference);
      }
      if (sum >= least) continue;
      least = sum;
      out[y * (length + 1)] = type;
      out.set(differences, y * (length + 1) + 1);
    }
    [above, row] = [row, above];
  }
  return out;
}

function paeth(left: number, above: number, corner: number): number {
  const guess = left + above - corner;
  const [a, b, c] = [Math.abs(guess - left), Math.abs(guess - above), Math.abs(guess - corner)];
  return a <= b && a <= c ? left : b <= c ? above : corner;
}

function chunk(type: string, data: Uint8Array): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(data.length + 12);
  const view = new DataView(out.buffer);
  view.setUint32(0, data.length);
  for (let i = 0; i < 4; i++) out[4 + i] = type.charCodeAt(i);
  out.set(data, 8);
  view.setUint32(8 + data.length, crc(out.subarray(4, 8 + data.length)));
  return out;
}

const crcOfByte = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

function crc(bytes: Uint8Array): number {
  let value = 0xffffffff;
  for (const byte of bytes) value = (value >>> 8) ^ crcOfByte[(value ^ byte) & 255]!;
  return (value ^ 0xffffffff) >>> 0;
}
