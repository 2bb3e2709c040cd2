// Makes this folder from the full reference data: see README.md.
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { GoldenFile } from "../../src/cli/conformance/goldenFile.js";
import { parsePythonJson } from "../../src/core/json.js";
import { writeSafetensors } from "../../src/weights/writer.js";

const [from, to] = process.argv.slice(2) as [string, string];

/** Operations that take more than this are left out, but for those named below. */
const largestOp = 65536;
const keptOps = ["attention.01"];

interface Entry {
  readonly id?: string;
  readonly scheduler?: string;
  readonly sampler?: string;
}

function copy(path: string): void {
  mkdirSync(dirname(join(to, path)), { recursive: true });
  cpSync(join(from, path), join(to, path), { recursive: true });
}

/** Copies the tensors of a file that a test asks for. */
async function copyTensors(path: string, wanted: (name: string) => boolean): Promise<void> {
  const file = await GoldenFile.open(join(from, path));
  const kept = [...file.tensors.values()].filter(({ name }) => wanted(name));
  const tensors = await Promise.all(
    kept.map(async (tensor) => ({ ...tensor, bytes: await tensor.source.read(tensor.begin, tensor.end) })),
  );
  mkdirSync(dirname(join(to, path)), { recursive: true });
  writeFileSync(join(to, path), writeSafetensors(tensors));
}

const read = (path: string): unknown => parsePythonJson(readFileSync(join(from, path), "utf8"));
function write(path: string, value: unknown): void {
  mkdirSync(dirname(join(to, path)), { recursive: true });
  writeFileSync(join(to, path), `${JSON.stringify(value)}\n`);
}

const withoutMid = (name: string): boolean => !name.startsWith("mid.");
/** `conv2d.00` of `conv2d.00.in.x`. */
const idOf = (name: string): string => name.split(".").slice(0, 2).join(".");

async function copyOps(): Promise<void> {
  const file = await GoldenFile.open(join(from, "ops/ops.safetensors"));
  const bytes = new Map<string, number>();
  for (const { name, begin, end } of file.tensors.values()) {
    bytes.set(idOf(name), (bytes.get(idOf(name)) ?? 0) + end - begin);
  }
  const keep = (id: string): boolean => keptOps.includes(id) || (bytes.get(id) ?? 0) <= largestOp;
  write("ops/ops.json", (read("ops/ops.json") as Entry[]).filter(({ id }) => keep(id!)));
  await copyTensors("ops/ops.safetensors", (name) => keep(idOf(name)));
  copy("ops/dtypes.safetensors");
  for (const file of ["pickle_zip.ckpt", "pickle_legacy.ckpt", "pickle_expected.safetensors"]) copy(`ops/${file}`);
}

async function copySamplers(): Promise<void> {
  const ddim = (read("samplers/diffusers.json") as Entry[]).filter(({ scheduler }) => scheduler === "DDIMScheduler");
  write("samplers/diffusers.json", ddim);
  await copyTensors("samplers/diffusers.safetensors", (name) => ddim.some(({ id }) => name.startsWith(`${id}.`)));
  const compvis = (read("samplers/compvis.json") as Entry[]).filter(({ sampler }) => sampler === "ddim");
  write("samplers/compvis.json", compvis);
  await copyTensors("samplers/compvis.safetensors", (name) => compvis.some(({ id }) => name.startsWith(`${id}.`)));
  const schedules = read("samplers/schedules.json") as { base_config: unknown; entries: Entry[] };
  const entries = schedules.entries.filter(({ scheduler }) => scheduler === "DDIMScheduler");
  write("samplers/schedules.json", { ...schedules, entries });
  for (const name of ["betas.json", "betas.safetensors", "compvis_betas.safetensors", "compvis_timesteps.json"]) {
    copy(`samplers/${name}`);
  }
}

async function copyModel(name: string, cases: readonly number[]): Promise<void> {
  copy(`${name}.config.json`);
  copy(`${name}.weights.safetensors`);
  for (const k of cases) await copyTensors(`${name}.c${k}.io.safetensors`, withoutMid);
}

await copyOps();
await copySamplers();
await copyModel("clip/sd1", [0, 1]);
await copyModel("vae/kl", [1, 2]);
await copyModel("unet/sd1", [0, 1, 2, 3]);
copy("ldm/sd-diffusers");
await copyTensors("ldm/sd-diffusers.io.safetensors", (name) => !name.startsWith("out.pndm."));
write("index.json", { "ldm/sd": (read("index.json") as Record<string, unknown>)["ldm/sd"] });
