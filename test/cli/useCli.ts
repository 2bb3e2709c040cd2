// The command line as it is built, from the sources of this moment, in a folder of its own.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { build } from "esbuild";
import { afterAll, beforeAll } from "vitest";
import { wgslPlugin } from "../../scripts/wgslText.mjs";
import { testDevices } from "../harness/adapters.js";
import { root } from "../harness/source.js";

/** The adapter that commands run on; undefined where the machine has none. */
export const cliDevice = testDevices
  .filter(({ missing }) => !missing)
  .sort((a, b) => Number(b.hasF16) - Number(a.hasF16))[0];

const adapters = { swiftshader: "SwiftShader", lavapipe: "llvmpipe", gpu: "" };

/** What a command ended with. */
export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  /** What webldm itself said. */
  readonly errors: string[];
}

export interface RunOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** Milliseconds until Ctrl-C. */
  readonly interruptAfter?: number;
  /** Gets the process when it has started. */
  readonly onStart?: (child: ChildProcess) => void;
}

/** Builds the command line before the tests of a file, and cleans up after them. Commands run in `folder`. */
export function useCli() {
  const folder = mkdtempSync(join(tmpdir(), "webldm-cli-"));
  const bundles = join(root, "node_modules/.cache/webldm-test");
  const cli = join(bundles, `cli-${process.pid}-${Math.random().toString(36).slice(2)}.mjs`);

  beforeAll(async () => {
    mkdirSync(bundles, { recursive: true });
    await build({
      entryPoints: [join(root, "src/cli/main.ts")],
      outfile: cli,
      bundle: true,
      format: "esm",
      platform: "node",
      target: "node20",
      packages: "external",
      plugins: [wgslPlugin()],
      logLevel: "error",
    });
  });
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
    rmSync(cli, { force: true });
  });

  /** Runs a program with what the command line needs to find the adapter. */
  const start = (program: string, args: readonly string[], { env = {}, interruptAfter, onStart }: RunOptions = {}) =>
    new Promise<Ended>((done, fail) => {
      const adapter = cliDevice ? adapters[cliDevice.name] : "";
      const environment = { ...process.env, ...(adapter ? { WEBLDM_ADAPTER: adapter } : {}), ...env };
      const child = spawn(program, args, { cwd: folder, env: environment });
      let stdout = "";
      let stderr = "";
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        stdout += text;
      });
      child.stderr.setEncoding("utf8").on("data", (text: string) => {
        stderr += text;
      });
      if (interruptAfter !== undefined) setTimeout(() => child.kill("SIGINT"), interruptAfter);
      child.on("error", fail);
      child.on("close", (status) => {
        // Dawn's own warnings about limits come from native code.
        const errors = stderr.split("\n").filter((line) => line !== "" && !line.startsWith("Warning: max"));
        done({ status, stdout, errors });
      });
      onStart?.(child);
    });

  const run = (args: readonly string[], options: RunOptions = {}) => start(process.execPath, [cli, ...args], options);

  return { folder, cli, run, start };
}
