import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import {
  type Folder,
  folderFromFiles,
  folderFromHandle,
  folderFromUrl,
  readJson,
  readText,
} from "../../src/weights/folder.js";
import { folderFromPath, fromFile } from "../../src/weights/node.js";
import { fromBlob } from "../../src/weights/source.js";
import { sendRange, serve, type TestServer } from "./server.js";
import { failure } from "./tiny.js";

const files: Record<string, string | Uint8Array> = {
  "model_index.json": '{"a": [1]}',
  "unet/config.json": "{}\n",
  "unet/broken.json": "{\n'",
  "text/latin1.txt": Uint8Array.of(0xe9),
  "text/has space & more.txt": "\ufeffé",
};

const root = mkdtempSync(join(tmpdir(), "webldm-folder-"));
for (const [path, content] of Object.entries(files)) {
  mkdirSync(join(root, path, ".."), { recursive: true });
  writeFileSync(join(root, path), content);
}
afterAll(() => rmSync(root, { recursive: true }));

let server: TestServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

const blobOf = (content: string | Uint8Array): Blob => new Blob([content as string]);

/** What a folder picker gives: names, and paths that begin with the picked folder. */
function picked(prefix: string): File[] {
  return Object.entries(files).map(([path, content]) =>
    Object.defineProperty(new File([content as string], path.split("/").pop()!), "webkitRelativePath", {
      value: prefix + path,
    }),
  );
}

/** The little of a directory handle that is used. */
function handleOf(prefix: string, name: string): FileSystemDirectoryHandle {
  const fail = (kind: string): never => {
    throw new DOMException(kind, kind);
  };
  const handle = {
    name,
    async getDirectoryHandle(child: string) {
      const path = `${prefix}${child}`;
      if (path in files) fail("TypeMismatchError");
      if (child === "locked") fail("NotAllowedError");
      if (!Object.keys(files).some((f) => f.startsWith(`${path}/`))) fail("NotFoundError");
      return handleOf(`${path}/`, child);
    },
    async getFileHandle(child: string) {
      const content = files[`${prefix}${child}`] ?? fail("NotFoundError");
      return { getFile: async () => new File([content as string], child) };
    },
  };
  return handle as unknown as FileSystemDirectoryHandle;
}

async function overHttp(query = ""): Promise<Folder> {
  server = await serve((request, response) => {
    const url = new URL(request.url!, "http://localhost");
    const content = files[decodeURIComponent(url.pathname.slice("/models/x/".length))];
    if (query && url.search !== query) response.writeHead(403).end();
    else if (content === undefined) response.writeHead(404).end();
    else sendRange(request, response, Buffer.from(content as string));
  });
  return folderFromUrl(`${server.origin}/models/x${query}`);
}

const kinds: [string, () => Promise<Folder>][] = [
  ["on disk", () => folderFromPath(root)],
  ["behind HTTP", () => overHttp()],
  ["behind HTTP with a query", () => overHttp("?token=1")],
  ["of picked files", async () => folderFromFiles(picked("sticker/"))],
  ["of files without a folder", async () => folderFromFiles(picked(""))],
  ["of blobs", async () => folderFromFiles(new Map(Object.entries(files).map(([p, c]) => [p, blobOf(c)])))],
  ["behind a handle", async () => folderFromHandle(handleOf("", "x"))],
];

