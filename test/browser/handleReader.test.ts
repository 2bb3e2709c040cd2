// How browsers read the cache's files: in a worker where they can, else as blobs, with the same bytes and errors.
import type { Browser, Page } from "puppeteer";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { findChrome, launchChrome } from "../harness/chrome.js";
import type { TestServer } from "../weights/server.js";
import { type Differences, openHandlePage, servePages } from "./handlePage.js";

const program = await findChrome();
const reason = program ? "" : "no Chrome or Chromium on this machine; set CHROME_PATH to one";

/** Shorter reads are of blobs in any case. */
const least = 2 ** 18;

/** In the worker: such files are locked, are not of the private file system, and so on. */
const opening = (body: string) =>
  `const opens = FileSystemFileHandle.prototype.createSyncAccessHandle;
  FileSystemFileHandle.prototype.createSyncAccessHandle = async function (options) { ${body} };`;
const failing = (name: string) => `throw new DOMException("as tested", "${name}");`;
const asEver = "return opens.call(this, options);";

describe.skipIf(!program)(`files of the cache in a browser${reason && ` [${reason}]`}`, () => {
  let server: TestServer;
  let browser: Browser;
  const pages: Page[] = [];

  beforeAll(async () => {
    server = await servePages();
    browser = await launchChrome(program);
  });

  afterEach(async () => {
    await Promise.all(pages.splice(0).map((page) => page.close()));
  });

  afterAll(async () => {
    await browser?.close();
    await server?.close();
  });

  const open = async (differences?: Differences): Promise<Page> => {
    const page = await openHandlePage(browser, server.origin, differences);
    pages.push(page);
    return page;
  };

  /** Reads ranges, all at once and with memory of all kinds, and says which differ from what the blob says. */
  const compare = (page: Page) =>
    page.evaluate(async () => {
      const sizes = [1_500_001, 700_000, 900_003];
      const { cache, whole, address } = await window.stored("compared", sizes);
      const source = (await cache.open(address))!;
      const [first, second, size] = [1_500_001, 2_200_001, whole.size];
      const ranges = [
        [0, 0],
        [first, first],
        [size, size],
        [0, 1],
        [size - 1, size],
        [3, 300_003],
        [12_345, 1_012_346],
        [first, second],
        [first - 5, first + 7],
        [first - 400_001, first + 500_003],
        [first - 3, second + 300_000],
        [0, size],
      ] as const;
      const memories = [() => undefined, (n: number) => new ArrayBuffer(n), (n: number) => new ArrayBuffer(n + 4097)];
      const cases = ranges.flatMap(([begin, end]) =>
        memories.map((make) => ({ begin, end, into: make(Math.max(1, end - begin)) })),
      );
      const reads = await window.told(cases.map(({ begin, end, into }) => source.read(begin, end, undefined, into)));
      const { workers, messages, addresses } = window.seen;
      const longest = Math.max(...window.seen.slices);
      const wrong: string[] = [];
      const compared = window.files.fromBlob(whole);
      for (const [i, { begin, end, into }] of cases.entries()) {
        const [is, should] = [reads[i]!, await compared.read(begin, end)];
        const same = is.length === should.length && should.every((value, j) => value === is[j]);
        const lies = typeof is !== "string" && into ? is.byteOffset === 0 && is.buffer.byteLength >= is.length : true;
        if (!same || !lies) wrong.push(`${begin} to ${end}, memory of ${into?.byteLength}: ${String(is).slice(0, 99)}`);
      }
      const beyond = await window.told([source.read(0, size + 1), source.read(300_000, 0)]);
      const into = new ArrayBuffer(500_000);
      const { buffer } = await source.read(0, 400_000, undefined, into);
      const memory = into.byteLength === 0 ? "moved" : buffer === into ? "filled" : "left";
      return { wrong, size: source.size, beyond: beyond.map(String), workers, messages, addresses, longest, memory };
    });

  const equal = {
    wrong: [],
    size: 3_100_004,
    beyond: [
      "WebldmError: https://example.com/compared: expected a range within its 3100004 bytes, got 0 to 3100005",
      "WebldmError: https://example.com/compared: expected a range within its 3100004 bytes, got 300000 to 0",
    ],
  };

  it("come from one worker, byte for byte as from blobs", async () => {
    const { workers, messages, addresses, longest, ...rest } = await compare(await open());
    expect(rest).toEqual({ ...equal, memory: "moved" });
    expect(workers).toBe(1);
    expect(messages).toBe(30); // of parts of ranges, those that are long
    expect(addresses).toBe(0); // revoked
    expect(longest).toBeLessThan(least);
  });

  it("come whole where the browser reads less than it is asked for", async () => {
    const before = `const { prototype } = FileSystemSyncAccessHandle;
      const { read } = prototype;
      prototype.read = function (view, at) { return read.call(this, view.subarray(0, 100_003), at); };`;
    const { workers, longest, ...rest } = await compare(await open({ before }));
    expect(rest).toMatchObject({ ...equal, memory: "moved" });
    expect(workers).toBe(1);
    expect(longest).toBeLessThan(least);
  });

  it.each<[string, Differences]>([
    ["there are no workers", { page: "delete window.Worker" }],
    [
      "workers are refused",
      {
        page: `const refused = () => { window.seen.workers++; throw new DOMException("no", "SecurityError"); };
          Worker = class { constructor() { refused(); } };`,
      },
    ],
    ["blobs have no addresses", { page: `URL.createObjectURL = () => { throw new TypeError("no"); }` }],
    ["a policy forbids the worker", { policy: "worker-src 'self'" }],
    ["the worker does not start", { before: "throw new Error('as tested');" }],
    [
      "handles cannot be sent",
      { page: `Worker.prototype.postMessage = () => { throw new DOMException("", "DataCloneError"); }` },
    ],
    ["handles do not arrive", { after: "onmessage = () => onmessageerror();" }],
    ["workers cannot open files", { before: "delete FileSystemFileHandle.prototype.createSyncAccessHandle;" }],
    ["the folder was picked", { before: opening(failing("InvalidStateError")) }],
    ["workers may not open files", { before: opening(failing("NotAllowedError")) }],
  ])("come from blobs where %s, once and for all", async (_, differences) => {
    const { workers, longest, memory, wrong, size, beyond } = await compare(await open(differences));
    expect({ wrong, size, beyond }).toEqual(equal);
    expect(workers).toBeLessThan(2);
    expect(longest).toBeGreaterThan(least);
    expect(memory).toBe("filled");
  });

  it.each<[string, Differences]>([
    ["another has locked the files", { before: opening(failing("NoModificationAllowedError")) }],
    ["files seem to be gone", { before: opening(failing("NotFoundError")) }],
    ["files seem to end", { before: `FileSystemSyncAccessHandle.prototype.read = () => 0;` }],
  ])("come from blobs where %s, and the worker is asked again", async (_, differences) => {
    const { workers, longest, memory, wrong, size, beyond } = await compare(await open(differences));
    expect({ wrong, size, beyond }).toEqual(equal);
    expect(workers).toBe(1);
    expect(longest).toBeGreaterThan(least);
    expect(memory).toBe("moved");
  });

  it("of a folder that was picked are not asked of the worker again, others are", async () => {
    const page = await open({
      before: opening(`if (this.name.includes("picked")) ${failing("InvalidStateError")} ${asEver}`),
    });
    const steps = await page.evaluate(async () => {
      const [picked, own] = [await window.stored("picked", [1_000_000]), await window.stored("own", [1_000_000])];
      const steps: string[] = [];
      for (const { cache, address, whole } of [picked, picked, own, picked]) {
        const before = window.seen.messages;
        const reader = await window.readerOf((await cache.open(address))!, whole);
        steps.push(`${reader}, ${window.seen.messages - before} asked`);
      }
      return steps;
    });
    expect(steps).toEqual(["blob, 1 asked", "blob, 0 asked", "worker, 1 asked", "blob, 0 asked"]);
  });

  it.each([
    ["worker", ""],
    ["blob", "throw new Error('as tested');"],
  ])("come from a %s inside of a worker too, which hears of no error", async (expected, before) => {
    const page = await open();
    const result = await page.evaluate(async (before) => {
      const { folder, address, whole } = await window.stored("nested", [1_000_000, 500_000]);
      const outer = new Worker("/nested.js", { type: "module" });
      let errors = 0;
      outer.onerror = () => errors++;
      const answer = await new Promise<MessageEvent<{ reader: string; bytes: Uint8Array }>>((resolve) => {
        outer.onmessage = resolve;
        outer.postMessage({ folder, address, before });
      });
      await new Promise((resolve) => setTimeout(resolve, 200)); // an error that comes late
      const { reader, bytes } = answer.data;
      const content = new Uint8Array(await whole.arrayBuffer());
      return { reader, same: String(bytes) === String(content), errors };
    }, before);
    expect(result).toEqual({ reader: expected, same: true, errors: 0 });
  });

  it("come from blobs while another has locked them, then from the worker again", async () => {
    const page = await open();
    const readers = await page.evaluate(async () => {
      const { cache, address, parts, whole } = await window.stored("locked", [1_000_000]);
      const source = (await cache.open(address))!;
      const other = new Worker("/lock.js");
      const tell = (message: FileSystemFileHandle | "end") =>
        new Promise((resolve) => {
          other.onmessage = resolve;
          other.postMessage(message);
        });
      await tell(parts[0]!);
      const readers = [await window.readerOf(source, whole)];
      await tell("end");
      return [...readers, await window.readerOf(source, whole)];
    });
    expect(readers).toEqual(["blob", "worker"]);
  });

  it.each(["gone", "shorter", "rewritten"])("that are %s fail as blobs do", async (what) => {
    const page = await open();
    const [is, should, after] = await page.evaluate(async (what) => {
      const { cache, address, folder, parts, whole } = await window.stored("changed", [1_000_000]);
      const source = (await cache.open(address))!;
      const blob = window.files.fromBlob(await parts[0]!.getFile(), parts[0]!.name);
      if (what === "gone") await folder.removeEntry(parts[0]!.name);
      else {
        const stream = await parts[0]!.createWritable({ keepExistingData: true });
        await stream.truncate(what === "shorter" ? 400_000 : 0);
        if (what === "rewritten") await stream.write(new Uint8Array(999_999));
        await stream.close();
      }
      const range = [200_000, 1_000_000] as const;
      const into = () => new ArrayBuffer(800_000);
      const both = [source, source, blob].map((one, i) => one.read(...range, undefined, i === 1 ? into() : undefined));
      const [first, second, third] = await window.told(both);
      const other = await window.stored("whole", [1_000_000]);
      const after = await window.readerOf((await other.cache.open(other.address))!, other.whole);
      return [[first, second].map(String), String(third), after, whole.size] as const;
    }, what);
    expect(should).toMatch(/^WebldmError: \w+\.changed\.0: could not be read: /);
    expect(is).toEqual([should, should]);
    expect(after).toBe("worker"); // one bad file is no reason to leave it
  });

  it.each([
    ["answers", asEver],
    ["fails", failing("NotFoundError")],
  ])("stop at once where they are aborted, though the worker %s later", async (_, end) => {
    const page = await open({ before: opening(`await new Promise((done) => setTimeout(done, 500)); ${end}`) });
    const { order, left } = await page.evaluate(async () => {
      const { cache, address } = await window.stored("aborted", [1_000_000]);
      const source = (await cache.open(address))!;
      const order: string[] = [];
      const read = (name: string, signal?: AbortSignal, into?: ArrayBuffer) =>
        source.read(0, 1_000_000, signal, into).then(
          (bytes) => void order.push(`${name}: ${bytes.length}`),
          (error: unknown) => void order.push(`${name}: ${error}`),
        );
      const controller = new AbortController();
      const reads = [
        read("whole"),
        read("one", controller.signal),
        read("other", controller.signal, new ArrayBuffer(2e6)),
      ];
      setTimeout(() => controller.abort("enough"));
      await reads[1];
      await reads[2];
      const before = window.seen.messages;
      await read("later", controller.signal, new ArrayBuffer(2e6));
      const left = window.seen.messages - before;
      await reads[0];
      await new Promise((resolve) => setTimeout(resolve, 1200)); // late answers, which nobody awaits, come by then
      return { order, left };
    });
    const whole = end === asEver ? "whole: 1000000" : expect.stringMatching(/^whole: 1000000$/);
    expect(order).toEqual(["one: enough", "other: enough", "later: enough", whole]);
    expect(left).toBe(0);
  });

  it.each<[string, number[]]>([
    ["one part", [6_000_000]],
    ["two parts", [3_000_000, 3_000_000]],
  ])("can be deleted while they are read, in %s", async (_, sizes) => {
    const page = await open();
    const { readers, wrong, errors, left } = await page.evaluate(async (sizes) => {
      const { cache, address, folder, whole } = await window.stored("deleted", sizes);
      const source = (await cache.open(address))!;
      const readers = [await window.readerOf(source, whole)];
      const content = new Uint8Array(await whole.arrayBuffer());
      const errors: string[] = [];
      let wrong = 0;
      const lane = async () => {
        let into = new ArrayBuffer(1_000_000);
        for (let begin = 0; ; begin = (begin + 1_000_000) % 6_000_000) {
          const [bytes] = await window.told([source.read(begin, begin + 1_000_000, undefined, into)]);
          if (typeof bytes !== "object") return void errors.push(bytes!);
          if (bytes.some((byte, i) => byte !== content[begin + i])) wrong++;
          into = bytes.buffer as ArrayBuffer;
        }
      };
      const lanes = [lane(), lane(), lane()];
      await new Promise((resolve) => setTimeout(resolve, 200));
      await cache.delete();
      const left: string[] = [];
      for await (const name of folder.keys()) left.push(name);
      await Promise.all(lanes);
      return { readers, wrong, errors, left };
    }, sizes);
    expect(readers).toEqual(["worker"]);
    expect(left).toEqual([]);
    expect(wrong).toBe(0);
    const gone = expect.stringMatching(/^WebldmError: \w+\.deleted\.[01]: could not be read: A requested file/);
    expect(errors).toEqual([gone, gone, gone]);
  });

  it("are locked for a moment after a read, which their deletion waits for", async () => {
    const page = await open();
    const { locked, left, anew } = await page.evaluate(async () => {
      const { cache, address, folder, parts } = await window.stored("resting", [1_000_000, 1_000_000, 1_000_000]);
      const source = (await cache.open(address))!;
      const locked: unknown[] = [];
      for (const [i, { name }] of parts.entries()) {
        await source.read(i * 1_000_000, (i + 1) * 1_000_000);
        locked.push(await folder.removeEntry(name).catch((error: Error) => error.name));
      }
      await cache.delete();
      const left: string[] = [];
      for await (const name of folder.keys()) left.push(name);
      const from = window.files.fromBlob(new Blob([new Uint8Array(2_000_000).fill(7)]));
      const file = { url: address, init: undefined, size: from.size, etag: '"2"' };
      const anew = await window.readerOf(
        await cache.fetch(file, { from }),
        new Blob([await from.read(0, from.size)] as BlobPart[]),
      );
      return { locked, left, anew };
    });
    expect(locked).toContain("NoModificationAllowedError"); // else this test shows nothing; a slow page may miss one
    expect(left).toEqual([]);
    expect(anew).toBe("worker");
  });

  it("leave no worker behind when nothing was read for a while", async () => {
    const page = await open();
    const reader = await page.evaluateHandle(async () => {
      const { cache, address, whole } = await window.stored("rested", [1_000_000]);
      const source = (await cache.open(address))!;
      return async () => `${await window.readerOf(source, whole)} ${window.seen.workers}`;
    });
    expect(await reader.evaluate((read) => read())).toBe("worker 1");
    expect(page.workers()).toHaveLength(1);
    await expect.poll(() => page.workers().length, { interval: 250 }).toBe(0);
    expect(await reader.evaluate((read) => read())).toBe("worker 2");
  });
});
