import type { IncomingMessage, ServerResponse } from "node:http";
import { gzipSync } from "node:zlib";
import { afterEach, describe, expect, it } from "vitest";
import { openSafetensors } from "../../src/weights/safetensors.js";
import { fromUrl, openUrl } from "../../src/weights/source.js";
import { sendRange, serve, type TestServer } from "./server.js";
import { failure, sampleFile } from "./tiny.js";

const large = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 31 + (i >> 8)) & 255);
let server: TestServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

async function at(handler: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  server = await serve(handler);
  return `${server.origin}/file`;
}

async function expectLarge(url: string): Promise<void> {
  const source = await fromUrl(url);
  expect(source.size).toBe(large.length);
  const ranges: [number, number][] = [
    [0, 8],
    [65530, 65540],
    [299_990, 300_000],
    [100, 200_000],
    [5, 5],
    [300_000, 300_000],
  ];
  for (const [begin, end] of ranges) {
    expect(Buffer.compare(await source.read(begin, end), large.subarray(begin, end)), `${begin}`).toBe(0);
  }
  const both = await Promise.all([source.read(250_000, 250_010), source.read(70_000, 70_010)]);
  expect(both).toEqual([large.slice(250_000, 250_010), large.slice(70_000, 70_010)]);
  expect(await failure(source.read(0, 300_001))).toBe(
    `WebldmError: ${url}: expected a range within its 300000 bytes, got 0 to 300001`,
  );
  expect(await failure(source.read(-1, 3))).toContain("got -1 to 3");
}

describe("a server with ranges", () => {
  it("is read in ranges", async () => {
    const url = await at((request, response) => sendRange(request, response, large));
    await expectLarge(url);
    expect(server!.asked.every(({ range }) => range)).toBe(true);
  });

  it("needs one request for a small file", async () => {
    const file = sampleFile();
    const { tensors } = await openSafetensors(await fromUrl(await at((q, s) => sendRange(q, s, file))));
    const matrix = tensors.get("matrix")!;
    expect(await matrix.source.read(matrix.begin, matrix.end)).toEqual(file.slice(matrix.begin, matrix.end));
    expect(server!.asked).toHaveLength(1);
  });

  it("may hide Content-Range", async () => {
    const url = await at((request, response) => {
      const [, first, last] = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? "") ?? [];
      if (first) response.writeHead(206).end(large.subarray(Number(first), Number(last) + 1));
      else sendRange(request, response, large);
    });
    await expectLarge(url);
    expect(server!.asked.filter(({ method }) => method === "HEAD")).toHaveLength(1);
  });

  it("may have an empty file", async () => {
    const source = await fromUrl(await at((request, response) => sendRange(request, response, new Uint8Array(0))));
    expect(source.size).toBe(0);
    expect(await source.read(0, 0)).toHaveLength(0);
  });

  it("gets the headers of the caller", async () => {
    const url = await at((request, response) => {
      if (request.headers.authorization !== "Bearer x") response.writeHead(401).end();
      else sendRange(request, response, large);
    });
    const source = await fromUrl(url, { headers: { authorization: "Bearer x" } });
    expect(await source.read(200_000, 200_001)).toEqual(large.slice(200_000, 200_001));
    expect(await failure(fromUrl(url))).toBe(`WebldmError: ${url}: the server answered 401, expected 200 or 206`);
  });

  it("must not change the file, shorten answers or compress ranges", async () => {
    let version = 0;
    let url = await at((q, s) => sendRange(q, s, large, { etag: `"${version++}"` }));
    const changed = await fromUrl(url);
    expect(await failure(changed.read(70_000, 70_001))).toBe(
      `WebldmError: ${url}: the file changed while it was being read`,
    );
    await server!.close();

    url = await at((q, s) => {
      if (q.headers.range === "bytes=0-65535") sendRange(q, s, large);
      else s.writeHead(206).end("abc");
    });
    expect(await failure((await fromUrl(url)).read(70_000, 70_010))).toContain(
      "expected 10 bytes from byte 70000 on, got 3",
    );
    await server!.close();

    url = await at((_, s) => s.writeHead(206, { "content-encoding": "gzip" }).end(gzipSync(large)));
    expect(await failure(fromUrl(url))).toContain("the server compresses ranges");
  });
});

