// Loading by hub name and by address, from servers of all sorts, with the cache and without.
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Checkpoint } from "../../src/pipeline/checkpoint.js";
import { estimate } from "../../src/pipeline/estimateLazily.js";
import { fetchWeights } from "../../src/pipeline/fetchWeights.js";
import type { CheckpointOptions, LoadOptions, LoadProgress, ModelSource } from "../../src/pipeline/loadOptions.js";
import { openCheckpoint } from "../../src/pipeline/openCheckpoint.js";
import { type ModelCache, openCache } from "../../src/weights/cache.js";
import { hubAddress } from "../../src/weights/hub.js";
import { hubModel } from "../../src/weights/hubName.js";
import { openSafetensors, type StoredTensor } from "../../src/weights/safetensors.js";
import { fromBytes } from "../../src/weights/source.js";
import { streamTensors } from "../../src/weights/stream.js";
import { writeSafetensors } from "../../src/weights/writer.js";
import { diffusersFolder } from "../pipeline/seededModel.js";
import { SeededTask } from "../pipeline/seededTask.js";
import { sendRange, serve, type TestServer } from "./server.js";
import { failure } from "./tiny.js";

/** Files of a tiny model by their path, as far as they are asked for. */
const files = new Map<string, Uint8Array>();
const unet = "unet/diffusion_pytorch_model.safetensors";
let folder: string;
let cache: ModelCache;
let server: TestServer;

type Handler = (request: IncomingMessage, response: ServerResponse, file: Uint8Array, path: string) => void;

beforeAll(async () => {
  const { stored } = await SeededTask.read("text_ddim");
  const { open } = diffusersFolder(stored);
  const paths = ["model_index.json", "scheduler/scheduler_config.json", "tokenizer/merges.txt"];
  for (const part of ["unet", "vae", "text_encoder"]) {
    paths.push(`${part}/config.json`, `${part}/diffusion_pytorch_model.safetensors`);
  }
  for (const path of paths) {
    const source = (await open(path))!;
    files.set(path, await source.read(0, source.size));
  }
});

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "webldm-cache-"));
  cache = openCache(folder);
});

afterEach(async () => {
  await server?.close();
  rmSync(folder, { recursive: true });
});

/** A hub that has one model. */
async function hub(send: Handler = (q, s, file) => sendRange(q, s, file)): Promise<string> {
  server = await serve((request, response) => {
    const path = /^\/(?:owner\/name\/resolve\/main|other)\/(.*)$/.exec(request.url!)?.[1] ?? "";
    const file = files.get(path);
    if (file) send(request, response, file, path);
    else response.writeHead(404).end("no");
  });
  return server.origin;
}

const etag = { etag: '"1"' };

/** Fetches what the cache is to keep, while nobody reads of it. */
const fetchAll = (checkpoint: Checkpoint, options: Pick<LoadOptions, "onProgress" | "signal"> = {}) =>
  fetchWeights(checkpoint, options, async () => ({ dispose: () => undefined }));

/** A file of weights with more bytes at its end, which no model reads, than a transfer may be ahead of who reads it. */
async function withTail(file: Uint8Array): Promise<Uint8Array> {
  const { tensors } = await openSafetensors(fromBytes(file));
  const own = [...tensors.values()].map((tensor) => ({ ...tensor, bytes: file.subarray(tensor.begin, tensor.end) }));
  const tail = { name: "tail.position_ids", dtype: "U8" as const, shape: [2 ** 25], bytes: new Uint8Array(2 ** 25) };
  return writeSafetensors([...own, tail]);
}

/** Runs a test with another file in place of one of the model's. */
async function replaced(path: string, file: Uint8Array, test: () => Promise<void>): Promise<void> {
  const before = files.get(path)!;
  files.set(path, file);
  try {
    await test();
  } finally {
    files.set(path, before);
  }
}

/** Reads tensors as loading does. */
async function readAll(tensors: Iterable<StoredTensor>, signal: AbortSignal | undefined): Promise<void> {
  for await (const _ of streamTensors(tensors, signal ? { signal } : {}));
}

/** What loading does before the weights go to the device. */
async function load(host: string, options: CheckpointOptions & { onProgress?: (p: LoadProgress) => void } = {}) {
  const checkpoint = await openCheckpoint("owner/name", { host, cache, ...options });
  await fetchAll(checkpoint, options);
  return checkpoint;
}

