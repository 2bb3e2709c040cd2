// Dawn's null backend compiles WGSL for an adapter that runs nothing, and so checks what no adapter here can run: the
// forms for matrix units, for the shapes of units that GPUs of several makers report.
import { beforeAll, describe, expect, it } from "vitest";
import { create, globals } from "webgpu";
import { type Kernel, textOf } from "../../src/core/kernel.js";
import type { MatrixUnits } from "../../src/core/matrixUnits.js";
import { unroll } from "../../src/gpu/unroll.js";
import { expandImports, specialise } from "../../src/gpu/wgsl.js";
import { Graph } from "../../src/graph/graph.js";
import { Scope } from "../../src/graph/scope.js";
import { attention } from "../../src/ops/attention.js";
import { attentionBlocks, chooseAttentionBlock } from "../../src/ops/attentionMatrix.js";
import { conv2d } from "../../src/ops/conv2d.js";
import { linear } from "../../src/ops/linear.js";
import { chooseBlock } from "../../src/ops/matrixBlock.js";

const makers: readonly { readonly name: string; readonly units: MatrixUnits }[] = [
  { name: "NVIDIA", units: { m: 16, n: 16, k: 16, subgroup: 32, workgroupBytes: 49152, invocations: 256 } },
  { name: "Intel", units: { m: 8, n: 16, k: 16, subgroup: 32, workgroupBytes: 32768, invocations: 256 } },
  { name: "Apple", units: { m: 8, n: 8, k: 8, subgroup: 32, workgroupBytes: 32768, invocations: 256 } },
  { name: "AMD", units: { m: 16, n: 16, k: 16, subgroup: 64, workgroupBytes: 65536, invocations: 256 } },
];

const kept = globalThis as { webldmNullGpu?: GPU };
let device: GPUDevice;

beforeAll(async () => {
  Object.assign(globalThis, globals);
  kept.webldmNullGpu = create(["backend=null", "enable-dawn-features=allow_unsafe_apis"]);
  const adapter = await kept.webldmNullGpu.requestAdapter();
  const features = ["shader-f16", "subgroups", "chromium-experimental-subgroup-matrix"] as GPUFeatureName[];
  device = await adapter!.requestDevice({ requiredFeatures: features });
});

/** What the compiler says against the kernels of a graph. */
async function faults(graph: Graph): Promise<string[]> {
  const told: string[] = [];
  for (const { kernel, consts } of graph.calls) {
    told.push(...(await faultsOf(kernel, consts, graph.matrix!.workgroupBytes)));
  }
  return told;
}

const bytesOf: Readonly<Record<string, number>> = { f32: 4, "atomic<u32>": 4, vec2u: 8, vec4u: 16, vec4f: 16 };

/** What the compiler says, also if the kernel takes more workgroup memory than the device allows. */
async function faultsOf(
  kernel: Kernel,
  consts: Readonly<Record<string, string | number>>,
  workgroupBytes: number,
): Promise<string[]> {
  const text = unroll(specialise(await expandImports(await textOf(kernel)), consts));
  const shared = [...text.matchAll(/^var<workgroup> \w+: (?:array<(\w+), (.+)>|(atomic<u32>));/gm)];
  const taken = shared.map(([, type, count = "1", single]) => `${bytesOf[single ?? type!]}u * (${count})`);
  const code = `${text}\nconst_assert ${["0u", ...taken].join(" + ")} <= ${workgroupBytes}u;`;
  device.pushErrorScope("validation");
  const module = device.createShaderModule({ code });
  const { messages } = await module.getCompilationInfo();
  await device.popErrorScope();
  return messages.filter(({ type }) => type === "error").map((m) => `${kernel.name}:${m.lineNum}: ${m.message}`);
}

for (const { name, units } of makers) {
  describe(`for matrix units as of ${name}`, () => {
    const record = () => {
      const graph = new Graph({ dtype: "f16", matrix: units });
      const input = (shape: readonly number[]) => graph.input("x", shape, "f16", "step");
      return { graph, input, scope: new Scope(graph, `layer${Math.random()}`) };
    };

    it("convolution compiles, whole and in splits", async () => {
      for (const [size, channels, out] of [
        [64, 320, 320],
        [64, 128, 128],
        [8, 1280, 1280],
        [16, 96, 36],
      ] as const) {
        const { graph, input, scope } = record();
        const x = input([2, size, size, channels]);
        conv2d(x, scope, { out, resize: [2 * size, 2 * size], act: "silu", variant: "matrix" });
        expect(await faults(graph)).toEqual([]);
      }
    });

    it("linear maps compile", async () => {
      const { graph, input, scope } = record();
      const x = input([2, 4096, 320]);
      linear(x, scope, { out: 320, residual: x, variant: "matrix" });
      linear(x, scope.at("wide"), { out: 1280, gated: true, act: "gelu", variant: "matrix" });
      linear(input([1, 64, 1280]), scope.at("few"), { out: 5120, gated: true, act: "gelu", variant: "matrix" });
      expect(await faults(graph)).toEqual([]);
    });

    it("attention takes blocks of whole matrices and whole fours of scores", () => {
      const odd = [units, { ...units, n: 32 }, { ...units, k: 32 }, { ...units, m: 8, subgroup: 64 }];
      for (const { m, n, k, subgroup } of odd) {
        for (const size of [40, 80, 160]) {
          for (const { keys, rows } of [77, 300].flatMap((count) =>
            attentionBlocks(size, count, { ...units, m, n, k, subgroup }),
          )) {
            const lanes = subgroup / (rows * m); // invocations that share a row
            expect([keys % n, keys % k, keys % (4 * lanes)]).toEqual([0, 0, 0]);
          }
        }
      }
    });

    it("attention compiles for all heads that it takes", async () => {
      for (const size of [8, 40, 64, 80, 160, 512]) {
        const { graph, input } = record();
        const x = input([1, 300, 2 * size]);
        const taken = chooseAttentionBlock(size, 300, units) !== undefined;
        if (size <= 80) expect(taken, `heads of ${size}`).toBe(true);
        if (!taken) continue;
        attention(x, x, x, { heads: 2, causal: size === 64 });
        expect(graph.calls.map(({ kernel }) => kernel.name)).toEqual(["attentionMatrix"]);
        expect(await faults(graph)).toEqual([]);
      }
    });

    it("takes products within the device's limits", () => {
      for (const rows of [1, 100, 500, 2000, 8192, 262144]) {
        for (const outputs of [4, 320, 640, 1280]) {
          for (const channels of [32, 64, 320, 2560]) {
            const block = chooseBlock({ rows, outputs, inner: 9 * channels, channels }, units);
            expect(block, `${rows} x ${channels} to ${outputs}`).toBeDefined();
            const { acrossRows, acrossColumns, depth, buffers } = block!;
            const subgroups = acrossRows * acrossColumns;
            const pieces = (block!.rows + block!.columns) * (depth / 8 + 1) * buffers; // each row padded by one
            const sums = acrossRows * units.m * (block!.columns + 4 * acrossColumns); // laid down in place of slices
            expect(Math.max(pieces * 16, sums * 4)).toBeLessThanOrEqual(units.workgroupBytes);
            expect(subgroups * units.subgroup).toBeLessThanOrEqual(units.invocations);
            expect((block!.rows * depth) % (8 * subgroups * units.subgroup)).toBe(0); // no load is left over
            expect((block!.columns * depth) % (8 * subgroups * units.subgroup)).toBe(0);
            expect(channels % depth).toBe(0);
          }
        }
      }
    });
  });
}
