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
import { conv2d } from "../../src/ops/conv2d.js";
import { linear } from "../../src/ops/linear.js";

const makers: readonly { readonly name: string; readonly units: MatrixUnits }[] = [
  { name: "NVIDIA", units: { m: 16, n: 16, k: 16, subgroup: 32, workgroupBytes: 49152 } },
  { name: "Intel", units: { m: 8, n: 16, k: 16, subgroup: 32, workgroupBytes: 32768 } },
  { name: "Apple", units: { m: 8, n: 8, k: 8, subgroup: 32, workgroupBytes: 32768 } },
  { name: "AMD", units: { m: 16, n: 16, k: 16, subgroup: 64, workgroupBytes: 65536 } },
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
  for (const { kernel, consts } of graph.calls) told.push(...(await faultsOf(kernel, consts)));
  return told;
}

async function faultsOf(kernel: Kernel, consts: Readonly<Record<string, string | number>>): Promise<string[]> {
  const code = unroll(specialise(expandImports(await textOf(kernel)), consts));
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
      expect(await faults(graph)).toEqual([]);
    });

    it("attention compiles for all heads that it takes", async () => {
      for (const size of [8, 40, 64, 80, 160, 512]) {
        const { graph, input } = record();
        const x = input([1, 300, 2 * size]);
        attention(x, x, x, { heads: 2, causal: size === 64 });
        expect(await faults(graph)).toEqual([]);
      }
    });
  });
}