describe("a server without ranges", () => {
  it("is read once and in any order", async () => {
    await expectLarge(
      await at((_, response) => response.writeHead(200, { "content-length": large.length }).end(large)),
    );
    expect(server!.asked).toHaveLength(1);
  });

  it("may leave out the length", async () => {
    await expectLarge(
      await at((_, response) => {
        response.writeHead(200);
        response.write(large.subarray(0, 1000));
        response.end(large.subarray(1000));
      }),
    );
    expect(server!.asked).toHaveLength(1);
  });

  it("may compress", async () => {
    await expectLarge(
      await at((_, response) => response.writeHead(200, { "content-encoding": "gzip" }).end(gzipSync(large))),
    );
  });

  it("may start to ignore ranges later", async () => {
    const url = await at((q, s) => {
      if (q.headers.range === "bytes=0-65535") sendRange(q, s, large);
      else s.writeHead(200).end(large);
    });
    await expectLarge(url);
  });

  it("takes in no more than is asked for", async () => {
    let sent = 0;
    const url = await at((_, response) => {
      response.writeHead(200, { "content-length": 2 ** 30 });
      const more = () => {
        while (sent < 2 ** 30) {
          sent += large.length;
          if (!response.write(large)) break;
        }
      };
      response.on("drain", more);
      more();
    });
    const source = await fromUrl(url);
    expect(source.size).toBe(2 ** 30);
    expect(await source.read(299_995, 300_005)).toEqual(Uint8Array.of(...large.slice(-5), ...large.slice(0, 5)));
    await new Promise((done) => setTimeout(done, 50));
    expect(sent).toBeLessThan(2 ** 28);
  });

  it("must not break off", async () => {
    const url = await at((_, response) => {
      response.writeHead(200, { "content-length": large.length });
      response.write(large.subarray(0, 1000), () => setTimeout(() => response.destroy(), 20));
    });
    const source = await fromUrl(url);
    expect(await failure(source.read(0, 2000))).toMatch(/^WebldmError: .*the transfer broke off after 1000 bytes/);
  });
});