/** The bytes of a tensor of the UNet, as the checkpoint reads them and as they are. */
async function sample(checkpoint: Awaited<ReturnType<typeof openCheckpoint>>) {
  const { source, begin, end } = checkpoint.stored.unet!.get("conv_in.weight")!;
  return [Buffer.from(await source.read(begin, end)), Buffer.from(files.get(unet)!.subarray(begin, end))] as const;
}

/** Breaks off after so many bytes of an answer, however often. */
const breaking =
  (most: number, ranges: boolean): Handler =>
  (request, response, file) => {
    const [, first = "0"] = (ranges && /^bytes=(\d+)-/.exec(request.headers.range ?? "")) || [];
    const last = /-(\d+)$/.exec(request.headers.range ?? "")?.[1];
    const begin = Number(first);
    const end = ranges && last ? Math.min(Number(last) + 1, file.length) : file.length;
    const headers = { "content-length": end - begin, ...etag };
    if (ranges) response.writeHead(206, { ...headers, "content-range": `bytes ${begin}-${end - 1}/${file.length}` });
    else response.writeHead(200, headers);
    const stop = Math.min(begin + most, end);
    response.write(file.subarray(begin, stop), () => {
      if (stop === end) response.end();
      else setTimeout(() => response.destroy(), 5);
    });
  };

let broken = 0;
const servers: Readonly<Record<string, Handler>> = {
  "knows ranges": (q, s, file) => sendRange(q, s, file, etag),
  "ignores ranges": (_, s, file) => s.writeHead(200, { "content-length": file.length }).end(file),
  "does not tell lengths": (_, s, file) => {
    s.write(file.subarray(0, 10));
    s.end(file.subarray(10));
  },
  redirects: (q, s, file, path) => {
    if (q.url!.startsWith("/other/")) sendRange(q, s, file, etag);
    else s.writeHead(302, { location: `/other/${path}` }).end();
  },
  "breaks off and resumes": (q, s, file, path) => {
    if (path === unet) breaking(500_000, true)(q, s, file, path);
    else sendRange(q, s, file, etag);
  },
  "breaks off, ignores ranges and gets further each time": (q, s, file, path) => {
    if (path === unet) breaking(400_000 * ++broken, false)(q, s, file, path);
    else s.writeHead(200, { "content-length": file.length }).end(file);
  },
};

describe("hub names", () => {
  it.each([
    ["owner/name", "owner", "name", undefined],
    ["o-1.x/n_2.0@refs/pr/1", "o-1.x", "n_2.0", "refs/pr/1"],
    ["owner/name@v1.0", "owner", "name", "v1.0"],
  ])("%s", (text, owner, name, revision) => {
    expect(hubModel(text)).toEqual({ owner, name, revision });
  });

  it.each(["name", "./owner/name", "../name", "/owner/name", "owner/name/", "a/b/c", "https://x/y", "owner/name@"])(
    "%s is none",
    (text) => {
      expect(hubModel(text)).toBeUndefined();
    },
  );

  it("stand for addresses", () => {
    const model = { owner: "o", name: "n", revision: "refs/pr/1" };
    expect(hubAddress(model, "https://hub.example.com/")).toBe("https://hub.example.com/o/n/resolve/refs%2Fpr%2F1/");
  });
});

