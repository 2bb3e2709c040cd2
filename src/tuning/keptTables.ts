import { alone } from "../weights/alone.js";
import { openStore } from "../weights/fileCache.js";
import type { FileStore } from "../weights/fileStore.js";
import { sha256 } from "../weights/sha256.js";
import { type Entries, parseTable, tableOf } from "./table.js";
import { version } from "./version.js";

/**
 * Tables where fetched models are kept: one for each adapter with its driver, and version of the package. Where nothing can
 * be kept, such as in a private window, there are none.
 *
 * A table is never changed in place: what is added makes a file of the next number, and files of lower ones go when it is
 * there. So a reader finds one at any time; and since a number goes to one process only, none takes back what another added.
 */
export class KeptTables {
  private constructor(private readonly store: FileStore | undefined) {}

  static async open(place?: string | FileSystemDirectoryHandle): Promise<KeptTables> {
    return new KeptTables(await openStore(place).catch(() => undefined));
  }

  /** What was measured on an adapter so far. A file that cannot be read, or was damaged, counts for nothing. */
  async read(adapter: string): Promise<Entries> {
    const { store } = this;
    return store
      ? newest(store, adapter).then(
          ({ entries }) => entries,
          () => ({}),
        )
      : {};
  }

  /**
   * Keeps what was measured with what is there, of other pages and processes too. Of what both name, `again` takes the new.
   * @returns all together
   */
  async add(adapter: string, measured: Entries, again: boolean): Promise<Entries> {
    const { store } = this;
    let all = measured;
    if (!store) return all;
    const attempt = async () => {
      const { number, entries } = await newest(store, adapter);
      all = again ? { ...entries, ...measured } : { ...measured, ...entries };
      const next = number + 1;
      if (!(await store.put(fileOf(adapter, next), JSON.stringify(tableOf(adapter, all))))) return false;
      const numbers = await numbersOf(store, adapter);
      if (numbers[0]! > next) return false; // others were here, and went on, between reading and writing
      for (const before of numbers.slice(1).reverse()) await store.remove(fileOf(adapter, before));
      return true;
    };
    try {
      // Browsers' stores do not tell two that put a file of one name apart, where that of Node does.
      await alone(`webldm ${store.name} ${nameOf(adapter)}`, undefined, async () => {
        while (!(await attempt())); // each time that it fails another has added something
      });
    } catch {
      // It is measured again the next time.
    }
    return all;
  }
}

/** The newest table that can be read, and the highest number that was given: a page that was closed leaves an empty file. */
async function newest(store: FileStore, adapter: string): Promise<{ number: number; entries: Entries }> {
  for (let numbers = await numbersOf(store, adapter); ; ) {
    const [number = 0] = numbers;
    for (const one of numbers) {
      const entries = await entriesOf(store, adapter, one).catch(() => undefined);
      if (entries) return { number, entries };
    }
    const now = await numbersOf(store, adapter);
    if (now[0] === numbers[0]) return { number, entries: {} };
    numbers = now; // files of the list were gone by the time they were opened: a newer one took their place
  }
}

async function entriesOf(store: FileStore, adapter: string, number: number): Promise<Entries | undefined> {
  const source = await store.open(fileOf(adapter, number));
  if (!source) return undefined;
  const json: unknown = JSON.parse(new TextDecoder().decode(await source.read(0, source.size)));
  const table = parseTable(json, source.name);
  return table.version === version && table.adapter === adapter ? table.entries : undefined;
}

/** Numbers of the files of an adapter's table, the highest first. */
async function numbersOf(store: FileStore, adapter: string): Promise<number[]> {
  const name = nameOf(adapter);
  const numbers = (await store.names()).map((file) => {
    const [own, number, ...rest] = file.split(".");
    return own === name && rest.join() === "table" ? Number(number) : Number.NaN;
  });
  return numbers.filter((number) => number > 0).sort((a, b) => b - a);
}

/** Not by the ending of what is fetched, so that lists of models pass over it; deleting the whole cache deletes it too. */
const fileOf = (adapter: string, number: number): string => `${nameOf(adapter)}.${number}.table`;

function nameOf(adapter: string): string {
  const digest = sha256();
  digest.update(new TextEncoder().encode(`${adapter} ${version}`));
  return `tuning-${digest.hex().slice(0, 16)}`;
}
