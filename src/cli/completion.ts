import type { Argument, Command, Option } from "commander";
import { invariant } from "../core/invariant.js";

export const shells = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof shells)[number];

/** What can stand in a place of the command line. */
type Value = { readonly choices: readonly string[] } | "file" | "folder" | "other";

interface OptionEntry {
  /** With its dashes. */
  readonly names: readonly string[];
  readonly description: string;
  /** Undefined where it takes none. */
  readonly value: Value | undefined;
}

interface CommandEntry {
  readonly name: string;
  readonly description: string;
  readonly options: readonly OptionEntry[];
  readonly arguments: readonly { readonly name: string; readonly value: Value }[];
}

const files = new Set(["file", "path", "model", "image", "mask", "jobs", "input", "output"]);

/** `webldm completion`: the script with which a shell completes commands, options, choices and files. */
export function completion(program: Command, shell: Shell): string {
  const name = program.name();
  const commands = program.commands.map(entryOf);
  const script = { bash, zsh, fish }[shell];
  invariant(script, `shell: expected ${shells.join(", ")}, got ${shell}`);
  return script(name, commands);
}

function entryOf(command: Command): CommandEntry {
  return {
    name: command.name(),
    description: command.description(),
    options: [...command.options.map(optionEntry), { names: ["--help"], description: "show help", value: undefined }],
    arguments: command.registeredArguments.map((argument: Argument) => ({
      name: argument.name(),
      value: argument.argChoices ? { choices: argument.argChoices } : placeOf(argument.name()),
    })),
  };
}

function optionEntry({ short, long, flags, argChoices, description, required, optional }: Option): OptionEntry {
  const names = [short, long].filter((name) => name !== undefined);
  if (!required && !optional) return { names, description, value: undefined };
  const [, place = ""] = /[<[]([^>\]]+)[>\]]/.exec(flags) ?? [];
  return { names, description, value: argChoices ? { choices: argChoices } : placeOf(place) };
}

const placeOf = (place: string): Value => (place === "folder" ? "folder" : files.has(place) ? "file" : "other");

const indent = (lines: readonly string[], by: number): string => lines.map((line) => " ".repeat(by) + line).join("\n");

function bash(program: string, commands: readonly CommandEntry[]): string {
  const reply = (value: Value): string => {
    if (value === "other") return "";
    if (value === "file") return `_${program}_files -f`;
    return value === "folder" ? `_${program}_files -d` : `_${program}_words "${value.choices.join(" ")}"`;
  };
  const places = new Map<string, string[]>();
  for (const { name, options } of commands) {
    for (const { names, value } of options) {
      if (value === undefined) continue;
      const action = reply(value);
      places.set(action, [...(places.get(action) ?? []), ...names.map((option) => `${name}:${option}`)]);
    }
  }
  const values = [...places].map(([action, patterns]) => `${patterns.join("|")}) ${action}${action && "; "}return ;;`);
  const options = commands.map(
    ({ name, options }) => `${name}) words="${options.flatMap(({ names }) => names).join(" ")}" ;;`,
  );
  // Which of the arguments is meant cannot be told from here without parsing: the first that completes stands for all.
  const operands = commands.flatMap(({ name, arguments: all }) => {
    const place = all.find(({ value }) => value !== "other");
    return place ? [`${name}) ${reply(place.value)} ;;`] : [];
  });
  return `# Completion of ${program} in bash: source <(${program} completion bash)
_${program}_words() {
  COMPREPLY=($(compgen -W "$1" -- "$cur"))
}
_${program}_files() {
  local IFS=$'\\n'
  compopt -o filenames 2>/dev/null
  COMPREPLY=($(compgen "$1" -- "$cur"))
}
_${program}() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD - 1]}" command="\${COMP_WORDS[1]}" words=""
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    _${program}_words "${commands.map(({ name }) => name).join(" ")} --help --version"
    return
  fi
  case "$command:$prev" in
${indent(values, 4)}
  esac
  if [[ $cur == -* ]]; then
    case "$command" in
${indent(options, 6)}
    esac
    _${program}_words "$words"
    return
  fi
  case "$command" in
${indent(operands, 4)}
  esac
}
complete -F _${program} ${program}
`;
}

/** Between single quotes, in which a shell reads nothing else. */
const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

function zsh(program: string, commands: readonly CommandEntry[]): string {
  const plain = (text: string) => text.replace(/[\\[\]:]/g, "\\$&");
  const action = (value: Value): string => {
    if (value === "other") return " ";
    if (value === "file") return "_files";
    return value === "folder" ? "_files -/" : `(${value.choices.join(" ")})`;
  };
  const specs = ({ options, arguments: all }: CommandEntry) => [
    ...options.flatMap(({ names, description, value }) =>
      names.map((name) => `${name}[${plain(description)}]${value === undefined ? "" : `:value:${action(value)}`}`),
    ),
    ...all.map(({ name, value }, i) => `${i + 1}:${plain(name)}:${action(value)}`),
  ];
  return `#compdef ${program}
# Completion of ${program} in zsh: source <(${program} completion zsh)
_${program}() {
  local curcontext="$curcontext" state line
  local -a commands=(
${indent(
  commands.map(({ name, description }) => quoted(`${name}:${plain(description)}`)),
  4,
)}
  )
  _arguments -C '--help[show help]' '--version[tell the version]' '1:command:->command' '*::argument:->argument'
  case $state in
    command) _describe command commands ;;
    argument)
      case $words[1] in
${indent(
  commands.map((command) => `${command.name}) _arguments ${specs(command).map(quoted).join(" ")} ;;`),
  8,
)}
      esac
      ;;
  esac
}
if [[ $funcstack[1] == _${program} ]]; then _${program} "$@"; else compdef _${program} ${program}; fi
`;
}

function fish(program: string, commands: readonly CommandEntry[]): string {
  const text = (words: string) => `'${words.replace(/[\\']/g, "\\$&")}'`;
  const lines = commands.flatMap(({ name, description, options, arguments: all }) => {
    const within = `complete -c ${program} -n '__fish_seen_subcommand_from ${name}'`;
    const place = all.find(({ value }) => value !== "other");
    return [
      `complete -c ${program} -n __fish_use_subcommand -a ${name} -d ${text(description)}`,
      ...(place ? [`${within} ${offered(place.value)}`] : []),
      ...options.map(({ names, description: words, value }) => {
        const flags = names.map((option) =>
          option.startsWith("--") ? `-l ${option.slice(2)}` : `-s ${option.slice(1)}`,
        );
        const takes = value === undefined ? [] : ["-r", offered(value)];
        return [within, ...flags, ...takes, `-d ${text(words)}`].join(" ");
      }),
    ];
  });
  return `# Completion of ${program} in fish: ${program} completion fish | source
complete -c ${program} -f
${lines.join("\n")}
`;

  function offered(value: Value): string {
    if (value === "other") return "-f";
    if (value === "file") return "-F";
    return value === "folder" ? "-f -a '(__fish_complete_directories)'" : `-f -a ${text(value.choices.join(" "))}`;
  }
}
