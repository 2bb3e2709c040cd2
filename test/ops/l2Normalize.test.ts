// kernels: l2Normalize
import { expect } from "vitest";
import { l2Normalize } from "../../src/ops/l2Normalize.js";
import { expectClose, forCases, random, runGraph, tolerance } from "../harness/gpu.js";

const shapes = [[2, 1, 768], [5], [3, 1], [7, 33], [2, 3, 5, 65]];

forCases(
  "l2Normalize",
  shapes.flatMap((shape) => [false, true].map((software) => ({ shape, software }))),
  ({ shape, software }) => `${shape.join(" x ")}${software ? " in small workgroups" : ""}`,
  async ({ device, dtype, item: { shape, software } }) => {
    const x = random("x", shape, { dtype, scale: 5 });
    const [y] = await runGraph(device, dtype, (bench) => l2Normalize(bench.input(x)), { software });
    const width = shape.at(-1)!;
    const lengths = Array.from({ length: x.values.length / width }, (_, row) =>
      Math.hypot(...x.values.subarray(row * width, (row + 1) * width)),
    );
    expectClose(
      y!,
      Array.from(x.values, (value, i) => value / lengths[Math.floor(i / width)]!),
      tolerance[dtype],
    );
  },
);

forCases(
  "l2Normalize",
  [[0, 0, 0, 3, 0, -4]],
  () => "zeros, which stay zeros",
  async ({ device, dtype, item }) => {
    const x = { shape: [2, 3], values: Float32Array.from(item) };
    const [y] = await runGraph(device, dtype, (bench) => l2Normalize(bench.input(x)));
    expect([...y!].slice(0, 3)).toEqual([0, 0, 0]);
    expectClose(y!, [0, 0, 0, 0.6, 0, -0.8], tolerance[dtype]);
  },
);
