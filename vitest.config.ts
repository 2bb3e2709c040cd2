import { readFileSync } from "node:fs";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Files that take a minute or more: begun first, so that none of them runs alone at the end. */
const long = [
  "conformance",
  "ops/attention",
  "browser/studio",
  "package/package",
  "pipeline/tasks",
  "cli/batch",
  "cli/cli",
  "pipeline/textToImage",
  "docs/run",
  "docs/gettingStarted",
  "browser/worker",
  "pipeline/sticker",
];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const at = long.findIndex((name) => moduleId.endsWith(`test/${name}.test.ts`));
      return at < 0 ? long.length : at;
    };
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}

export default defineConfig({
  plugins: [
    {
      name: "wgsl", // as the text loader of the build
      enforce: "pre",
      load(id) {
        if (!id.endsWith(".wgsl")) return null;
        this.addWatchFile(id);
        return `export default ${JSON.stringify(readFileSync(id, "utf8"))};`;
      },
    },
  ],
  test: {
    include: ["test/**/*.test.ts"],
    pool: "forks",
    maxWorkers: 3, // on two cores: drivers compile on one thread, commands wait for files
    sequence: { sequencer: LongestFirst },
    testTimeout: 300_000, // software drivers compile slowly when their caches are cold
    hookTimeout: 300_000,
    expect: { poll: { timeout: 60_000 } },
    server: { deps: { inline: ["wgsl_reflect"] } },
  },
});
