import { spawnSync } from "node:child_process";

/** Runs `bench/torch.py`, which does the same work with PyTorch, with the options that are not this bench's own. */
export function runTorch(args: readonly string[]): void {
  const script = process.env["BENCH_TORCH"] ?? "bench/torch.py";
  const { status, error } = spawnSync("python3", [script, ...args.filter((arg) => arg !== "--torch")], {
    stdio: "inherit",
  });
  if (error) throw new Error(`--torch: expected python3 with PyTorch: ${error.message}`);
  process.exitCode = status ?? 1;
}
