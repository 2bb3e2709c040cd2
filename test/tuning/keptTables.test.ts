// Tables on disk, and in a page's private file system, that several write and read at once.
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { KeptTables } from "../../src/tuning/keptTables.js";

const adapter = "a card, driver 1";
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "webldm-tables-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
  vi.unstubAllGlobals();
});

/** A folder of a page's private file system: a file is there when it is made, and empty until its writer is closed. */
function privateFolder(): FileSystemDirectoryHandle {
  const files = new Map<string, string>();
  const handle = {
    name: "webldm",
    async getFileHandle(name: string, { create = false } = {}) {
      if (!files.has(name) && !create) throw new DOMException(name, "NotFoundError");
      if (!files.has(name)) files.set(name, "");
      let written = "";
      return {
        getFile: async () => new File([files.get(name)!], name),
        createWritable: async () => ({
          write: async (text: string) => {
            written += text;
          },
          close: async () => void files.set(name, written),
        }),
      };
    },
    async *keys() {
      yield* [...files.keys()];
    },
    removeEntry: async (name: string) => void files.delete(name),
  };
  return handle as unknown as FileSystemDirectoryHandle;
}

/** Web Locks of one origin. */
function locks(): Pick<LockManager, "request"> {
  const last = new Map<string, Promise<unknown>>();
  const request = (name: string, _: object, task: () => Promise<unknown>) => {
    const mine = (last.get(name) ?? Promise.resolve()).then(task);
    last.set(name, mine);
    return mine;
  };
  return { request } as unknown as LockManager;
}

const places: [string, () => string | FileSystemDirectoryHandle, object][] = [
  ["on disk", () => folder, {}],
  ["in a page's private file system", privateFolder, { locks: locks() }],
];

describe.each(places)("tables %s", (_, place, navigator) => {
  beforeEach(() => vi.stubGlobal("navigator", navigator));

  it("hold what several add at once, and are there for whoever reads meanwhile", async () => {
    const where = place();
    const writers = await Promise.all(Array.from({ length: 4 }, () => KeptTables.open(where)));
    const reader = await KeptTables.open(where);
    await reader.add(adapter, { first: "usual" }, false);
    const rounds = Array.from({ length: 20 }, (_, round) => round);
    const keyOf = (writer: number, round: number) => `${writer} ${round}`;
    let isDone = false;
    const writing = writers.map(async (tables, writer) => {
      for (const round of rounds) await tables.add(adapter, { [keyOf(writer, round)]: "usual" }, false);
    });
    const reading = (async () => {
      for (let known = 1; !isDone; ) {
        const found = Object.keys(await reader.read(adapter)).length;
        expect(found).toBeGreaterThanOrEqual(known);
        known = found;
        await new Promise((next) => setTimeout(next));
      }
    })();
    await Promise.all(writing).finally(() => {
      isDone = true;
    });
    await reading;
    const keys = rounds.flatMap((round) => writers.map((_, writer) => keyOf(writer, round)));
    expect(Object.keys(await reader.read(adapter)).sort()).toEqual(["first", ...keys].sort());
  });

  it("take what is new of an op only where it was measured again", async () => {
    const tables = await KeptTables.open(place());
    expect(await tables.add(adapter, { a: "usual", b: "usual" }, false)).toEqual({ a: "usual", b: "usual" });
    expect(await tables.add(adapter, { a: "direct", c: "usual" }, false)).toEqual({
      a: "usual",
      b: "usual",
      c: "usual",
    });
    const again = { a: "direct", b: "usual", c: "usual" };
    expect(await tables.add(adapter, { a: "direct" }, true)).toEqual(again);
    expect(await tables.read(adapter)).toEqual(again);
    expect(await tables.read("another card")).toEqual({});
  });
});

describe("a table", () => {
  it("is one file, and what was damaged does not count", async () => {
    const tables = await KeptTables.open(folder);
    await tables.add(adapter, { a: "usual" }, false);
    const [file] = readdirSync(folder);
    const next = file!.replace(".1.", ".2.");
    writeFileSync(join(folder, next), ""); // as a page leaves it that is closed while it writes
    expect(await tables.read(adapter)).toEqual({ a: "usual" });
    await tables.add(adapter, { b: "usual" }, false);
    expect(readdirSync(folder)).toEqual([file!.replace(".1.", ".3.")]);
    expect(await tables.read(adapter)).toEqual({ a: "usual", b: "usual" });
  });

  it("holds what came while another was about to be put in a place that was free again", async () => {
    vi.stubGlobal("navigator", {});
    const place = privateFolder();
    const others = await KeptTables.open(place);
    await others.add(adapter, { a: "usual" }, false);
    let isFirst = true;
    const getFileHandle: typeof place.getFileHandle = async (name, options) => {
      if (isFirst && name.includes(".2.")) {
        isFirst = false;
        for (const key of ["b", "c"]) await others.add(adapter, { [key]: "usual" }, false);
      }
      return place.getFileHandle(name, options);
    };
    const slow = await KeptTables.open({ ...place, getFileHandle });
    await slow.add(adapter, { d: "usual" }, false);
    expect(isFirst).toBe(false);
    expect(Object.keys(await others.read(adapter))).toEqual(["a", "b", "c", "d"]);
  });

  it("is not there where nothing can be kept", async () => {
    const file = join(folder, "file");
    writeFileSync(file, "");
    const tables = await KeptTables.open(file);
    expect(await tables.add(adapter, { a: "usual" }, false)).toEqual({ a: "usual" });
    expect(await tables.read(adapter)).toEqual({});
  });
});
