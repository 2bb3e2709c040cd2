import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Command, Option } from "commander";
import { buildProgram } from "../../src/cli/program.js";
import { readSource, root } from "../harness/source.js";

interface PackageFile {
  readonly scripts: Readonly<Record<string, string>>;
  readonly peerDependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

const manifest = JSON.parse(readSource("package.json")) as PackageFile;
const program = await buildProgram({ status: 0 }, new AbortController().signal);

/** Commands of a text in shell, as words: comments left out, lines that end in a backslash joined. */
export function commandsOf(text: string): string[][] {
  const commands: string[][] = [];
  // What a synopsis has in brackets may be left out.
  for (const line of text
    .replace(/\\\n/g, " ")
    .replace(/\[--[^\]]*\]/g, "")
    .split("\n")) {
    let words: string[] = [];
    for (const [word] of line.matchAll(/#.*$|&&|\|\||[|;&]|(?:"[^"]*"|'[^']*'|[^\s"'|;&])+/g)) {
      if (word.startsWith("#")) continue;
      if (/^(&&|[|;&]+)$/.test(word)) {
        commands.push(words);
        words = [];
      } else words.push(word.replace(/["']/g, ""));
    }
    commands.push(words);
  }
  return commands.filter((words) => words.length > 0);
}

/** Words of the shell and of other programs, which say nothing about this repository. */
const foreign = new Set(["cd", "cp", "mkdir", "git", "kubectl", "sbatch", "squeue", "docker", "cat", "export"]);

/** What is wrong with a command; undefined where every script, file and option in it exists. */
export function problemOf(words: readonly string[]): string | undefined {
  const [name = "", ...rest] = words.filter((word, i) => i > 0 || !/^[A-Z_]+=/.test(word));
  if (/^[A-Z_]+=/.test(words[0] ?? "")) return words.length > 1 ? problemOf(words.slice(1)) : undefined;
  if (foreign.has(name)) return undefined;
  if (name === "webldm") return problemOfWebldm(rest);
  if (name === "npx") return problemOfNpx(rest);
  if (name === "npm") return problemOfNpm(rest);
  if (name === "node" && rest[0] === "bin/webldm.mjs") return problemOfWebldm(rest.slice(1));
  if (["node", "python3", "bash"].includes(name)) return problemOfFile(rest);
  return isInstalled(name) ? undefined : `${name} is no command that this test knows`;
}

/** A program of a package that `npm ci` installs. */
const isInstalled = (name: string): boolean => existsSync(join(root, "node_modules/.bin", name));

function problemOfNpx([name, ...rest]: readonly string[]): string | undefined {
  if (name === "webldm") return problemOfWebldm(rest);
  return name && isInstalled(name) ? undefined : `npx ${name}: not installed by npm ci`;
}

function problemOfNpm([what = "", ...rest]: readonly string[]): string | undefined {
  if (["ci", "init", "pack"].includes(what)) return undefined;
  if (what === "install") {
    const known = { ...manifest.peerDependencies, ...manifest.devDependencies, webldm: "" };
    const unknown = rest.find((word) => !word.startsWith("-") && !(word in known) && !/\.tgz$|^\$WEBLDM$/.test(word));
    return unknown && `npm install: ${unknown} is no package that webldm works with`;
  }
  const name = what === "run" ? rest[0]! : what;
  const script = manifest.scripts[name];
  if (!script || (what !== "run" && !["start", "test"].includes(what))) return `npm ${what}: no script ${name}`;
  const options = rest.slice(what === "run" ? 1 : 0);
  if (options.length > 0 && options[0] !== "--") return `npm run ${name}: options come after --`;
  return problemOf([...script.split(" "), ...options.slice(1)]);
}

/** A file of this repository, and options that it or a file beside it mentions. */
function problemOfFile([path = "", ...rest]: readonly string[]): string | undefined {
  if (!existsSync(join(root, path))) return path.startsWith("node_modules/") ? undefined : `${path}: no such file`;
  if (path === "scripts/run.mjs" && rest[0]) return problemOfFile(rest);
  const folder = join(root, dirname(path));
  const sources = readdirSync(folder).filter((name) => /\.(ts|mjs|py|sh)$/.test(name));
  const text = sources.map((name) => readFileSync(join(folder, name), "utf8")).join("\n");
  const unknown = rest.find((word) => word.startsWith("--") && !new RegExp(`\\b${word.slice(2)}\\b`).test(text));
  return unknown && `${path}: no option ${unknown}`;
}

/** Reads the words as the command line would, but runs nothing. */
function problemOfWebldm(words: readonly string[]): string | undefined {
  const [name = "", ...rest] = words;
  if (["--help", "--version", "-h", "-V"].includes(name)) return undefined;
  const command = program.commands.find((candidate: Command) => candidate.name() === name);
  if (!command) return `webldm ${name}: no such command`;
  const given: string[] = [];
  for (let i = 0; i < rest.length; i++) {
    const word = rest[i]!;
    if (!word.startsWith("-")) {
      given.push(word);
      continue;
    }
    const option: Option | undefined = command.options.find(({ long, short }) => long === word || short === word);
    if (!option) {
      if (word === "--help") continue;
      return `webldm ${name}: no option ${word}`;
    }
    if (!option.required && !option.optional) continue;
    const value = rest[++i];
    if (value === undefined) return `webldm ${name}: ${word} needs a value`;
    if (option.argChoices && !option.argChoices.includes(value)) return `webldm ${name}: ${word} is never ${value}`;
  }
  const places = command.registeredArguments;
  const least = places.filter(({ required }) => required).length;
  const most = places.some(({ variadic }) => variadic) ? Number.POSITIVE_INFINITY : places.length;
  if (!rest.includes("--help") && (given.length < least || given.length > most)) {
    return `webldm ${name}: takes ${least} to ${most} arguments, got ${given.join(" ") || "none"}`;
  }
  return undefined;
}
