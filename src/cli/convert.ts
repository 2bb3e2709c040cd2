import type { FloatType } from "../weights/cast.js";
import type { Translation } from "../weights/component.js";
import { openModel } from "./modelInput.js";
import { openProgress } from "./progress.js";
import { checkFolder, writeModel } from "./writeModel.js";

export interface ConvertOptions {
  readonly dtype?: "f16" | "f32" | "bf16";
  /** Most bytes of a file of weights. */
  readonly shardSize?: number;
  readonly json?: boolean;
  /** How single files of another layout are taken apart; they keep their names when absent. */
  readonly translate?: Translation;
}

/**
 * Content networks commonly keep files of up to 512 MB at their edge, and browsers store files below 2 GB as one entry;
 * beyond a few hundred megabytes larger files save no time.
 */
export const defaultShardBytes = 512e6;

const types: Readonly<Record<NonNullable<ConvertOptions["dtype"]>, FloatType>> = {
  f16: "F16",
  f32: "F32",
  bf16: "BF16",
};

/**
 * `webldm convert`: writes a model as a folder of safetensors in load order, streaming; the folder is there when all of
 * it is. Tensors that are not asked to change keep every bit.
 */
export async function convert(
  input: string,
  output: string,
  options: ConvertOptions,
  signal: AbortSignal,
): Promise<number> {
  const { dtype, shardSize = defaultShardBytes, json = false, translate } = options;
  await checkFolder(output);
  const { components, copies, leftOut } = await openModel(input, translate, signal);
  const total = components
    .flatMap(({ tensors }) => [...tensors.values()])
    .reduce((sum, { begin, end }) => sum + end - begin, 0);
  const progress = await openProgress();
  const start = performance.now();
  let done = 0;
  try {
    const written = await writeModel(output, components, copies, {
      shardBytes: shardSize,
      onBytes: (bytes) => {
        done += bytes;
        progress.onConvert(done, total);
      },
      signal,
      ...(dtype ? { dtype: types[dtype] } : {}),
    });
    progress.stop();
    const seconds = Math.round(performance.now() - start) / 1000;
    if (json) process.stdout.write(`${JSON.stringify({ folder: output, ...written, leftOut, seconds })}\n`);
    else {
      const count = (n: number, what: string) => `${n.toLocaleString("en-US")} ${what}${n === 1 ? "" : "s"}`;
      const parts = [count(written.tensors, "tensor"), count(written.files, "file"), count(written.bytes, "byte")];
      process.stdout.write(`${output}: ${parts.join(", ")} in ${seconds} s\n`);
      if (leftOut.length > 0) process.stdout.write(`left out: ${leftOut.join(", ")}\n`);
    }
    return 0;
  } finally {
    progress.stop();
  }
}
