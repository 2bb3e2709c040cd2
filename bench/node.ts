// `npm run bench:node`: measures in Node over Dawn. Without options, the embedded model; with `--full`, or some of
// `--cases --further --models --kernels --growth`, Stable Diffusion 1.5 with random weights.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { openAdapter } from "../src/cli/dawn.js";
import { createEngine } from "../src/pipeline/engine.js";
import { folderFromPath } from "../src/weights/node.js";
import { benchOptions, save } from "./options.js";
import { compareReports, showComparison } from "./speed/compare.js";
import { finish } from "./speed/finish.js";
import { runJob } from "./speed/job.js";
import { speedOptions } from "./speed/options.js";
import { readReport } from "./speed/report.js";
import { runSuite, show } from "./suite.js";

const major = `node-${process.versions.node.split(".")[0]}`;

function dawnVersion(): string {
  const path = join(dirname(createRequire(import.meta.url).resolve("webgpu")), "package.json");
  return JSON.parse(readFileSync(path, "utf8")).version;
}

async function embedded(): Promise<void> {
  const { model, out, dtype, ...options } = benchOptions();
  const engine = await createEngine({ adapter: await openAdapter(), ...(dtype ? { dtype } : {}) });
  const { result } = await runSuite(engine, await folderFromPath(model), options);
  console.log(show(result));
  console.log(save(out, major, result));
  engine.dispose();
}

// Dawn rounds timestamps to 65 microseconds, more than most kernels take, unless told not to.
const flags = process.env["DAWN_GPU_FLAGS"] ?? "";
process.env["DAWN_GPU_FLAGS"] = flags.includes("disable-dawn-features=")
  ? flags.replace("disable-dawn-features=", "disable-dawn-features=timestamp_quantization,")
  : `${flags} disable-dawn-features=timestamp_quantization`.trim();

const options = speedOptions(process.argv.slice(2));
if (options?.compare) {
  const rows = compareReports(readReport(options.compare[0]), readReport(options.compare[1]));
  console.log(showComparison(rows));
  process.exit(rows.some(({ worse }) => worse) ? 1 : 0);
} else if (options) {
  const result = await runJob(await openAdapter(), options.job, (line) => console.log(line));
  finish("node", { node: process.versions.node, webgpu: dawnVersion() }, result, options);
} else {
  await embedded();
}
process.exit(0); // Dawn's threads would keep the process alive
