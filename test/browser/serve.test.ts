import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, request, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type Served, serve } from "../../src/cli/serve.js";

let root: string;
let served: Served;
let taken: Server;

beforeAll(async () => {
  vi.spyOn(console, "log").mockImplementation(() => undefined);
  root = mkdtempSync(join(tmpdir(), "webldm-serve-"));
  mkdirSync(join(root, "dist/studio"), { recursive: true });
  mkdirSync(join(root, "weights/tiny"), { recursive: true });
  writeFileSync(join(root, "dist/studio/index.html"), "<p>page</p>");
  writeFileSync(join(root, "dist/cli.js"), "secret");
  writeFileSync(
    join(root, "weights/tiny/a.safetensors"),
    Uint8Array.from({ length: 256 }, (_, i) => i),
  );
  writeFileSync(join(root, "weights/tiny/empty.txt"), "");
  writeFileSync(join(root, "secret.txt"), "secret");
  taken = createServer();
  await new Promise<void>((done) => taken.listen(0, "127.0.0.1", done));
  served = await serve({ root, host: "127.0.0.1", port: (taken.address() as AddressInfo).port });
});

afterAll(async () => {
  await served.close();
  taken.close();
  rmSync(root, { recursive: true });
});

/** The status of a path that is sent as it stands. */
function statusOf(path: string): Promise<number | undefined> {
  return new Promise((done) => request(served.url, { path }, (response) => done(response.resume().statusCode)).end());
}

describe("the server of the page", () => {
  it("takes the next port when one is taken, and says where it is", () => {
    expect(Number(new URL(served.url).port)).toBeGreaterThan((taken.address() as AddressInfo).port);
    expect(console.log).toHaveBeenCalledWith(`webldm is at ${served.url}`);
  });

  it("serves the page and models", async () => {
    const page = await fetch(served.url);
    expect(await page.text()).toBe("<p>page</p>");
    expect(page.headers.get("content-type")).toBe("text/html;charset=utf-8");
    const model = await fetch(`${served.url}/weights/tiny/a.safetensors?x=1`);
    expect((await model.arrayBuffer()).byteLength).toBe(256);
    expect(await (await fetch(`${served.url}/weights/tiny/empty.txt`)).text()).toBe("");
  });

  it("answers ranges", async () => {
    const part = await fetch(`${served.url}/weights/tiny/a.safetensors`, { headers: { range: "bytes=16-19" } });
    expect(part.status).toBe(206);
    expect(part.headers.get("content-range")).toBe("bytes 16-19/256");
    expect([...new Uint8Array(await part.arrayBuffer())]).toEqual([16, 17, 18, 19]);
    const beyond = await fetch(`${served.url}/weights/tiny/a.safetensors`, { headers: { range: "bytes=256-" } });
    expect(beyond.status).toBe(416);
    const head = await fetch(`${served.url}/weights/tiny/a.safetensors`, { method: "HEAD" });
    expect(head.headers.get("content-length")).toBe("256");
  });

  it("answers 304 to what the browser has, 405 to what is no question", async () => {
    const etag = (await fetch(served.url)).headers.get("etag")!;
    expect((await fetch(served.url, { headers: { "if-none-match": etag } })).status).toBe(304);
    expect((await fetch(served.url, { method: "POST" })).status).toBe(405);
  });

  it.each([
    "/secret.txt",
    "/cli.js",
    "/../cli.js",
    "/%2e%2e/cli.js",
    "/weights/../secret.txt",
    "/weights/%2e%2e%2fsecret.txt",
    "/weights/..%5csecret.txt",
    "/weights/.git/config",
    "/weights",
    "/weights/tiny",
    "/%00",
    "/%",
    "//secret.txt",
  ])("does not serve %s", async (path) => {
    expect(await statusOf(path)).toBe(404);
  });

  it("says what is missing", async () => {
    await expect(serve({ root: join(root, "weights") })).rejects.toThrow("not built");
    await expect(serve({ root, port: -1 })).rejects.toThrow("port: expected 0 to 65535, got -1");
  });
});
