import { basename } from "node:path";
import { describe, expect, it } from "vitest";
import { minifyWgsl } from "../../scripts/wgslText.mjs";
import { defineKernel, type Kernel, textOf } from "../../src/core/kernel.js";
import { expandImports } from "../../src/gpu/wgsl.js";
import { filesBelow, readSource } from "../harness/source.js";
import { blankBodies, contractFaults, kernelsIn, opsModules, pairingFaults } from "../harness/wgslContract.js";

const kernels = await Promise.all(
  (await opsModules()).flatMap(({ file, module }) =>
    kernelsIn(module).map(async (kernel) => ({ kernel, name: kernel.name, file, code: await textOf(kernel) })),
  ),
);
const shaders = filesBelow("shaders", ".wgsl").filter((path) => !path.includes("/lib/"));

describe("kernels and their WGSL", () => {
  it("pair up by name", () => {
    expect(
      pairingFaults(
        shaders.map((path) => basename(path, ".wgsl")),
        kernels,
      ),
    ).toEqual([]);
  });

  it("use the text of the file of their name", () => {
    for (const { name, code } of kernels) expect(code, name).toBe(readSource(`shaders/${name}.wgsl`));
  });

  for (const { kernel, name, code: text } of kernels) {
    it(`${name} agree`, async () => {
      expect(contractFaults(kernel, await expandImports(text))).toEqual([]);
    });

    it(`${name} agree after the build has minified the text`, async () => {
      const code = (await expandImports(text)).replace(/^\/\/#import.*$/gm, "");
      const small = minifyWgsl(code);
      expect(small.length).toBeLessThan(code.length);
      expect(contractFaults(kernel, small)).toEqual([]);
    });
  }
});

const code = `
alias T = f32;
const SIZE: u32 = 64;
struct Params { count: u32, eps: f32, }
@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read_write> y: array<T>;
@group(0) @binding(2) var<uniform> params: Params;
@compute @workgroup_size(SIZE) fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < params.count) { y[id.x] = x[id.x] + params.eps; }
}
`;
const sound: Kernel = defineKernel({
  name: "add",
  code,
  reads: ["x"],
  writes: ["y"],
  params: { count: "u32", eps: "f32" },
  consts: ["T", "SIZE"],
});

describe("the check itself", () => {
  it("accepts what agrees, with and without params", () => {
    expect(contractFaults(sound)).toEqual([]);
    const bare = code.replace(/@group\(0\) @binding\(2\).*/, "").replace(/struct Params.*/, "");
    expect(contractFaults({ ...sound, code: bare, params: {} })).toEqual([]);
  });

  it.each<[string, Partial<Kernel>, string]>([
    ["a misspelt binding", { reads: ["input"] }, "binding"],
    ["bindings in another order", { reads: ["y"], writes: ["x"] }, "binding"],
    ["a read that the WGSL writes", { reads: ["x", "y"], writes: [] }, "read_write"],
    ["a binding too many", { reads: ["x", "z"] }, "binding"],
    ["params that the declaration lacks", { params: {} }, "the declaration says nothing"],
    ["fields in another order", { params: { eps: "f32", count: "u32" } }, "params"],
    ["a field of another type", { params: { count: "i32", eps: "f32" } }, "count: i32"],
    ["a field too few", { params: { count: "u32" } }, "params"],
    ["an unknown constant", { consts: ["T", "TILE"] }, "TILE has 0"],
    ["a second declaration of a constant", { code: `${code}\nconst SIZE: u32 = 1;` }, "SIZE has 2"],
    ["another group", { code: code.replace("@group(0) @binding(1)", "@group(1) @binding(1)") }, "@group(1)"],
    ["no entry point", { code: code.replace("fn main", "fn start") }, "main"],
    ["text that is no WGSL", { code: "struct {" }, "does not parse"],
  ])("names %s", (_what, change, message) => {
    const faults = contractFaults({ ...sound, ...change });
    expect(faults.join("\n")).toContain(message);
  });

  it("blanks bodies only", () => {
    const text =
      "struct P { a: u32, }\nfn f(@location(0) a: u32) -> vec2<u32> { if (a > 1) { return b[a]; } }\nconst X = 1;";
    expect(blankBodies(text)).toBe("struct P { a: u32, }\nfn f(@location(0) a: u32) -> vec2<u32> {}\nconst X = 1;");
  });

  it("finds shaders without a kernel and kernels without a shader", () => {
    expect(pairingFaults(["a", "b"], [{ name: "a", file: "a.ts" }])).toHaveLength(1);
    expect(
      pairingFaults(
        ["a"],
        [
          { name: "a", file: "a.ts" },
          { name: "a", file: "b.ts" },
        ],
      ),
    ).toHaveLength(1);
    expect(pairingFaults([], [{ name: "a", file: "a.ts" }])).toHaveLength(1);
  });
});

describe("minified WGSL", () => {
  it("keeps imports, declarations that are rewritten, and tokens apart", () => {
    const text = [
      "// a comment",
      "//#import lib/reduce.wgsl",
      "const SIZE: u32 = 64; // lanes",
      "alias T = f32;",
      "/* block /* nested */ */ fn f(a: i32, b: ptr<function, i32>) -> i32 {",
      "  // inside",
      "  let c: vec2<i32> = vec2<i32>(a - -a, a / *b);",
      "  return select(1, 2,",
      "    a < 3 && c.x >= 2);",
      "}",
    ].join("\n");
    expect(minifyWgsl(text).split("\n")).toEqual([
      "//#import lib/reduce.wgsl",
      "const SIZE: u32 = 64;",
      "alias T = f32;",
      "fn f(a:i32,b:ptr<function,i32>)-> i32{let c:vec2<i32> = vec2<i32>(a - -a,a / *b);return select(1,2,a<3&&c.x>=2);}",
      "",
    ]);
  });
});
