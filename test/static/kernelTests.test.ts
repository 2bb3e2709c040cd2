import { basename } from "node:path";
import { describe, expect, it } from "vitest";
import { filesBelow, readSource } from "../harness/source.js";
import { kernelsIn, opsModules } from "../harness/wgslContract.js";

/** Kernels that no test claims: by the name of its file, or by a line `// kernels: a, b` inside of it. */
function untested(kernels: readonly string[], tests: Readonly<Record<string, string>>): string[] {
  const claimed = new Set<string>();
  for (const [path, text] of Object.entries(tests)) {
    claimed.add(basename(path, ".test.ts"));
    for (const [, names] of text.matchAll(/^\/\/ kernels: (.+)$/gm)) {
      for (const name of names!.split(",")) claimed.add(name.trim());
    }
  }
  return kernels.filter((name) => !claimed.has(name));
}

describe("every kernel", () => {
  it("has a test of its own", async () => {
    const kernels = (await opsModules()).flatMap(({ module }) => kernelsIn(module).map((kernel) => kernel.name));
    const tests = Object.fromEntries(filesBelow("test/ops", ".test.ts").map((path) => [path, readSource(path)]));
    expect(untested(kernels, tests)).toEqual([]);
  });
});

describe("the check itself", () => {
  it("names a kernel that no test claims", () => {
    const tests = { "test/ops/a.test.ts": "// about a", "test/ops/misc.test.ts": "\n// kernels: b, c\n" };
    expect(untested(["a", "b", "c", "d"], tests)).toEqual(["d"]);
  });
});
