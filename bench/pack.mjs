// `node bench/pack.mjs`: everything that the bench runs on a bare machine with a GPU, bundled into `.gpu-bench/`. There it
// takes node, the package `webgpu`, puppeteer-core with a Chromium (CHROME_PATH, CHROME_GPU_FLAGS, DAWN_GPU_FLAGS), and
// for `--torch` python3 with PyTorch. Prints the commands to run there, each of which ends within eight minutes.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const out = ".gpu-bench";

/** Bundles and what their entry is; pages are put into Chrome by `chrome.mjs`. */
const bundles = {
  "node.mjs": "bench/node.ts",
  "chrome.mjs": "bench/chrome.ts",
  "page.mjs": "bench/speed/page.ts",
  "loadingPage.mjs": "bench/loadingPage.ts",
};

process.chdir(root);
rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
for (const [name, entry] of Object.entries(bundles)) {
  execFileSync(process.execPath, ["scripts/run.mjs", entry, "--bundle", join(out, name)], { stdio: "inherit" });
}
execFileSync(process.execPath, ["scripts/run.mjs", "bench/peers/gather.ts", join(out, "peers")], { stdio: "inherit" });
copyFileSync("bench/torch.py", join(out, "torch.py"));
copyFileSync("weights/tokenizers/clip/merges.txt", join(out, "merges.txt"));
const commit = execFileSync("git", ["describe", "--always", "--dirty"], { encoding: "utf8" }).trim();
const lines = [
  `BENCH_ROOT=$(cd "$(dirname "\${BASH_SOURCE[0]}")" && pwd)`,
  `export BENCH_COMMIT=${commit} BENCH_SPEED_PAGE=$BENCH_ROOT/page.mjs BENCH_LOADING_PAGE=$BENCH_ROOT/loadingPage.mjs`,
  "export BENCH_PEERS=$BENCH_ROOT/peers BENCH_MERGES=$BENCH_ROOT/merges.txt BENCH_TORCH=$BENCH_ROOT/torch.py",
];
writeFileSync(join(out, "env.sh"), `${lines.join("\n")}\n`);

/** @param {string} folder @returns {number} */
const bytesOf = (folder) =>
  readdirSync(folder, { withFileTypes: true }).reduce((sum, entry) => {
    const path = join(folder, entry.name);
    return sum + (entry.isDirectory() ? bytesOf(path) : statSync(path).size);
  }, 0);
const size = bytesOf(out);
if (size > 25e6) throw new Error(`${out} holds ${size} bytes, more than the 25 MB that travel`);

const node = `node ${out}/node.mjs`;
const chrome = `node ${out}/chrome.mjs`;
const commands = [
  `${node} --cases --out "$OUT"`,
  `${node} --cases --without matrix --out "$OUT"`,
  `${node} --cases --without matrix,f16 --out "$OUT"`,
  `${node} --models --further --out "$OUT"`,
  `${node} --kernels --out "$OUT"`,
  `${chrome} --cases --out "$OUT"`,
  `${chrome} --kernels --models --out "$OUT"`,
  `${node} --growth --seconds 130 --out "$OUT"`,
  `${chrome} --cold --out "$OUT"`,
  `${chrome} --peers --out "$OUT"`,
  `${chrome} --peers --dtype f32 --out "$OUT"`,
  `${chrome} --peers --only "UNet batch 1" --runs 20 --out "$OUT"`,
  `${chrome} --peers --only "UNet batch 2" --runs 20 --out "$OUT"`,
  `python3 ${out}/torch.py --out "$OUT"`,
];
console.log(
  `${out}: ${(size / 1e6).toFixed(1)} MB. On the other machine, in this folder's parent, OUT being a folder for results:`,
);
console.log(`  . ${out}/env.sh`);
for (const command of commands) console.log(`  ${command}`);