describe("a transfer that breaks off", () => {
  /** Sends what is asked for, but breaks off after so many bytes; ranges are known or not. */
  const breaking =
    (most: number, { ranges = true, etag = () => '"1"' as string } = {}) =>
    (request: IncomingMessage, response: ServerResponse) => {
      const [, first = "0", last = `${large.length - 1}`] =
        (ranges && /^bytes=(\d+)-(\d+)?$/.exec(request.headers.range ?? "")) || [];
      const [begin, end] = [Number(first), Math.min(Number(last) + 1, large.length)];
      const length = { "content-length": end - begin, etag: etag() };
      if (ranges) response.writeHead(206, { ...length, "content-range": `bytes ${begin}-${end - 1}/${large.length}` });
      else response.writeHead(200, length);
      const stop = Math.min(begin + most, end);
      response.write(large.subarray(begin, stop), () => {
        if (stop === end) response.end();
        else setTimeout(() => response.destroy(), 20);
      });
    };

  it("goes on at the byte it reached", async () => {
    const url = await at(breaking(50_000));
    const source = await fromUrl(url);
    expect(Buffer.compare(await source.read(100_000, 260_000), large.subarray(100_000, 260_000))).toBe(0);
    expect(server!.asked.map(({ range }) => range)).toEqual([
      "bytes=0-65535",
      "bytes=0-65535",
      "bytes=50000-65535",
      ...["100000", "100000", "150000", "200000", "250000"].map((from) => `bytes=${from}-259999`),
    ]);
  });

  it("skips what it knows where the server ignores ranges", async () => {
    let most = 100_000;
    const url = await at((q, s) => {
      breaking(most, { ranges: false })(q, s);
      most += 120_000;
    });
    const source = await fromUrl(url);
    expect(Buffer.compare(await source.read(0, 300_000), large)).toBe(0);
    expect(server!.asked.map(({ range }) => range)).toEqual([
      "bytes=0-65535",
      "bytes=100000-299999",
      "bytes=220000-299999",
    ]);
  });

  it("waits for a server that is busy", async () => {
    let asked = 0;
    const url = await at((q, s) => {
      if (++asked === 2 || asked === 3) s.writeHead(503).end();
      else sendRange(q, s, large);
    });
    expect(await (await fromUrl(url)).read(200_000, 200_001)).toEqual(large.slice(200_000, 200_001));
  });

  it("does not mix two versions of a file", async () => {
    let version = 0;
    const url = await at(breaking(70_000, { etag: () => `"${version}"` }));
    const source = await fromUrl(url);
    version = 1;
    expect(await failure(source.read(70_000, 200_000))).toBe(
      `WebldmError: ${url}: the file changed while it was being read`,
    );
  });

  it("closes its connection when the caller's signal says so", async () => {
    let closed = false;
    const url = await at((_, s) => {
      s.writeHead(200, { "content-length": large.length });
      s.write(large.subarray(0, 1000));
      s.on("close", () => {
        closed = true;
      });
    });
    const controller = new AbortController();
    const source = await fromUrl(url, { signal: controller.signal });
    expect(await source.read(0, 3)).toEqual(large.slice(0, 3));
    expect(closed).toBe(false);
    controller.abort(new Error("enough"));
    await expect.poll(() => closed).toBe(true);
    expect(await failure(source.read(0, 2000))).toBe("Error: enough");
  });
});

describe("no file", () => {
  it("is undefined, or an error for who insists", async () => {
    const url = await at((_, response) => response.writeHead(404).end("no"));
    expect(await openUrl(url)).toBeUndefined();
    expect(await failure(fromUrl(url))).toBe(`WebldmError: ${url}: the server answered 404, expected 200 or 206`);
  });

  it("is what a page in its place means", async () => {
    expect(
      await openUrl(await at((_, s) => s.writeHead(200, { "content-type": "text/html" }).end("<!doctype html>"))),
    ).toBe(undefined);
  });

  it("is an error where the server has one", async () => {
    const url = await at((_, response) => response.writeHead(500).end("no"));
    expect(await failure(openUrl(url))).toBe(`WebldmError: ${url}: the server answered 500, expected 200 or 206`);
  });

  it("is an error where there is no server", async () => {
    const url = await at(() => undefined);
    await server!.close();
    expect(await failure(openUrl(url))).toMatch(
      /^WebldmError: http:.*: the transfer failed: fetch failed: .*ECONNREFUSED/,
    );
    expect(await failure(openUrl("no/scheme"))).toMatch(/^WebldmError: no\/scheme: the transfer failed/);
  });
});

describe("an abort", () => {
  it("ends a read with the reason of the signal", async () => {
    const url = await at((q, s) => {
      if (q.headers.range === "bytes=0-65535") sendRange(q, s, large);
    });
    const source = await fromUrl(url);
    const reason = new Error("enough");
    const controller = new AbortController();
    const read = failure(source.read(70_000, 80_000, controller.signal));
    setTimeout(() => controller.abort(reason), 20);
    expect(await read).toBe("Error: enough");
    expect(await failure(source.read(0, 1, controller.signal))).toBe("Error: enough");
  });

  it("ends a read that waits for the next bytes of a body", async () => {
    const url = await at((_, s) => {
      s.writeHead(200, { "content-length": 100 });
      s.write("abc");
    });
    const source = await fromUrl(url);
    const controller = new AbortController();
    const read = failure(source.read(0, 50, controller.signal));
    setTimeout(() => controller.abort(new Error("enough")), 20);
    expect(await read).toBe("Error: enough");
    expect(await source.read(0, 3)).toEqual(Uint8Array.of(97, 98, 99));
  });
});