describe.each(Object.entries(servers))("a hub that %s", (_, handler) => {
  it("is asked once: the second load makes no request", async () => {
    const host = await hub(handler);
    const progress: LoadProgress[] = [];
    const first = await load(host, { onProgress: (step) => progress.push(step) });
    const [read, expected] = await sample(first);
    expect(read.equals(expected)).toBe(true);
    const total = progress.at(-1)!.total;
    expect(progress.every((step) => step.total === total && step.loaded <= total)).toBe(true);
    const weights = [...files].filter(([path]) => path.endsWith(".safetensors"));
    expect(progress.at(-1)!.loaded).toBe(weights.reduce((sum, [, file]) => sum + file.length, 0));
    expect(new Set(progress.map(({ file }) => file))).toEqual(new Set(["unet", "vae", "text_encoder"]));

    const asked = server.asked.length;
    const [again] = await sample(await load(host));
    expect(again.equals(expected)).toBe(true);
    expect(server.asked.length).toBe(asked);
    expect(await cache.verify()).toEqual([]);
    expect((await cache.list()).map(({ address }) => address.replace(/.*\/main\//, "")).sort()).toEqual(
      [...files.keys()].sort(),
    );
  });

  it("is read without the cache", async () => {
    const [read, expected] = await sample(await load(await hub(handler), { cache: false }));
    expect(read.equals(expected)).toBe(true);
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe("a hub", () => {
  it("sends weights once, but for their headers", async () => {
    await load(await hub());
    const sent = server.asked.filter(({ url }) => url.endsWith(unet)).map(({ range }) => range);
    expect(sent).toEqual(["bytes=0-65535", `bytes=0-${files.get(unet)!.length - 1}`]);
  });

  it("is asked for all that a folder may have at once", async () => {
    const needed = ["text_encoder/config.json", "tokenizer/merges.txt", "unet/config.json", unet];
    const seen = new Set<string>();
    const answers: (() => void)[] = [];
    const host = await hub((q, s, file, path) => {
      if (path === "model_index.json") return sendRange(q, s, file);
      seen.add(path);
      answers.push(() => sendRange(q, s, file));
      if (needed.every((name) => seen.has(name))) for (const answer of answers.splice(0)) answer();
      return undefined;
    });
    await openCheckpoint("owner/name", { host, cache });
  });

  it("sends weights to those who read them while they come, once, and all files at the same time", async () => {
    const begun = new Set<string>();
    const answers: (() => void)[] = [];
    const host = await hub((q, s, file, path) => {
      const header = !path.endsWith(".safetensors") || q.headers.range?.endsWith("-65535");
      if (header) return sendRange(q, s, file, etag);
      begun.add(path);
      answers.push(() => sendRange(q, s, file, etag));
      if (begun.size === 3) for (const answer of answers.splice(0)) answer();
      return undefined;
    });
    const checkpoint = await openCheckpoint("owner/name", { host, cache });
    const tensors = Object.values(checkpoint.stored).flatMap((part) => [...part.values()]);
    let equal = 0;
    await fetchWeights(checkpoint, {}, async ({ signal }) => {
      for await (const { tensor, offset, bytes } of streamTensors(tensors, { pieceBytes: 2 ** 16, signal: signal! })) {
        const file = files.get(tensor.source.name.replace(/.*\/main\//, ""))!;
        const begin = tensor.begin + offset;
        if (Buffer.compare(bytes, file.subarray(begin, begin + bytes.length)) === 0) equal += bytes.length;
      }
      return { dispose: () => undefined };
    });
    expect(equal).toBe(tensors.reduce((sum, { begin, end }) => sum + end - begin, 0));
    for (const path of begun) expect(server.asked.filter(({ url }) => url.endsWith(`/${path}`))).toHaveLength(2);
    expect(await cache.verify()).toEqual([]);
  });

  it("sends weights once to those who read them in another order", async () => {
    const host = await hub((q, s, file) => sendRange(q, s, file, etag));
    const checkpoint = await openCheckpoint("owner/name", { host, cache });
    const { source } = checkpoint.stored.unet!.get("conv_in.weight")!;
    const file = files.get(unet)!;
    await fetchWeights(checkpoint, {}, async () => {
      for (const begin of [file.length - 100, 0, 200_000]) {
        const bytes = await source.read(begin, begin + 100);
        expect(Buffer.compare(bytes, file.subarray(begin, begin + 100))).toBe(0);
      }
      return { dispose: () => undefined };
    });
    expect(server.asked.filter(({ url }) => url.endsWith(unet))).toHaveLength(2);
  });

  it("is let go when those who read fail, and what they made is disposed of when the hub does", async () => {
    let closed = false;
    const host = await hub((q, s, file, path) => {
      if (path !== unet || q.headers.range?.endsWith("-65535")) return sendRange(q, s, file, etag);
      const from = Number(/^bytes=(\d+)-/.exec(q.headers.range ?? "")?.[1]); // the second attempt goes on where the first ended
      const range = { "content-range": `bytes ${from}-${file.length - 1}/${file.length}`, ...etag };
      s.writeHead(206, { ...range, "content-length": file.length - from }).write(file.subarray(from, from + 1000));
      s.on("close", () => (closed = true));
      return undefined;
    });
    const checkpoint = await openCheckpoint("owner/name", { host, cache });
    const { source } = checkpoint.stored.unet!.get("conv_in.weight")!;
    const broken = fetchWeights(checkpoint, {}, async () => {
      await source.read(0, 1000); // the transfer is under way
      throw new Error("no memory");
    });
    expect(await failure(broken)).toBe("Error: no memory");
    await expect.poll(() => closed).toBe(true);

    const controller = new AbortController();
    let disposed = 0;
    const late = fetchWeights(checkpoint, { signal: controller.signal }, async () => {
      setTimeout(() => controller.abort(new Error("enough")), 20);
      return { dispose: () => disposed++ };
    });
    expect([await failure(late), disposed]).toEqual(["Error: enough", 1]);
  });

  it("sends weights once, one after the other, to two who load one opened model at once", async () => {
    await replaced(unet, await withTail(files.get(unet)!), async () => {
      const host = await hub((q, s, file) => sendRange(q, s, file, etag));
      const checkpoint = await openCheckpoint("owner/name", { host, cache });
      const loading = () =>
        fetchWeights(checkpoint, {}, async ({ signal }) => {
          await readAll(checkpoint.stored.unet!.values(), signal);
          return { dispose: () => undefined };
        });
      await Promise.all([loading(), loading()]);
      expect(server.asked.filter(({ url }) => url.endsWith(unet))).toHaveLength(2);
    });
  });

  it("sends weights to one whose load waited for another of the same opened model, which failed", async () => {
    const host = await hub((q, s, file) => sendRange(q, s, file, etag));
    const checkpoint = await openCheckpoint("owner/name", { host, cache });
    const first = fetchWeights(checkpoint, {}, () => Promise.reject(new Error("no memory")));
    const second = fetchWeights(checkpoint, {}, async ({ signal }) => {
      await readAll(checkpoint.stored.unet!.values(), signal);
      return { dispose: () => undefined };
    });
    expect(await failure(first)).toBe("Error: no memory");
    await second;
    expect(await cache.list()).toHaveLength(files.size);
  });

  it("sends the rest of a file that nobody reads while another is read", async () => {
    const text = "text_encoder/diffusion_pytorch_model.safetensors";
    await replaced(text, await withTail(files.get(text)!), async () => {
      // Another page may hold the UNet until it gets the text encoder from this one.
      const host = await hub(async (q, s, file, path) => {
        const header = q.headers.range?.endsWith("-65535");
        if (path === unet && !header)
          await expect
            .poll(async () => cache.list())
            .toContainEqual(expect.objectContaining({ address: expect.stringContaining(text) }));
        sendRange(q, s, file, etag);
      });
      const checkpoint = await openCheckpoint("owner/name", { host, cache });
      const { text_encoder, unet: stored } = checkpoint.stored;
      const needed = [...text_encoder!.values()].filter(({ name }) => !name.startsWith("tail."));
      await fetchWeights(checkpoint, {}, async ({ signal }) => {
        await readAll([...needed, ...stored!.values()], signal);
        return { dispose: () => undefined };
      });
    });
  });

  it("makes progress in what is still to come alone, and in what another brought meanwhile", async () => {
    let alive = false;
    const host = await hub((q, s, file, path) => {
      if (alive || path !== unet || q.headers.range?.endsWith("-65535")) sendRange(q, s, file, etag);
      // When all others are there.
      else setTimeout(() => s.writeHead(404).end(), 300);
    });
    const last = async (checkpoint: Checkpoint): Promise<number[]> => {
      let [loaded, total] = [0, 0];
      await fetchAll(checkpoint, { onProgress: (step) => ({ loaded, total } = step) }).catch(() => undefined);
      return [loaded, total];
    };
    const other = await openCheckpoint("owner/name", { host, cache: openCache(folder) });
    const checkpoint = await openCheckpoint("owner/name", { host, cache });
    const [before, whole] = (await last(checkpoint)) as [number, number];
    expect(await cache.list()).toHaveLength(files.size - 1);
    alive = true;
    const size = files.get(unet)!.length;
    expect(await last(checkpoint)).toEqual([size, whole - before]);
    expect(await last(other)).toEqual([before + size, whole]);
  });

  it("is known to send whole files to the cache, and else what is needed, of a part beside a model as well", async () => {
    const host = await hub((q, s, file) => sendRange(q, s, file, etag));
    const download = async (options: CheckpointOptions, source: ModelSource = "owner/name") =>
      (await estimate(source, { host, ...options })).download;
    const local = {
      name: "model",
      open: async (path: string) => {
        const file = files.get(path);
        return file && fromBytes(file, path);
      },
    };
    const vae = "vae/diffusion_pytorch_model.safetensors";
    const weights = [...files].filter(([path]) => path.endsWith(".safetensors"));
    const whole = weights.reduce((sum, [, { length }]) => sum + length, 0);
    const needed = await download({}, local);
    expect(needed).toBeLessThan(whole);
    expect(await download({ cache: false })).toBe(needed);
    expect(await download({ cache: { ...cache, files: () => Promise.reject(new Error("no place")) } })).toBe(needed);
    expect(await download({ cache })).toBe(whole);

    const { tensors } = await openSafetensors(fromBytes(files.get(vae)!));
    const ofDecoder = [...tensors.values()].filter(({ name }) => !/^(encoder|quant_conv)\./.test(name));
    const own = needed - ofDecoder.reduce((sum, { begin, end }) => sum + end - begin, 0);
    const beside = { vae: `${host}/owner/name/resolve/main/vae/`, cache };
    expect(await download(beside, local)).toBe(own + files.get(vae)!.length);
    await load(host);
    expect(await download({ cache })).toBe(0);
    expect(await download(beside, local)).toBe(own);
  });

  it("gets the token of gated models, and says what may be wrong without", async () => {
    const host = await hub((q, s, file) => {
      if (q.headers.authorization === "Bearer secret") sendRange(q, s, file);
      else s.writeHead(401).end();
    });
    expect(await failure(load(host))).toBe(
      `WebldmError: owner/name: ${host}/owner/name/resolve/main/model_index.json: the server answered 401, expected 200 or 206: it may be gated (then give a token), or there is none; for a folder beside the page write ./owner/name`,
    );
    await load(host, { token: "secret" });
  });

  it("is told the token alone, not who it redirects to", async () => {
    const told: string[] = [];
    const other = await serve((request, response) => {
      told.push(request.headers.authorization ?? "nothing");
      sendRange(request, response, files.get(request.url!.slice(1))!, etag);
    });
    const host = await hub((q, s, _, path) => {
      told.push(q.headers.authorization ?? "nothing");
      s.writeHead(302, { location: `${other.origin}/${path}` }).end();
    });
    try {
      await openCheckpoint("owner/name", { host, cache, token: "secret" });
    } finally {
      await other.close();
    }
    expect(told.slice(0, 2)).toEqual(["Bearer secret", "nothing"]);
  });

  it("is let go when the checkpoint is closed, or the model does not fit", async () => {
    let [opened, closed] = [0, 0];
    const pending = new Set<string>();
    const host = await hub((_, s, file, path) => {
      s.writeHead(200, { "content-length": file.length, ...etag });
      if (!path.endsWith(".safetensors")) return void s.end(file);
      // More than the header, and then silence.
      s.write(file.subarray(0, file.length - 1));
      opened++;
      pending.add(path);
      s.on("close", () => {
        closed++;
        pending.delete(path);
      });
      return undefined;
    });
    const checkpoint = await openCheckpoint("owner/name", { host, cache: false });
    expect([opened, closed]).toEqual([3, 0]);
    checkpoint.close?.();
    await expect.poll(() => closed).toBe(3);

    const config = files.get("unet/config.json")!;
    const wrong = new TextDecoder().decode(config).replace('"cross_attention_dim":', '"cross_attention_dim":1');
    files.set("unet/config.json", new TextEncoder().encode(wrong));
    try {
      expect(await failure(openCheckpoint("owner/name", { host, cache: false }))).toMatch(/^WebldmError/);
      await expect.poll(() => pending.size).toBe(0);
    } finally {
      files.set("unet/config.json", config);
    }
  });

  it("fails clearly where it breaks off for good, and goes on from there the next time", async () => {
    let alive = false;
    const host = await hub((q, s, file, path) => {
      const from = Number(/^bytes=(\d+)-/.exec(q.headers.range ?? "")?.[1] ?? 0);
      const header = q.headers.range?.endsWith("-65535");
      if (path !== unet || header || alive) sendRange(q, s, file, etag);
      else if (from >= 100_000) s.writeHead(503).end();
      else breaking(100_000 - from, true)(q, s, file, path);
    });
    const address = `${host}/owner/name/resolve/main/${unet}`;
    expect(await failure(load(host))).toBe(
      `WebldmError: ${address}: the transfer broke off after 100000 bytes (5 tries): the server answered 503`,
    );
    expect((await cache.list()).some((entry) => entry.address === address)).toBe(false);
    alive = true;
    server.asked.length = 0;
    const [read, expected] = await sample(await load(host));
    expect(read.equals(expected)).toBe(true);
    expect(server.asked.filter(({ url }) => url.endsWith(unet)).map(({ range }) => range)).toEqual([
      "bytes=0-65535",
      `bytes=100000-${files.get(unet)!.length - 1}`,
    ]);
    expect(await cache.verify()).toEqual([]);
  });

  it("begins anew where the file has changed since", async () => {
    let version = 1;
    const host = await hub((q, s, file, path) => {
      const header = q.headers.range?.endsWith("-65535");
      const from = Number(/^bytes=(\d+)-/.exec(q.headers.range ?? "")?.[1] ?? 0);
      if (path !== unet || header || version === 2) sendRange(q, s, file, { etag: `"${version}"` });
      else if (from > 0) s.writeHead(503).end();
      else
        breaking(1000, true)(
          q,
          s,
          file.map((byte) => byte ^ 1),
          path,
        ); // has the ETag "1"
    });
    expect(await failure(load(host))).toContain("the transfer broke off after 1000 bytes");
    version = 2;
    const [read, expected] = await sample(await load(host));
    expect(read.equals(expected)).toBe(true);
  });

  it("is let go when loading is aborted", async () => {
    const closed: string[] = [];
    const controller = new AbortController();
    const host = await hub((q, s, file, path) => {
      const header = q.headers.range?.endsWith("-65535");
      if (path !== unet || header) return sendRange(q, s, file, etag);
      s.writeHead(206, { "content-range": `bytes 0-${file.length - 1}/${file.length}`, "content-length": file.length });
      s.write(file.subarray(0, 1000));
      s.on("close", () => closed.push(path));
      setTimeout(() => controller.abort(new Error("enough")), 20);
      return undefined;
    });
    expect(await failure(load(host, { signal: controller.signal }))).toBe("Error: enough");
    await expect.poll(() => closed).toEqual([unet]);
    expect(await failure(load(host, { signal: AbortSignal.abort() }))).toMatch(/^AbortError/);
  });

  it("may name a revision and another host", async () => {
    const seen: string[] = [];
    server = await serve((request, response) => {
      seen.push(request.url!);
      response.writeHead(404).end();
    });
    await failure(openCheckpoint("owner/name@refs/pr/1", { host: `${server.origin}/sub/`, cache }));
    expect(seen).toEqual(["/sub/owner/name/resolve/refs%2Fpr%2F1/model_index.json"]);
    expect(await cache.list()).toEqual([]);
    expect(readdirSync(folder)).toEqual([]); // what is missing from a model that does not load is not kept in mind
  });
});

describe("an address", () => {
  it("is kept only where that is asked for", async () => {
    const origin = await hub();
    const address = `${origin}/owner/name/resolve/main/`;
    await fetchAll(await openCheckpoint(address));
    expect(readdirSync(folder)).toEqual([]);
    await fetchAll(await openCheckpoint(address, { cache }));
    const asked = server.asked.length;
    await fetchAll(await openCheckpoint(address, { cache }));
    expect(server.asked.length).toBe(asked);
  });

  it("may be relative to another than the page's", async () => {
    const base = `${await hub()}/owner/name/`;
    for (const source of ["resolve/main/", "./resolve/main"]) {
      for (const kept of [false, cache])
        expect((await openCheckpoint(source, { base, cache: kept })).config).toBeDefined();
    }
    expect((await cache.list()).every(({ address }) => address.startsWith(base))).toBe(true);
  });

  it("of a file is told from a hub name", async () => {
    await hub();
    expect(await failure(openCheckpoint("models/ldm.ckpt"))).toContain("models/ldm.ckpt: the transfer failed");
    expect(await failure(openCheckpoint("models/ldm.ckpt", { cache }))).toContain(
      "expected an address such as https://",
    );
  });
});

describe("the cache", () => {
  it("lists, finds damage, and deletes by address, folder and name", async () => {
    const host = await hub();
    await load(host);
    const all = await cache.list();
    const entry = all.find(({ address }) => address.endsWith(unet))!;
    const { createHash } = await import("node:crypto");
    expect(entry).toEqual({
      address: `${host}/owner/name/resolve/main/${unet}`,
      bytes: files.get(unet)!.length,
      sha256: createHash("sha256").update(files.get(unet)!).digest("hex"),
      when: expect.any(Date),
    });
    expect(Date.now() - entry.when.getTime()).toBeLessThan(60_000);
    expect(await cache.list("owner/name")).toEqual(all);
    expect(await cache.list("owner/name@main")).toEqual(all);
    expect(await cache.list("owner/name@other")).toEqual([]);
    expect(await cache.list("owner/nam")).toEqual([]);
    const inFolder = await cache.list(`${host}/owner/name/resolve/main/unet`);
    expect(inFolder.map(({ address }) => address.replace(/.*\//, "")).sort()).toEqual([
      "config.json",
      "diffusion_pytorch_model.safetensors",
    ]);

    const part = readdirSync(folder).find((name) => !name.endsWith(".json"))!;
    const damaged = join(folder, part);
    writeFileSync(damaged, new Uint8Array(2 ** 20));
    expect(await cache.verify()).toHaveLength(1);
    writeFileSync(damaged, "x"); // too short: taken for absent
    const asked = server.asked.length;
    await load(host);
    expect(server.asked.length).toBeGreaterThan(asked);
    expect(await cache.verify()).toEqual([]);

    await cache.delete(entry.address);
    expect(await cache.list()).toHaveLength(all.length - 1);
    await cache.delete("owner/name");
    expect(await cache.list()).toEqual([]);
    expect(readdirSync(folder)).toEqual([]);
  });

  it("fetches once what two ask for at the same time", async () => {
    const host = await hub();
    await Promise.all([load(host), load(host)]);
    const sent = server.asked.filter(({ url, range }) => url.endsWith(unet) && !range?.endsWith("-65535"));
    expect(sent).toHaveLength(1);
  });

  it("lets a model be opened, and its loading be aborted, while another load fetches it", async () => {
    let held: (() => void) | undefined;
    const host = await hub((q, s, file, path) => {
      if (path !== unet || q.headers.range?.endsWith("-65535")) sendRange(q, s, file, etag);
      else held = () => sendRange(q, s, file, etag);
    });
    const first = load(host);
    await expect.poll(() => held).toBeDefined();
    const checkpoint = await openCheckpoint("owner/name", { host, cache });
    const controller = new AbortController();
    const second = fetchAll(checkpoint, { signal: controller.signal });
    setTimeout(() => controller.abort(new Error("enough")), 20);
    expect(await failure(second)).toBe("Error: enough");
    held!();
    const [read, expected] = await sample(await first);
    expect(read.equals(expected)).toBe(true);
  });

  it("stands several writers that know nothing of each other", async () => {
    const host = await hub((q, s, file) => sendRange(q, s, file, etag));
    const others = [openCache(folder), openCache(folder), openCache(folder)] as const;
    const [other] = others;
    await Promise.all([load(host), ...others.map((own) => load(host, { cache: own }))]);
    expect(await cache.verify()).toEqual([]);
    expect(await other.list()).toHaveLength(files.size);
    await load(host, { cache: other });
    const [read, expected] = await sample(await load(host));
    expect(read.equals(expected)).toBe(true);
  });

  it("says where it cannot be written", async () => {
    writeFileSync(join(folder, "file"), "");
    const host = await hub();
    const error = await failure(load(host, { cache: openCache(join(folder, "file")) }));
    expect(error).toMatch(/^WebldmError: cache: .* cannot be written to: /);
  });
});
