import { WebldmError } from "../core/invariant.js";
import type { ByteSource } from "./byteSource.js";
import { oneLine } from "./oneLine.js";
import { openSafetensors, type StoredTensor } from "./safetensors.js";

/** A file of weights, whichever format it has. */
export interface Weights {
  /** By name, in the order of the file. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly metadata: ReadonlyMap<string, string>;
  readonly format: "safetensors" | "torch";
}

/**
 * Opens a file of weights; only headers are read. What it is, its first bytes say, not its name.
 * @throws WebldmError that names the file and what is wrong with it, or what it was expected to be
 */
export async function openWeights(source: ByteSource, signal?: AbortSignal): Promise<Weights> {
  const head = await source.read(0, Math.min(9, source.size), signal);
  const isHeader = looksLikeSafetensors(head);
  if (!isHeader && looksLikeTorch(head)) {
    const { openTorch } = await import("./torchFile.js"); // the unpickler travels only to those who need it
    return { ...(await openTorch(source, signal)), format: "torch" };
  }
  try {
    return { ...(await openSafetensors(source, signal)), format: "safetensors" };
  } catch (error) {
    if (!(error instanceof WebldmError) || isHeader) throw error;
    const reason = oneLine(error).replace(`${source.name}: `, "");
    throw new WebldmError(
      `${source.name}: neither safetensors (${reason}) nor a checkpoint of torch.save (neither zip archive nor pickle)`,
    );
  }
}

/** Whether a file begins as those of torch.save do: as a zip archive, or as a pickle. */
const looksLikeTorch = (head: Uint8Array): boolean =>
  (head[0] === 0x50 && head[1] === 0x4b) || (head[0] === 0x80 && head[1] !== undefined && head[1] >= 2 && head[1] <= 5);

/** A length below 2^32 and the brace that every header begins with: no archive and no pickle has these. */
const looksLikeSafetensors = (head: Uint8Array): boolean =>
  head[8] === 0x7b && head.subarray(4, 8).every((byte) => byte === 0);
