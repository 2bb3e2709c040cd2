import { copyFile, mkdir, open, readdir, rename, rm, rmdir, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { invariant, WebldmError } from "../core/invariant.js";
import { sizeOf } from "../core/shape.js";
import { castType, type FloatType } from "../weights/cast.js";
import { type Component, stemOf } from "../weights/component.js";
import { loadOrder } from "../weights/loadOrder.js";
import { oneLine } from "../weights/oneLine.js";
import { planShards } from "../weights/shards.js";
import { storedBits } from "../weights/storedType.js";
import { streamSafetensors } from "../weights/writer.js";

export interface WriteOptions {
  readonly dtype?: FloatType;
  /** Most bytes of a file of weights. */
  readonly shardBytes: number;
  /** Called with the bytes of weights that have been read since the last call. */
  readonly onBytes?: (bytes: number) => void;
  readonly signal?: AbortSignal;
}

/** What was written. */
export interface Written {
  readonly tensors: number;
  /** Files of weights. */
  readonly files: number;
  /** Bytes of those. */
  readonly bytes: number;
}

/** Refuses a place for the model before any work is done. */
export async function checkFolder(output: string): Promise<void> {
  const taken = await stat(output).catch(() => undefined);
  invariant(!taken || taken.isDirectory(), `${output}: expected a new folder, it is a file`);
  invariant(
    !taken || (await readdir(output)).length === 0,
    `${output}: expected a new or an empty folder, it holds files`,
  );
  const parent = dirname(resolve(output));
  const place = await stat(parent).catch(() => undefined);
  invariant(place?.isDirectory(), `${output}: expected a place in an existing folder, '${parent}' is none`);
}

/**
 * Writes components and files into a folder, all or nothing: into a hidden folder beside it first, which takes its name
 * when everything is on the disk, and is removed where something fails or the signal says stop.
 */
export async function writeModel(
  output: string,
  components: readonly Component[],
  copies: ReadonlyMap<string, string>,
  options: WriteOptions,
): Promise<Written> {
  await checkFolder(output);
  const target = resolve(output);
  const draft = join(dirname(target), `.${basename(target)}.partial-${process.pid}`);
  try {
    await mkdir(draft);
    const written = { tensors: 0, files: 0, bytes: 0 };
    for (const component of components) {
      const one = await writeComponent(join(draft, component.path), component, options);
      for (const key of ["tensors", "files", "bytes"] as const) written[key] += one[key];
    }
    for (const [file, from] of copies) {
      options.signal?.throwIfAborted();
      await mkdir(dirname(join(draft, file)), { recursive: true });
      await copyFile(from, join(draft, file));
    }
    options.signal?.throwIfAborted();
    await rmdir(target).catch(() => undefined); // an empty one; where it is not, renaming fails
    await rename(draft, target);
    return written;
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    options.signal?.throwIfAborted();
    if (error instanceof WebldmError || !isSystemError(error)) throw error;
    throw new WebldmError(`${output}: could not be written: ${oneLine(error)}`);
  }
}

const isSystemError = (error: unknown): boolean => error instanceof Error && "code" in error;

async function writeComponent(folder: string, component: Component, options: WriteOptions): Promise<Written> {
  const { dtype, shardBytes, onBytes, signal } = options;
  await mkdir(folder, { recursive: true });
  for (const [file, content] of Object.entries(component.json ?? {})) {
    await writeFile(join(folder, file), `${JSON.stringify(content, undefined, 2)}\n`);
  }
  for (const [file, content] of Object.entries(component.text ?? {})) await writeFile(join(folder, file), content);
  const metadata = { ...Object.fromEntries(component.metadata ?? []), format: "pt" }; // transformers insists on it
  const sized = loadOrder(component.tensors.keys()).map((name) => {
    const { shape, dtype: stored } = component.tensors.get(name)!;
    const type = castType(stored, dtype);
    return { name, dtype: type, shape, bytes: (sizeOf(shape) * storedBits[type]) / 8 };
  });
  const { shards, index } = planShards(sized, stemOf(component), shardBytes, metadata);
  let bytes = 0;
  for (const { file, names } of shards) {
    const tensors = new Map(names.map((name) => [name, component.tensors.get(name)!]));
    const pieces = streamSafetensors(tensors, {
      metadata,
      ...(dtype ? { dtype } : {}),
      ...(signal ? { signal } : {}),
    });
    const handle = await open(join(folder, file), "wx");
    try {
      for await (const piece of pieces) {
        await writeAll(handle, piece.bytes, piece.position);
        onBytes?.(piece.read);
      }
      await handle.sync();
      bytes += (await handle.stat()).size;
    } finally {
      await handle.close();
    }
  }
  if (index) await writeFile(join(folder, index.file), `${JSON.stringify(index.json, undefined, 2)}\n`);
  return { tensors: sized.length, files: shards.length, bytes };
}

async function writeAll(handle: Awaited<ReturnType<typeof open>>, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.byteLength; ) {
    done += (await handle.write(bytes, done, bytes.byteLength - done, position + done)).bytesWritten;
  }
}
