import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { completion, shells } from "../../src/cli/completion.js";
import { buildProgram } from "../../src/cli/program.js";

const folder = mkdtempSync(join(tmpdir(), "webldm-completion-"));
let program: Command;
beforeAll(async () => {
  program = await buildProgram({ status: 0 }, new AbortController().signal);
  for (const shell of shells) writeFileSync(join(folder, `webldm.${shell}`), completion(program, shell));
  for (const name of ["picture one.png", "model"]) writeFileSync(join(folder, name), "");
});
afterAll(() => rmSync(folder, { recursive: true }));

const missing = (shell: string): boolean => spawnSync(shell, ["-c", "exit 0"]).status !== 0;

describe.each(shells)("completion in %s", (shell) => {
  it("knows every command and every option", () => {
    const script = completion(program, shell);
    expect(program.commands.length).toBeGreaterThan(10);
    for (const command of program.commands) {
      expect(script).toContain(command.name());
      for (const { long, argChoices } of command.options) {
        expect(script).toContain(shell === "fish" ? `-l ${long!.slice(2)}` : long);
        if (argChoices) expect(script).toContain(argChoices.join(" "));
      }
    }
  });

  it("is a script of that shell", (context) => {
    if (missing(shell)) return context.skip(`${shell} is not on this machine`);
    const { status, stderr } = spawnSync(shell, ["-n", join(folder, `webldm.${shell}`)], { encoding: "utf8" });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  });
});

describe.skipIf(missing("bash"))("what bash completes", () => {
  const complete = (words: readonly string[]): string[] => {
    const script = `source ./webldm.bash; COMP_WORDS=(webldm "$@"); COMP_CWORD=$#; _webldm; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const out = execFileSync("bash", ["-c", script, "bash", ...words], { cwd: folder, encoding: "utf8" });
    return out.trim() === "" ? [] : out.trim().split("\n");
  };

  it.each<[string[], string[]]>([
    [["ge"], ["generate"]],
    [["in"], ["inpaint", "inspect"]],
    [
      ["img2img", "--s"],
      ["--steps", "--sampler", "--spacing", "--seed", "--strength"],
    ],
    [
      ["batch", "jobs.jsonl", "--sampler", "d"],
      ["ddim", "ddpm", "dpm++"],
    ],
    [
      ["convert", "--dtype", ""],
      ["f16", "f32", "bf16"],
    ],
    [["img2img", "pic"], ["picture one.png"]],
    [["generate", "--model", "mo"], ["model"]],
    [["generate", "--steps", ""], []],
    [["generate", "pic"], []],
    [["completion", ""], [...shells]],
  ])("%j", (words, expected) => {
    expect(complete(words)).toEqual(expected);
  });
});
