import { describe, expect, it } from "vitest";
import { importsOf, layerFaults } from "../harness/layers.js";
import { filesBelow, readSource } from "../harness/source.js";

describe("imports between the layers", () => {
  it("all point down, and none go round", () => {
    const sources = Object.fromEntries(
      [".ts", ".tsx"].flatMap((ending) => filesBelow("src", ending)).map((path) => [path, readSource(path)]),
    );
    expect(Object.keys(sources).length).toBeGreaterThan(5);
    expect(layerFaults(sources)).toEqual([]);
  });
});

describe("the check itself", () => {
  const lib = { "src/core/shape.ts": "export type Shape = 1;", "src/weights/scope.ts": "export type S = 1;" };

  it("lets arrows down pass", () => {
    const sources = {
      ...lib,
      "src/ops/relu.ts": 'import code from "../../shaders/relu.wgsl";\nimport type { Shape } from "../core/shape.js";',
      "src/models/net.ts": 'import { relu } from "../ops/relu.js";\nimport type { S } from "../weights/scope.js";',
      "src/index.ts": 'export * from "./models/net.js";',
      "src/core.ts": 'export { relu } from "./ops/relu.js";',
      "src/studio/studio.ts": 'import * as webldm from "../index.js";\nimport { a } from "./a.js";',
      "src/studio/a.ts": "export const a = 1;",
      "src/cli/conformance.ts": 'import { relu } from "../ops/relu.js";',
    };
    expect(layerFaults(sources)).toEqual([]);
  });

  it.each([
    ["src/core/a.ts", 'import type { S } from "../weights/scope.js";', "core may not import weights"],
    ["src/models/a.ts", 'import { S } from "../weights/scope.js";', "models may not import weights"],
    ["src/models/a.ts", 'import { type S, T } from "../weights/scope.js";', "models may not import weights"],
    ["src/core/a.ts", 'const s = await import("../weights/scope.js");', "core may not import weights"],
    ["src/gpu/a.ts", 'export * from "../weights/scope.js";', "gpu may not import weights"],
    ["src/studio/a.ts", 'import {\n  type S,\n} from "../weights/scope.js";', "studio may not import weights"],
    ["src/cli/a.ts", 'import { a } from "../ops/a.js";', "src/ops/a.ts, which does not exist"],
    ["src/graph/a.ts", 'import code from "../../shaders/a.wgsl";', "graph may not import shaders"],
    ["src/graph/a.ts", 'import "../weights/scope.js";', "graph may not import weights"],
    ["src/new/a.ts", 'import type { Shape } from "../core/shape.js";', "layer new is not known"],
  ])("names the arrow in %s: %s", (path, text, message) => {
    const faults = layerFaults({ ...lib, [path]: text });
    expect(faults).toHaveLength(1);
    expect(faults[0]).toContain(message);
    expect(faults[0]).toContain(path);
  });

  it("finds a cycle, also of types", () => {
    const sources = {
      "src/core/a.ts": 'import type { B } from "./b.js";',
      "src/core/b.ts": 'import { c } from "./c.js";',
      "src/core/c.ts": 'export { a } from "./a.js";',
    };
    expect(layerFaults(sources)).toEqual(["cycle: src/core/a.ts → src/core/b.ts → src/core/c.ts → src/core/a.ts"]);
  });

  it("reads code, not comments", () => {
    const text =
      '// import { a } from "../ops/a.js";\n/* import "../ops/b.js"; */\nconst s = "//";\nimport { c } from "./c.js";';
    expect(importsOf("src/core/x.ts", text)).toEqual([{ target: "src/core/c.ts", typeOnly: false }]);
  });
});
