// What full.py stored of one model.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { invariant } from "../../src/core/invariant.js";
import { type Shape, sizeOf } from "../../src/core/shape.js";
import { toChannelsLast } from "../../src/pipeline/noiseStream.js";
import { toFloat32 } from "../../src/weights/decode.js";
import { fromFile } from "../../src/weights/node.js";
import { openSafetensors, type StoredTensor } from "../../src/weights/safetensors.js";

/** reference.json */
export interface Facts {
  readonly model: string;
  readonly scale: "full" | "tiny";
  /** Name and version of the code that ran. */
  readonly reference: string;
  readonly torch: string;
  readonly device: string;
  /** Type of the checkpoint's tensors. */
  readonly stored: string;
  readonly steps: number;
  /** Absent where there is no denoiser, as the next two. */
  readonly guidance?: number;
  readonly timesteps?: readonly number[];
  /** Whose context the reference attended to; absent where it encoded its own. */
  readonly context?: string;
}

/** Numbers with a shape; of four axes, the channels come last. */
export interface Values {
  readonly shape: Shape;
  readonly values: Float32Array<ArrayBuffer>;
}

/** A checkpoint's folder with the inputs and results of the reference: README.md tells what they are. */
export class StoredReference {
  private constructor(
    readonly folder: string,
    readonly facts: Facts,
    private readonly tensors: ReadonlyMap<string, StoredTensor>,
  ) {}

  static async open(folder: string): Promise<StoredReference> {
    const facts = JSON.parse(readFileSync(join(folder, "reference.json"), "utf8")) as Facts;
    const { tensors } = await openSafetensors(await fromFile(join(folder, "reference.safetensors")));
    return new StoredReference(folder, facts, tensors);
  }

  has(name: string): boolean {
    return this.tensors.has(name);
  }

  async values(name: string): Promise<Values> {
    const tensor = this.tensors.get(name);
    invariant(tensor, `${this.folder}: reference.safetensors has no ${name}`);
    const { shape, dtype, source, begin, end } = tensor;
    const values = toFloat32(await source.read(begin, end), dtype);
    if (shape.length !== 4) return { shape, values };
    const [images, channels, height, width] = shape as [number, number, number, number];
    const last = [images, height, width, channels] as const;
    return { shape: last, values: toChannelsLast(values, last) };
  }

  async ids(name: string): Promise<number[]> {
    return [...(await this.values(name)).values];
  }
}

/** The first `count` channels of pictures whose channels come last. */
export function firstChannels({ shape, values }: Values, count: number): Values {
  const channels = shape.at(-1)!;
  const kept = [...shape.slice(0, -1), count];
  const out = new Float32Array(sizeOf(kept));
  for (let i = 0; i < out.length; i++) out[i] = values[Math.floor(i / count) * channels + (i % count)]!;
  return { shape: kept, values: out };
}
