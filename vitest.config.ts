import { readFileSync } from "node:fs";
import { defineConfig } from "vitest/config";

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
    maxWorkers: 2,
    testTimeout: 300_000, // software drivers compile slowly when their caches are cold
    hookTimeout: 180_000,
    server: { deps: { inline: ["wgsl_reflect"] } },
  },
});
