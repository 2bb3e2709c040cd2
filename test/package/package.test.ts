// The package as a project gets it: its files and types, bundled by Vite and webpack, on a plain page, in workers, in Node.
import { execFile } from "node:child_process";
import { cpSync, readdirSync, readFileSync, statSync } from "node:fs";
import { extname, join, normalize } from "node:path";
import { promisify } from "node:util";
import type { Browser } from "puppeteer";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import webpack from "webpack";
import { adapterNames } from "../harness/adapters.js";
import { findChrome, launchChrome, openPage } from "../harness/chrome.js";
import { root } from "../harness/source.js";
import { sendRange, serve, type TestServer } from "../weights/server.js";
import { command, link, type Packed, pack } from "./packed.js";

const run = promisify(execFile);
const node = (args: readonly string[], cwd: string, env: NodeJS.ProcessEnv = process.env) =>
  run(process.execPath, args, { cwd, env });

let packed: Packed;
let server: TestServer;

beforeAll(async () => {
  packed = await pack();
  server = await serveProjects(packed.folder);
});

afterAll(async () => {
  await server?.close();
  packed?.remove();
});

const types: Readonly<Record<string, string>> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".json": "application/json",
};

/** The projects, and models below `/weights`. */
function serveProjects(folder: string): Promise<TestServer> {
  return serve((request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url ?? "/", "http://host").pathname));
    const file = join(path.startsWith("/weights/") ? root : folder, path);
    if (!statSync(file, { throwIfNoEntry: false })?.isFile()) return void response.writeHead(404).end();
    const headers = { "content-type": types[extname(file)] ?? "application/octet-stream" };
    sendRange(request, response, readFileSync(file), headers);
  });
}

const readPacked = (path: string) => readFileSync(join(packed.folder, "node_modules/webldm", path), "utf8");

describe("the tarball", () => {
  it("holds bundles with source maps, types, tokenizers, and nothing else", () => {
    const places = packed.files.map((path) =>
      path.replace(/^(dist\/types|dist\/studio|weights\/tokenizers)\/.*/, "$1"),
    );
    const known = /^(dist\/(shared-\w+|index|core|worker|worker-entry|cli)\.js(\.map)?|bin\/\w+\.(mjs|d\.mts))$/;
    expect([...new Set(places)].filter((path) => !known.test(path)).sort()).toEqual([
      "LICENSE",
      "README.md",
      "dist/studio",
      "dist/types",
      "package.json",
      "weights/README.md",
      "weights/tokenizers",
    ]);
    expect(packed.files.filter((path) => /\.(safetensors|ckpt|bin|pth?|wgsl)$|\.test\./.test(path))).toEqual([]);
    for (const path of packed.files.filter((one) => /^dist\/[\w-]+\.js$/.test(one))) {
      const map = JSON.parse(readPacked(`${path}.map`)) as { sources: string[]; sourcesContent?: string[] };
      expect(map.sourcesContent?.length, path).toBe(map.sources.length);
    }
  });

  it("has what it exports, and depends on nothing", () => {
    const { exports, ...manifest } = JSON.parse(readPacked("package.json")) as {
      exports: Record<string, string | Record<string, string>>;
    } & Record<string, Record<string, unknown>>;
    const places = Object.values(exports).flatMap((entry) =>
      typeof entry === "string" ? entry : Object.values(entry),
    );
    expect(places.length).toBeGreaterThan(8);
    expect(places.filter((place) => !packed.files.includes(place.slice(2)))).toEqual([]);
    expect(manifest["dependencies"]).toBeUndefined();
    expect(Object.keys(manifest["peerDependenciesMeta"]!)).toEqual(Object.keys(manifest["peerDependencies"]!));
  });

  it("loads packages that are optional only where it says which one is missing", () => {
    const { peerDependencies } = JSON.parse(readPacked("package.json")) as { peerDependencies: Record<string, string> };
    const cli = readPacked("dist/cli.js");
    const fixed = [...cli.matchAll(/^import .*? from "([^"]+)";$/gm)].map(([, name]) => name);
    expect(fixed.filter((name) => !name?.startsWith("node:") && !/^(fs|path|os)/.test(name!))).toEqual([]);
    const bare = [...cli.matchAll(/import\("([^"./][^"]*)"\)/g)].map(([, name]) => name!);
    const lazy = new Set(bare.filter((name) => !name.startsWith("node:")));
    for (const name of lazy) expect(cli, name).toContain(`optional("${name}", () => import("${name}"))`);
    expect([...lazy].sort()).toEqual(Object.keys(peerDependencies).sort());
  });

  it("types a project that has no types of WebGPU, and one that has", async () => {
    const options = { noEmit: true, strict: true, target: "es2022", module: "nodenext", skipLibCheck: false };
    const lib = ["ES2022", "DOM", "DOM.Iterable"];
    const main = `
      import { createEngine, type Picture, UnsupportedError } from "webldm";
      import { Graph } from "webldm/core";
      import { type BitmapPicture, createWorkerEngine } from "webldm/worker";
      const engine = await createWorkerEngine({ dtype: "f32" });
      const model = await engine.load("owner/name", { onProgress: ({ loaded }) => loaded.toFixed() });
      export const one: Picture = await model.textToImage({ prompt: "a fox" });
      export const two: Picture[] = await model.textToImage({ prompt: "a fox", images: 2 });
      export const ids: number[] = (await model.tokenize("a fox")).ids;
      export const row: Picture[] = await model.progressive({ prompt: "a fox", every: 2 });
      for await (const step of model.steps({ prompt: "a fox" })) step.result?.pixels;
      const drawn = await engine.load(new File([], "a.ckpt"), { pictures: "bitmap" });
      export const bitmap: ImageBitmap = (await drawn.unconditional()).bitmap;
      export const list: BitmapPicture[] = await drawn.unconditional({ images: 2 });
      for await (const step of drawn.steps({ prompt: "a fox" })) step.result?.bitmap;
      // @ts-expect-error there is no such field
      await model.textToImage({ promt: 1 });
      // @ts-expect-error pictures come as bitmaps
      (await drawn.inpaint({ image: bitmap, mask: bitmap })).pixels;
      // @ts-expect-error what is compiled stays in the worker
      model.programs;
      export { createEngine, Graph, UnsupportedError };`;
    link(packed.folder, ["@webgpu/types"]);
    const project = packed.project("types", {
      "main.ts": main,
      "plain.json": JSON.stringify({ compilerOptions: { ...options, lib, types: [] }, files: ["main.ts"] }),
      "full.json": JSON.stringify({
        compilerOptions: { ...options, lib, types: ["@webgpu/types"], exactOptionalPropertyTypes: true },
        files: ["main.ts", "gpu.ts"],
      }),
      "gpu.ts":
        'import type { Engine } from "webldm";\nexport const of = (e: Engine): number => e.device.gpu.limits.maxBindGroups;',
    });
    const check = (name: string) => node([command("typescript", "bin/tsc"), "-p", name], project).catch((e) => e);
    for (const { stdout } of await Promise.all([check("plain.json"), check("full.json")])) expect(stdout).toBe("");
  });
});