describe.each(kinds)("a folder %s", (_, open) => {
  it("opens its files", async () => {
    const folder = await open();
    expect(await readJson(folder, "model_index.json")).toEqual({ a: [1] });
    expect(await readText(folder, "unet/config.json")).toBe("{}\n");
    expect(await readText(folder, "./unet//config.json")).toBe("{}\n");
    expect(await readText(folder, "text/has space & more.txt")).toBe("é");
    const source = (await folder.open("model_index.json"))!;
    expect(source.size).toBe(10);
    expect(new TextDecoder().decode(await source.read(1, 4))).toBe('"a"');
    expect(await source.read(10, 10)).toHaveLength(0);
    expect(await failure(source.read(0, 11))).toMatch(
      /^WebldmError: .*expected a range within its 10 bytes, got 0 to 11$/,
    );
    expect(await failure(source.read(0, 1, AbortSignal.abort(new Error("enough"))))).toBe("Error: enough");
  });

  it("has no other files", async () => {
    const folder = await open();
    for (const path of ["none", "unet", "unet/none.json", "none/config.json", "model_index.json/x"]) {
      expect(await folder.open(path), path).toBeUndefined();
      expect(await readText(folder, path), path).toBeUndefined();
      expect(await readJson(folder, path), path).toBeUndefined();
    }
  });

  it("keeps to itself", async () => {
    const folder = await open();
    for (const path of ["../x", "unet/../../x", "/etc/passwd", "", "a\\b", "a\0"]) {
      expect(await failure(folder.open(path))).toContain("expected a relative path inside the model folder");
    }
  });

  it("says which file is broken", async () => {
    const folder = await open();
    expect(await failure(readJson(folder, "unet/broken.json"))).toMatch(
      /^WebldmError: .*'unet\/broken\.json' is not valid JSON: .*$/,
    );
    expect(await failure(readText(folder, "text/latin1.txt"))).toMatch(
      /^WebldmError: .*'text\/latin1\.txt' is not UTF-8 text$/,
    );
  });
});

describe("folders", () => {
  it("have the name of what was picked", () => {
    expect(folderFromFiles(picked("sticker/")).name).toBe("sticker");
    expect(folderFromFiles([]).name).toBe("files");
    expect(folderFromHandle(handleOf("", "x")).name).toBe("x");
  });

  it("behind HTTP report what the server says", async () => {
    server = await serve((_, response) => response.writeHead(500).end());
    const folder = folderFromUrl(server.origin);
    expect(await failure(folder.open("a.json"))).toBe(
      `WebldmError: ${server.origin}/a.json: the server answered 500, expected 200 or 206`,
    );
  });

  it("behind a handle report a refusal", async () => {
    expect(await failure(folderFromHandle(handleOf("", "x")).open("locked/a"))).toBe(
      "WebldmError: x/locked/a: could not be opened: NotAllowedError",
    );
  });

  it("on disk must exist", async () => {
    expect(await failure(folderFromPath("/no/such"))).toBe("WebldmError: model folder '/no/such' does not exist");
    const file = join(root, "model_index.json");
    expect(await failure(folderFromPath(file))).toBe(`WebldmError: model folder '${file}' is not a folder`);
    expect(await failure(fromFile("/no/such"))).toBe("WebldmError: file '/no/such' does not exist");
  });

  it("on disk report a file that shrank", async () => {
    const path = join(root, "shrinks");
    writeFileSync(path, "0123456789");
    const source = await fromFile(path);
    writeFileSync(path, "01234");
    expect(await failure(source.read(2, 10))).toBe(
      `WebldmError: file '${path}' ended at byte 5, expected bytes up to 10`,
    );
    rmSync(path);
    expect(await failure(source.read(2, 10))).toMatch(/^WebldmError: file '.*shrinks' could not be read: ENOENT/);
  });

  it("of blobs stop where they are aborted", async () => {
    let pulls = 0;
    const controller = new AbortController();
    const stream = () =>
      new ReadableStream({
        pull(sink) {
          sink.enqueue(new Uint8Array(1));
          if (++pulls === 3) controller.abort(new Error("enough"));
        },
      });
    const blob = { size: 1000, slice: () => ({ size: 1000, stream }) } as unknown as Blob;
    const read = fromBlob(blob).read(0, 1000, controller.signal, new ArrayBuffer(1000));
    expect(await failure(read)).toBe("Error: enough");
    expect(pulls).toBeLessThan(10);
  });

  it("of blobs name them", async () => {
    expect(fromBlob(new Blob([])).name).toBe("blob");
    expect(fromBlob(new File([], "a.bin")).name).toBe("a.bin");
    expect((await folderFromFiles(picked("sticker/")).open("unet/config.json"))!.name).toBe("sticker/unet/config.json");
  });
});
