// Checkpoints of any size that need no file: weights are random float16 numbers, made when they are read. Uploading them
// goes the way of real ones.
import { toHalf } from "../../src/core/half.js";
import { sizeOf } from "../../src/core/shape.js";
import type { WeightRequest } from "../../src/graph/graph.js";
import type { Checkpoint } from "../../src/pipeline/checkpoint.js";
import { requestsOf, storeOf } from "../../src/pipeline/components.js";
import { latentFactor, type ModelConfig } from "../../src/pipeline/modelConfig.js";
import type { Tokenizer } from "../../src/text/tokenizer.js";
import { type ByteSource, checkRange } from "../../src/weights/byteSource.js";
import type { StoredTensor } from "../../src/weights/safetensors.js";
import { type Spread, scaled, valueAt } from "./random.js";

/** The networks that a picture from text takes. */
export const parts = ["conditioner", "unet", "decoder"] as const;

/** A prime, so that the rows of no matrix repeat with it. */
const period = 1_048_573;
const blocks = new Map<string, Uint8Array>();

type Named = Pick<WeightRequest, "name" | "shape">;

/** The numbers that tensors of one spread repeat. */
function blockOf(spread: Spread): Uint8Array {
  const key = JSON.stringify(spread);
  let block = blocks.get(key);
  if (!block) {
    const halves = Uint16Array.from({ length: period }, (_, i) => toHalf(valueAt(i, spread)));
    block = new Uint8Array(halves.buffer);
    blocks.set(key, block);
  }
  return block;
}

/** Scales of norms lie about 1, other vectors about 0, and no layer's output is larger than its input. */
function spreadOf({ name, shape }: Named): Spread {
  if (shape.length === 1) return { seed: 1, scale: 0.125, offset: name.endsWith(".weight") ? 1 : 0 };
  return scaled(2, sizeOf(shape) / shape[0]!);
}

/** Bytes `begin` to `end` of a tensor, in float16. */
export function randomSlice(request: Named, begin = 0, end = 2 * sizeOf(request.shape)): Uint8Array<ArrayBuffer> {
  const block = blockOf(spreadOf(request));
  // Tensors of one spread begin at different places.
  const shift = 2 * (([...request.name].reduce((h, c) => Math.imul(h, 31) + c.charCodeAt(0), 7) >>> 0) % period);
  const bytes = new Uint8Array(end - begin);
  for (let at = 0; at < bytes.length; ) {
    const part = block.subarray((shift + begin + at) % block.length).subarray(0, bytes.length - at);
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** The bytes of one tensor. */
export function randomBytes(request: Named): ByteSource {
  const source: ByteSource = {
    name: request.name,
    size: 2 * sizeOf(request.shape),
    async read(begin, end, signal) {
      checkRange(source, begin, end);
      signal?.throwIfAborted();
      return randomSlice(request, begin, end);
    },
  };
  return source;
}

/** Names and shapes of all weights of a part, as they stand in files. */
export const tensorsOf = async (part: (typeof parts)[number], config: ModelConfig) =>
  requestsOf(part, { config, preview: undefined, stored: {} }, { dtype: "f16" });

export async function randomCheckpoint(config: ModelConfig): Promise<Checkpoint> {
  const stored: Record<string, ReadonlyMap<string, StoredTensor>> = {};
  for (const part of parts) {
    const tensors = (await tensorsOf(part, config)).map((request): [string, StoredTensor] => {
      const { name, shape } = request;
      const source = randomBytes(request);
      return [name, { name, dtype: "F16", shape, source, begin: 0, end: source.size }];
    });
    stored[storeOf[part]] = new Map(tensors);
  }
  const factor = latentFactor(config);
  const side = config.unet.sampleSize * factor;
  return {
    name: "random weights",
    config,
    tokenizer: letters,
    defaults: { width: side, height: side, steps: 20, guidance: 7.5, eta: 0 },
    sizeMultiple: factor,
    stored,
    preview: undefined,
    notes: [],
  };
}

/** A letter an id: what prompts say does not matter to random weights. */
const letters: Tokenizer = {
  length: 77,
  encode: (text) => [0, ...[...text].map((c) => c.charCodeAt(0)), 1],
  encodePadded(text, length = 77) {
    const ids = letters.encode(text).slice(0, length);
    return { ids: [...ids, ...Array<number>(length - ids.length).fill(1)], truncated: "", tokens: text.length };
  },
};
