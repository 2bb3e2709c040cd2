// `npm run bench:node`: measures the embedded model in Node over Dawn and writes the figures to bench/results.
import { openAdapter } from "../src/cli/dawn.js";
import { createEngine } from "../src/pipeline/engine.js";
import { folderFromPath } from "../src/weights/node.js";
import { benchOptions, save } from "./options.js";
import { runSuite, show } from "./suite.js";

const { model, out, dtype, ...options } = benchOptions();
const engine = await createEngine({ adapter: await openAdapter(), ...(dtype ? { dtype } : {}) });
const { result } = await runSuite(engine, await folderFromPath(model), options);
console.log(show(result));
console.log(save(out, `node-${process.versions.node.split(".")[0]}`, result));
engine.dispose();
process.exit(0); // Dawn's threads would keep the process alive
