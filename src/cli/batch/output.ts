import { randomBytes } from "node:crypto";
import { closeSync, existsSync, fstatSync, openSync, readdirSync, readSync, rmSync } from "node:fs";
import { open, rename } from "node:fs/promises";
import { join } from "node:path";
import type { Shard } from "./shard.js";

/** A folder of pictures, each of which is there whole or not at all, wherever the process was stopped. */
export class OutputFolder {
  private readonly prefix: string;

  constructor(
    private readonly folder: string,
    { index, count }: Shard,
  ) {
    this.prefix = `.webldm-${index}-of-${count}-`;
    // What an earlier run of this shard was about to write when it was killed.
    for (const name of readdirSync(folder)) {
      if (name.startsWith(this.prefix) && name.endsWith(".tmp")) rmSync(join(folder, name), { force: true });
    }
  }

  /** Writes beside, waits for the disk, then takes the name. */
  async write(name: string, bytes: Uint8Array): Promise<void> {
    const temporary = join(this.folder, `${this.prefix}${randomBytes(6).toString("hex")}.tmp`);
    try {
      const file = await open(temporary, "wx");
      try {
        await file.writeFile(bytes);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, join(this.folder, name));
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    }
  }

  /** Whether a picture is there from its first byte to its last. */
  holds(name: string): boolean {
    const path = join(this.folder, name);
    return existsSync(path) && isWholePng(path);
  }
}

const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
/** The last chunk of every PNG: no data, IEND, its checksum. */
const ending = Buffer.from([0, 0, 0, 0, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82]);

function isWholePng(path: string): boolean {
  const file = openSync(path, "r");
  try {
    const { size } = fstatSync(file);
    const [head, tail] = [Buffer.alloc(signature.length), Buffer.alloc(ending.length)];
    readSync(file, head, 0, head.length, 0);
    readSync(file, tail, 0, tail.length, Math.max(0, size - tail.length));
    return head.equals(signature) && tail.equals(ending);
  } finally {
    closeSync(file);
  }
}
