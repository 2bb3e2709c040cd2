// One stored task of a reference: what it was made of and what it gave. bench/reference/README.md tells what is stored.
import { readFileSync } from "node:fs";
import { invariant } from "../../src/core/invariant.js";
import { type Shape, sizeOf } from "../../src/core/shape.js";
import { toChannelsLast } from "../../src/pipeline/noiseStream.js";
import type { FloatImage, PixelImage } from "../../src/pipeline/picture.js";
import { toFloat32 } from "../../src/weights/decode.js";
import { fromFile } from "../../src/weights/node.js";
import { openSafetensors } from "../../src/weights/safetensors.js";
import { normal, picture, tokens } from "./seededTensors.js";

const folder = "test/golden/tasks";

interface StoredModel {
  readonly config: Readonly<Record<string, unknown>>;
  readonly tensors: number;
  readonly parameters: number;
  readonly sum_of_absolutes: number;
}

interface StoredInput {
  readonly rule: "picture" | "context" | "normal" | "tokens";
  readonly name: string;
  readonly shape: Shape;
  readonly first: readonly number[];
  readonly vocabulary: number;
  /** Of a mask: the part to be painted anew. */
  readonly rows: readonly [number, number];
  readonly columns: readonly [number, number];
  /** Of boxes: objects; of ids: numbers. */
  readonly values: readonly unknown[];
}

/** NAME.json */
export interface StoredTask {
  readonly task: string;
  readonly pipeline?: string;
  readonly models: Readonly<Record<string, StoredModel>>;
  readonly inputs: Readonly<Record<string, StoredInput>>;
  readonly scheduler?: Readonly<Record<string, unknown>>;
  readonly low_res_scheduler?: Readonly<Record<string, unknown>>;
  readonly arguments: Readonly<Record<string, number>>;
  readonly seeds: Readonly<Record<string, number>>;
  readonly timesteps: readonly number[];
  readonly tiling: { readonly tile_latent_min_size: number };
}

/** Numbers with a shape; pictures and latents as [N, H, W, C]. */
export interface Values {
  readonly shape: Shape;
  readonly values: Float32Array<ArrayBuffer>;
}

/** A stored task with its inputs and outputs. */
export class SeededTask {
  private constructor(
    readonly stored: StoredTask,
    private readonly outputs: ReadonlyMap<string, Values>,
  ) {}

  static async read(name: string): Promise<SeededTask> {
    const stored = JSON.parse(readFileSync(`${folder}/${name}.json`, "utf8")) as StoredTask;
    const { tensors } = await openSafetensors(await fromFile(`${folder}/${name}.safetensors`));
    const outputs = new Map<string, Values>();
    for (const { name, shape, dtype, source, begin, end } of tensors.values()) {
      outputs.set(name, { shape, values: toFloat32(await source.read(begin, end), dtype) });
    }
    return new SeededTask(stored, outputs);
  }

  /** An output; those of four axes, or the items of those of five, with their channels last. */
  output(name: string): Values {
    const output = this.outputs.get(`out.${name}`);
    invariant(output, `${this.stored.task}: has no out.${name}`);
    if (output.shape.length < 4) return output;
    const [channels, height, width] = output.shape.slice(-3) as [number, number, number];
    const images = sizeOf(output.shape.slice(0, -3));
    const shape = [images, height, width, channels] as const;
    return {
      shape: [...output.shape.slice(0, -3), height, width, channels],
      values: toChannelsLast(output.values, shape),
    };
  }

  /** One of the stored steps. */
  step(index: number): Values {
    const { shape, values } = this.output("steps");
    const size = sizeOf(shape.slice(1));
    return { shape: shape.slice(1), values: values.slice(index * size, (index + 1) * size) };
  }

  /** Numbers of an input, in the reference's layout. */
  input(role: string): Float32Array<ArrayBuffer> {
    const { rule, name, shape, first } = this.of(role);
    const values = rule === "picture" ? picture(name, shape) : normal(name, shape);
    for (const [i, x] of first.entries()) invariant(Math.abs(values[i]! - x) < 2e-6, `${name}: value ${i} differs`);
    return values;
  }

  ids(role: string): number[] {
    const { name, shape, vocabulary, first, values } = this.of(role);
    if (values) return values as number[];
    const ids = tokens(name, shape, vocabulary);
    invariant(
      first.every((id, i) => id === ids[i]),
      `${name}: the ids differ`,
    );
    return ids;
  }

  /** A picture in [-1, 1]. */
  image(role = "image"): FloatImage {
    const [, channels, height, width] = this.of(role).shape as [number, number, number, number];
    const signed = this.input(role).map((x) => 2 * x - 1);
    return { width, height, values: toChannelsLast(signed, [1, height, width, channels]) };
  }

  mask(): PixelImage {
    const { shape, rows, columns } = this.of("mask");
    const [, , height, width] = shape as [number, number, number, number];
    const pixels = new Uint8Array(height * width * 4);
    for (let y = rows[0]; y < rows[1]; y++) {
      for (let x = columns[0]; x < columns[1]; x++) pixels.fill(255, (y * width + x) * 4, (y * width + x + 1) * 4);
    }
    return { width, height, pixels };
  }

  of(role: string): StoredInput {
    const input = this.stored.inputs[role];
    invariant(input, `${this.stored.task}: has no input ${role}`);
    return input;
  }
}

/** Peak signal to noise in dB; the peak is the reference's maximum less its minimum. */
export function psnr(actual: ArrayLike<number>, { values: expected }: Values): number {
  invariant(actual.length === expected.length, `${actual.length} values, expected ${expected.length}`);
  let [low, high, squares] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0];
  for (const [i, x] of expected.entries()) {
    low = Math.min(low, x);
    high = Math.max(high, x);
    squares += (actual[i]! - x) ** 2;
  }
  return 10 * Math.log10((high - low) ** 2 / (squares / expected.length));
}
