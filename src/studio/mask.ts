import { signal } from "@preact/signals";
import type { PixelImage } from "../index.js";
import { contextOf, pixelsOf } from "./source.js";

const remembered = 30;

/** What is to be painted anew: opaque where the brush was. Every stroke can be undone. */
export class Mask {
  readonly canvas = document.createElement("canvas");
  readonly empty = signal(true);
  readonly undoable = signal(false);
  /** Changes with every change. */
  readonly version = signal(0);
  /** Width of the brush as a share of the picture's shorter side. */
  readonly brush = signal(0.2);
  /** The brush takes away. */
  readonly erasing = signal(false);
  private readonly past: ImageData[] = [];

  /** Keeps the mask when the size changes, stretched. */
  resize(width: number, height: number): void {
    const { canvas } = this;
    if (canvas.width === width && canvas.height === height) return;
    const before = document.createElement("canvas");
    before.width = canvas.width;
    before.height = canvas.height;
    contextOf(before).drawImage(canvas, 0, 0);
    canvas.width = width;
    canvas.height = height;
    contextOf(canvas).drawImage(before, 0, 0, width, height);
    this.past.length = 0;
    this.undoable.value = false;
  }

  /** What follows until the next call is one stroke. */
  begin(): void {
    const { width, height } = this.canvas;
    this.past.push(contextOf(this.canvas).getImageData(0, 0, width, height));
    if (this.past.length > remembered) this.past.shift();
    this.undoable.value = true;
  }

  /** In pixels. */
  get diameter(): number {
    return Math.max(2, this.brush.value * Math.min(this.canvas.width, this.canvas.height));
  }

  /** A line with round ends, in pixels of the mask; a pen's pressure makes it thinner or wider. */
  line(from: readonly [number, number], to: readonly [number, number], pressure = 1): void {
    const context = contextOf(this.canvas);
    context.globalCompositeOperation = this.erasing.value ? "destination-out" : "source-over";
    context.strokeStyle = "#0f6f67"; // only its opacity counts
    context.lineCap = "round";
    context.lineJoin = "round";
    context.lineWidth = this.diameter * pressure;
    context.beginPath();
    context.moveTo(...from);
    context.lineTo(to[0] + 0.01, to[1]); // a line of no length has no ends
    context.stroke();
    context.globalCompositeOperation = "source-over";
    this.look();
  }

  undo(): void {
    const before = this.past.pop();
    if (before) contextOf(this.canvas).putImageData(before, 0, 0);
    this.undoable.value = this.past.length > 0;
    this.look();
  }

  clear(): void {
    this.begin();
    contextOf(this.canvas).clearRect(0, 0, this.canvas.width, this.canvas.height);
    this.look();
  }

  /** White on black, as inpainting takes it. */
  pixels(): PixelImage {
    const { width, height, pixels } = pixelsOf(this.canvas);
    const out = new Uint8ClampedArray(pixels.length);
    for (let i = 0; i < pixels.length; i += 4)
      out.fill(pixels[i + 3]! > 127 ? 255 : 0, i, i + 3).fill(255, i + 3, i + 4);
    return { width, height, pixels: out };
  }

  toBlob(): Promise<Blob | undefined> {
    return new Promise((resolve) => this.canvas.toBlob((blob) => resolve(blob ?? undefined)));
  }

  async restore(blob: Blob): Promise<void> {
    const bitmap = await createImageBitmap(blob);
    this.resize(bitmap.width, bitmap.height);
    this.clear();
    contextOf(this.canvas).drawImage(bitmap, 0, 0);
    this.look();
  }

  private look(): void {
    this.version.value += 1;
    const { width, height } = this.canvas;
    const { data } = contextOf(this.canvas).getImageData(0, 0, width, height);
    this.empty.value = !data.some((value, i) => i % 4 === 3 && value > 127);
  }
}

/** The one of the page. */
export const mask = new Mask();
