import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "esbuild";
import sirv from "sirv";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { wgslPlugin } from "../../scripts/wgslText.mjs";
import { Graph } from "../../src/graph/graph.js";
import { affine } from "../../src/ops/affine.js";
import { createEngine, type Engine } from "../../src/pipeline/engine.js";
import type { LatentDiffusion } from "../../src/pipeline/latentDiffusion.js";
import { Plan } from "../../src/plan/plan.js";
import { SlotPool } from "../../src/plan/pool.js";
import { oneAdapter, openAdapter } from "../harness/adapters.js";
import { readSource, root } from "../harness/source.js";
import { type Block, blocksOf } from "./blocks.js";
import { pages } from "./pages.js";
import { modulesOf } from "./typeCheck.js";

const all = pages.flatMap((page) => blocksOf(page, readSource(page)));
// The README's by what it imports, the others by a comment.
const isRun = ({ page, language, notes, text }: Block): boolean =>
  language === "ts" && ("runs" in notes || (page === "README.md" && text.includes('from "webldm";')));
const blocks = all.filter(isRun);
const name = oneAdapter;
const reason = name ? "" : "no adapter on this machine";

/** As pages have it, as far as it is needed. */
class ImageDataOfPages {
  constructor(
    readonly data: Uint8ClampedArray,
    readonly width: number,
    readonly height: number,
  ) {}
}

describe.skipIf(reason !== "")(`blocks of the guides, run${reason && ` [${reason}]`}`, () => {
  const folder = mkdtempSync(join(tmpdir(), "webldm-blocks-"));
  const put: ImageDataOfPages[] = [];
  const recorded = new Graph({ dtype: "f32" });
  const input = recorded.input("x", [2, 3], "f32", "step");
  let server: Server;
  let engine: Engine;
  let model: LatentDiffusion;
  let modules: string[];

  beforeAll(async () => {
    vi.spyOn(console, "log").mockImplementation(() => undefined);
    const serve = sirv(join(root, "weights"), { dev: true });
    server = createServer((request, response) =>
      serve(request, response, () => {
        response.writeHead(404).end();
      }),
    );
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    const models = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    const toSmall = (text: string) =>
      text.replaceAll("/models/stable-diffusion-v1-5/", `${models}sticker/`).replaceAll("steps: 20,", "steps: 2,");
    modules = modulesOf(blocks).map(toSmall);
    const gpu = { requestAdapter: () => openAdapter(name!) };
    engine = await createEngine({ adapter: (await openAdapter(name!))! });
    model = await engine.load(`${models}sticker/`);
    // What the pages speak of: `given` in typeCheck.ts has the types.
    const plan = await smallPlan(engine);
    const canvas = { getContext: () => ({ putImageData: (image: ImageDataOfPages) => put.push(image) }) };
    const checks = { isAllowed: async () => true, isUnwanted: async () => false, embedWatermark: () => undefined };
    const globals = {
      engine,
      model: quickly(model),
      canvas,
      graph: recorded,
      plan,
      x: input,
      ...checks,
      ImageData: ImageDataOfPages,
      navigator: { gpu },
    };
    for (const [key, value] of Object.entries(globals)) vi.stubGlobal(key, value);
  });

  afterAll(async () => {
    vi.unstubAllGlobals();
    vi.restoreAllMocks();
    engine?.dispose();
    await new Promise((closed) => server?.close(closed));
    rmSync(folder, { recursive: true, force: true });
  });

  /** A model that draws in two steps unless told otherwise. */
  const quickly = (loaded: LatentDiffusion): Pick<LatentDiffusion, "memory" | "textToImage"> => ({
    memory: loaded.memory,
    textToImage: (request) => loaded.textToImage({ steps: 2, ...request }),
  });

  /** A program of one kernel, compiled. */
  async function smallPlan({ device }: Engine) {
    const graph = new Graph({ dtype: "f32" });
    graph.output(affine(graph.input("x", [2, 3], "f32", "step"), { scale: 2 }));
    return Plan.compile(device, graph, { pool: new SlotPool(device) });
  }

  /** Runs what a block has recorded into the graph it was given, on the numbers from 0 on. */
  async function runRecorded(): Promise<number[]> {
    const last = recorded.calls.at(-1)!.writes[0]!.tensor;
    recorded.output(last);
    const plan = await Plan.compile(engine.device, recorded, { pool: new SlotPool(engine.device) });
    plan.write(
      input,
      Float32Array.from({ length: 6 }, (_, i) => i),
    );
    plan.run("step");
    return [...(await plan.read(last))];
  }

  it("are there", () => {
    expect(blocks.filter(({ page }) => page === "README.md").length).toBeGreaterThan(0);
    expect(blocks.length).toBeGreaterThanOrEqual(10);
  });

  for (const [i, { page, line }] of blocks.entries()) {
    it(`${page}:${line}`, async ({ skip }) => {
      if (/\bprofile\(/.test(modules[i]!) && !engine.device.features.timestamps) skip("the adapter times nothing");
      const outfile = join(folder, `block${i}.mjs`);
      const alias = Object.fromEntries(
        ["webldm", "webldm/core"].map((entry) => [
          entry,
          join(root, "src", entry === "webldm" ? "index.ts" : "core.ts"),
        ]),
      );
      const stdin = { contents: modules[i]!, resolveDir: join(root, "test/docs"), loader: "ts" } as const;
      await build({ stdin, outfile, alias, bundle: true, format: "esm", platform: "node", plugins: [wgslPlugin()] });
      const { block } = (await import(pathToFileURL(outfile).href)) as { block(): Promise<void> };
      put.length = 0;
      await block();
      await engine.device.idle();
      if (page === "docs/guides/kernels.md") expect(await runRecorded()).toEqual([0, 0.5, 1, 1.5, 2, 2.5]);
      if (/putImageData|drawTo/.test(modules[i]!)) {
        expect(new Set(put.at(-1)!.data).size, "levels of what was put on the canvas").toBeGreaterThan(20);
      }
    });
  }
});