/** Draws with both threads; the title tells when it is done. */
const app = `
  import { createEngine } from "webldm";
  import { createWorkerEngine } from "webldm/worker";
  const sum = ({ pixels }) => pixels.reduce((a, b, i) => (a * 31 + b + i) % 1000003, 7);
  const request = { prompt: "a fox", steps: 1, seed: 7, width: 32, height: 32 };
  const draw = async (engine) => sum(await (await engine.load("/weights/sticker/")).textToImage(request));
  Promise.all([createEngine({ dtype: "f32" }).then(draw), createWorkerEngine({ dtype: "f32" }).then(draw)]).then(
    (sums) => (document.title = sums.join()),
    (error) => (document.title = String(error.stack)),
  );`;
const html = (script: string) => `<!doctype html><title>busy</title>${script}`;

const program = await findChrome();

describe.skipIf(!program)(
  `projects in a browser${program ? "" : " [no Chrome or Chromium; set CHROME_PATH to one]"}`,
  () => {
    let browser: Browser;
    /** What the plain page draws is what all draw. */
    let expected: string;

    beforeAll(async () => {
      browser = await launchChrome(program);
      const maps =
        '{ "imports": { "webldm": "/node_modules/webldm/dist/index.js", "webldm/worker": "/node_modules/webldm/dist/worker.js" } }';
      packed.project("plain", {
        "index.html": html(`<script type="importmap">${maps}</script><script type="module">${app}</script>`),
      });
      expected = await titleOf("plain/index.html");
    });

    afterAll(() => browser?.close());

    async function titleOf(path: string): Promise<string> {
      const page = await openPage(browser);
      await page.goto(`${server.origin}/${path}`);
      await page.waitForFunction(() => document.title !== "busy");
      const title = await page.title();
      await page.close();
      return title;
    }

    it("draws on a plain page, the same in the package's worker", () => {
      const [here, there] = expected.split(",");
      expect(here).toMatch(/^\d+$/);
      expect(there).toBe(here);
    });

    it("draws in a worker of the page's own", async () => {
      packed.project("own", {
        "index.html": html(`<script>
        const worker = new Worker("worker.js", { type: "module" });
        worker.onmessage = ({ data }) => (document.title = data);
        worker.onerror = ({ message }) => (document.title = message);
      </script>`),
        "worker.js": `import { createEngine } from "/node_modules/webldm/dist/index.js";
        const engine = await createEngine({ dtype: "f32" });
        const model = await engine.load("/weights/sticker/");
        const { pixels } = await model.textToImage({ prompt: "a fox", steps: 1, seed: 7, width: 32, height: 32 });
        postMessage(String(pixels.reduce((a, b, i) => (a * 31 + b + i) % 1000003, 7)));`,
      });
      expect(await titleOf("own/index.html")).toBe(expected.split(",")[0]);
    });

    it("draws in a project of Vite", async () => {
      const project = packed.project("vite", {
        "index.html": html('<script type="module" src="/main.js"></script>'),
        "main.js": app,
      });
      await node([command("vite", "bin/vite.js"), "build", "--base=/vite/dist/"], project);
      expect(await titleOf("vite/dist/index.html")).toBe(expected);
    });

    it("draws in a project of webpack", async () => {
      const project = packed.project("webpack", {
        "main.js": app,
        "dist/index.html": html('<script src="main.js"></script>'),
      });
      await bundle(project);
      expect(await titleOf("webpack/dist/index.html")).toBe(expected);
    });
  },
);

