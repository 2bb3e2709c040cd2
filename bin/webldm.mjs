#!/usr/bin/env node
// Starts the command line. A machine without a GPU needs a software driver in the environment before the process that
// runs Dawn begins (see `vulkan.mjs`): then, and only then, the command line runs in a child process.
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { fileURLToPath } from "node:url";
import { prepareVulkan } from "./vulkan.mjs";

const cli = new URL("../dist/cli.js", import.meta.url);
const { env } = await prepareVulkan();
if (Object.keys(env).length === 0) {
  await import(cli.href);
} else {
  const args = [...process.execArgv, fileURLToPath(cli), ...process.argv.slice(2)];
  // Dawn tells of two harmless limits of these drivers each time, from native code; the lines are taken out on the way.
  // What a terminal shows has to pass here then, so the child is told that there is one.
  const terminal = process.stderr.isTTY ? { WEBLDM_TERMINAL: String(process.stderr.columns ?? 80) } : {};
  const child = spawn(process.execPath, args, {
    stdio: ["inherit", "inherit", "pipe", "ipc"], // the channel tells the child when this process is killed
    env: { ...process.env, ...env, ...terminal },
  });
  child.stderr.setEncoding("utf8").on("data", (/** @type {string} */ text) => {
    process.stderr.write(text.replace(/^Warning: max\w+ artificially reduced .*\n/gm, ""));
  });
  for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM", "SIGHUP"])) {
    // The terminal sends an interrupt to both of us; the child decides what becomes of it.
    process.on(signal, () => (signal === "SIGINT" && process.stdin.isTTY ? undefined : child.kill(signal)));
  }
  child.on("error", (error) => {
    console.error(`webldm: ${error.message}`);
    process.exit(1);
  });
  child.on("close", (code, signal) => process.exit(code ?? 128 + (signal ? constants.signals[signal] : 0)));
}
