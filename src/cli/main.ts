import { WebldmError } from "../core/invariant.js";
import { oneLine } from "../weights/oneLine.js";
import { buildProgram, type Outcome } from "./program.js";

// The launcher passes stderr on when it has to; it knows whether there is a terminal behind.
const columns = process.env["WEBLDM_TERMINAL"];
if (columns) Object.assign(process.stderr, { isTTY: true, columns: Number(columns) });

const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    if (stop.signal.aborted) process.exit(130); // asked twice: now
    stop.abort(new Error("cancelled"));
  });
}

// The launcher was killed in a way that it could not pass on: nobody waits for this process any more.
process.on("disconnect", () => process.exit(1));

// A reader that has seen enough, such as `head`, is no error.
process.stdout.on("error", () => process.exit(0));

const outcome: Outcome = { status: 0 };
try {
  const program = await buildProgram(outcome, stop.signal);
  await program.parseAsync();
} catch (error) {
  outcome.status = statusOf(error);
  if (outcome.status !== 0) process.stderr.write(`webldm: ${messageOf(error)}\n`);
}
// Everything that was printed has to be out before the process, and Dawn's threads with it, ends.
for (const stream of [process.stdout, process.stderr])
  await new Promise<void>((done) => stream.write("", () => done()));
process.exit(outcome.status);

/** Commander's way of ending: `help` and `version` are no errors. */
function isCommanderError(error: unknown): error is Error & { code: string; exitCode: number } {
  return error instanceof Error && "code" in error && String(error.code).startsWith("commander.");
}

/** What the system says of a file or folder that it was asked for: its message names both. */
function isFileError(error: unknown): boolean {
  return error instanceof Error && "syscall" in error && "path" in error;
}

function statusOf(error: unknown): number {
  if (stop.signal.aborted) return 130;
  if (isCommanderError(error)) return error.exitCode === 0 ? 0 : 2;
  const isInput = error instanceof WebldmError && !error.message.startsWith("GPU:");
  return isInput || isFileError(error) ? 2 : 1;
}

function messageOf(error: unknown): string {
  if (stop.signal.aborted) return "cancelled";
  if (isCommanderError(error) && error.code === "commander.help")
    return "expected a command (webldm --help lists them)";
  return oneLine(error).replace(/^error: /, "");
}