const bundle = (context: string) =>
  new Promise<void>((resolve, reject) => {
    webpack(
      { mode: "production", context, entry: "./main.js", output: { path: join(context, "dist") } },
      (error, stats) => {
        const [fault] = stats?.toJson({ all: false, errors: true, warnings: true }).errors ?? [];
        if (error || fault) reject(error ?? new Error(fault?.message));
        else resolve();
      },
    );
  });

describe("an application that needs little", () => {
  const little = 'import { UnsupportedError } from "webldm";\nconsole.log(new UnsupportedError("a").message);';

  it("gets little from Vite", async () => {
    const project = packed.project("little-vite", {
      "index.html": '<script type="module" src="/main.js"></script>',
      "main.js": little,
    });
    await node([command("vite", "bin/vite.js"), "build"], project);
    const files = readdirSync(join(project, "dist/assets"));
    expect(files).toHaveLength(1);
    expect(statSync(join(project, "dist/assets", files[0]!)).size).toBeLessThan(2000);
  });

  it("gets little from webpack", async () => {
    const project = packed.project("little-webpack", { "main.js": little });
    await bundle(project);
    expect(readdirSync(join(project, "dist"))).toEqual(["main.js"]);
    expect(statSync(join(project, "dist/main.js")).size).toBeLessThan(2000);
  });
});

describe("Node", () => {
  it("draws in a script", async (context) => {
    if (adapterNames.length === 0) return context.skip("no adapter on this machine");
    const project = packed.project("node", {
      "main.js": `
        import { createEngine } from "webldm";
        import { create, globals } from "webgpu";
        Object.assign(globalThis, globals);
        const gpu = create([]);
        const engine = await createEngine({ gpu });
        const model = await engine.load(process.argv[2]);
        const picture = await model.textToImage({ prompt: "a fox", steps: 1, width: 32, height: 32 });
        console.log(picture.width, picture.height, new Set(picture.pixels).size > 20);
        engine.dispose();`,
    });
    link(project, ["webgpu"]);
    const { stdout } = await node(["main.js", `${server.origin}/weights/sticker/`], project);
    expect(stdout).toBe("32 32 true\n");
  });

  it.each([
    ["commander", ["inspect", "x"]],
    ["sirv", ["serve", "--port", "0"]],
    ["webgpu", ["generate", "a fox", "--model", join(root, "weights/sticker")]],
  ])("names the package %s where it is missing, and the command that installs it", async (name, args) => {
    const project = packed.project(`without-${name}`, {});
    const others = ["commander", "sirv", "webgpu"].filter((one) => one !== name);
    link(project, others);
    const cli = join(project, "node_modules/webldm"); // a package looks for others from where it lies
    for (const part of ["package.json", "dist/cli.js", "dist/studio"]) {
      cpSync(join(packed.folder, "node_modules/webldm", part), join(cli, part), { recursive: true });
    }
    const { stderr, code } = await node([join(cli, "dist/cli.js"), ...args], project).catch((error) => error);
    expect(code).toBe(2);
    expect(stderr).toContain(`npm install ${name}`);
  });
});
