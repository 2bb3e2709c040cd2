import type { TuningTable } from "../core/tuningTable.js";
import { openStore } from "../weights/fileCache.js";
import type { FileStore } from "../weights/fileStore.js";
import { sha256 } from "../weights/sha256.js";
import { parseTable, tableOf } from "./table.js";
import { version } from "./version.js";

/**
 * Tables where fetched models are kept: one for each adapter with its driver, and version of the package. Where nothing can
 * be kept, such as in a private window, there are none.
 */
export class KeptTables {
  private constructor(private readonly store: FileStore | undefined) {}

  static async open(place?: string | FileSystemDirectoryHandle): Promise<KeptTables> {
    return new KeptTables(await openStore(place).catch(() => undefined));
  }

  /** What was measured on an adapter so far. A file that cannot be read, or was damaged, counts for nothing. */
  async read(adapter: string): Promise<TuningTable> {
    const none = tableOf(adapter, {});
    try {
      const source = await this.store?.open(fileOf(adapter));
      if (!source) return none;
      const json: unknown = JSON.parse(new TextDecoder().decode(await source.read(0, source.size)));
      const table = parseTable(json, source.name);
      return table.version === version && table.adapter === adapter ? table : none;
    } catch {
      return none;
    }
  }

  /** Keeps a table in place of the one before. */
  async write(table: TuningTable): Promise<void> {
    try {
      await this.store?.remove(fileOf(table.adapter));
      await this.store?.put(fileOf(table.adapter), JSON.stringify(table));
    } catch {
      // It is measured again the next time.
    }
  }
}

/** Not by the ending of what is fetched, so that lists of models pass over it; deleting the whole cache deletes it too. */
function fileOf(adapter: string): string {
  const digest = sha256();
  digest.update(new TextEncoder().encode(`${adapter} ${version}`));
  return `tuning-${digest.hex().slice(0, 16)}.table`;
}
