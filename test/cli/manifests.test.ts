// The manifests of docs/batch: what clusters are told there is what the command line understands, and does.
import { chmodSync, cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { buildProgram } from "../../src/cli/program.js";
import { root } from "../harness/source.js";
import { cliDevice, useCli } from "./useCli.js";

const { folder, cli, run, start } = useCli();
const sticker = join(root, "weights/sticker");
const reason = !cliDevice ? " [no adapter]" : existsSync(sticker) ? "" : " [weights/sticker is not there]";
const script = join(root, "docs/batch/slurm.sh");

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly completionMode: string;
    readonly completions: number;
    readonly parallelism: number;
    readonly backoffLimitPerIndex: number;
    readonly template: { readonly spec: PodSpec };
  };
}

interface PodSpec {
  readonly restartPolicy: string;
  readonly containers: readonly {
    readonly name: string;
    readonly image: string;
    readonly command: readonly string[];
    readonly args: readonly string[];
    readonly env: readonly { readonly name: string; readonly value: string }[];
    readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
  }[];
  readonly volumes: readonly { readonly name: string }[];
}

const manifest = parse(readFileSync(join(root, "docs/batch/kubernetes.yaml"), "utf8")) as Manifest;
const [container] = manifest.spec.template.spec.containers;
const lines = readFileSync(script, "utf8").trim().split("\n");

/** Words of a command that the command line does not know as options of `batch`. */
async function unknownOptions(words: readonly string[]): Promise<string[]> {
  const program = await buildProgram({ status: 0 }, new AbortController().signal);
  const batch = program.commands.find((command) => command.name() === "batch")!;
  return batch.parseOptions([...words]).unknown;
}

describe("the manifest of Kubernetes", () => {
  it("is an Indexed Job whose pods know how many they are", () => {
    expect(manifest).toMatchObject({
      apiVersion: "batch/v1",
      kind: "Job",
      metadata: { name: expect.stringMatching(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/) },
      spec: { completionMode: "Indexed", template: { spec: { restartPolicy: "Never" } } },
    });
    const { completions, parallelism, backoffLimitPerIndex } = manifest.spec;
    expect(parallelism).toBe(completions);
    expect(backoffLimitPerIndex).toBeGreaterThan(0);
    expect(container!.env).toContainEqual({ name: "JOB_COMPLETIONS", value: String(completions) });
    for (const { name, value } of container!.env) expect([name, typeof value]).toEqual([name, "string"]);
  });

  it("mounts every volume that it names, and reads and writes on them", () => {
    const { volumes } = manifest.spec.template.spec;
    expect(container!.volumeMounts.map(({ name }) => name)).toEqual(volumes.map(({ name }) => name));
    const { mountPath } = container!.volumeMounts[0]!;
    const paths = [...container!.command, ...container!.args].filter((word) => word.startsWith("/"));
    expect(paths).toHaveLength(3);
    for (const path of paths) expect(path.startsWith(`${mountPath}/`)).toBe(true);
  });

  it("leaves the shard to the environment, and gives options that there are", async () => {
    const [program, command, ...rest] = [...container!.command, ...container!.args];
    expect([program, command]).toEqual(["webldm", "batch"]);
    expect(rest).not.toContain("--shard");
    for (const word of rest) expect(typeof word).toBe("string");
    expect(await unknownOptions(rest)).toEqual([]);
  });
});

describe("the script of Slurm", () => {
  it("is an array, leaves the shard to the environment, and gives options that there are", async () => {
    const options = lines.filter((line) => line.startsWith("#SBATCH "));
    expect(options.length).toBeGreaterThan(0);
    for (const option of options) expect(option).toMatch(/^#SBATCH --[a-z-]+=\S+$/);
    expect(options).toContainEqual(expect.stringMatching(/ --array=0-\d+$/));
    const firstCommand = lines.findIndex((line) => !line.startsWith("#"));
    expect(lines.findLastIndex((line) => line.startsWith("#SBATCH"))).toBeLessThan(firstCommand); // Slurm reads no further
    const words = lines.at(-1)!.replaceAll('"', "").split(" ");
    expect(words.slice(0, 3)).toEqual(["exec", "webldm", "batch"]);
    expect(words).not.toContain("--shard");
    expect(await unknownOptions(words.slice(3))).toEqual([]);
  });
});

describe.skipIf(reason !== "")(`both run${reason}`, () => {
  const minutes = 60_000;
  const pictures = (out: string) => readdirSync(join(folder, out)).filter((name) => name.endsWith(".png"));
  // Lines say what the manifests leave open to them; here, that the pictures be small.
  const writeJobs = (name: string, count: number) => {
    const job = { prompt: "a fox", steps: 1, width: 32, height: 32 };
    writeFileSync(
      join(folder, name),
      Array<string>(count)
        .fill(`${JSON.stringify(job)}\n`)
        .join(""),
    );
  };

  it(
    "two pods of Kubernetes draw what falls to them",
    async () => {
      cpSync(sticker, join(folder, "model"), { recursive: true });
      const { completions } = manifest.spec;
      writeJobs("jobs.jsonl", completions + 2);
      const words = [...container!.command.slice(1), ...container!.args].map((word) => word.replace("/data/", "./"));
      const env = Object.fromEntries(container!.env.map(({ name, value }) => [name, value]));
      for (const index of ["0", "1"]) {
        const { status, errors } = await run(words, { env: { ...env, JOB_COMPLETION_INDEX: index } });
        expect({ status, errors }).toEqual({ status: 0, errors: [] });
      }
      const name = (index: number) => `${String(index).padStart(6, "0")}.png`;
      expect(pictures("samples")).toEqual([0, 1, completions, completions + 1].map(name));
    },
    2 * minutes,
  );

  it(
    "two tasks of a Slurm array draw all",
    async () => {
      writeJobs("few.jsonl", 3);
      const command = join(folder, "webldm");
      writeFileSync(command, `#!/bin/sh\nexec "${process.execPath}" "${cli}" "$@"\n`);
      chmodSync(command, 0o755);
      const env = {
        PATH: `${folder}${delimiter}${process.env["PATH"]}`,
        JOBS: "few.jsonl",
        MODEL: sticker,
        OUT: "array",
        SLURM_ARRAY_TASK_MIN: "0",
        SLURM_ARRAY_TASK_COUNT: "2",
      };
      for (const index of ["0", "1"]) {
        const { status, errors } = await start("bash", [script], { env: { ...env, SLURM_ARRAY_TASK_ID: index } });
        expect({ status, errors }).toEqual({ status: 0, errors: [] });
      }
      expect(pictures("array")).toEqual(["000000.png", "000001.png", "000002.png"]);
    },
    2 * minutes,
  );
});
