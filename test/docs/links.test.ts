import { existsSync, statSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";
import { describe, expect, it } from "vitest";
import { readSource, root } from "../harness/source.js";
import { pages } from "./pages.js";

/** Markdown without its blocks of code, whose brackets are none of links. */
const prose = (markdown: string): string =>
  markdown.replace(/^(`{3,})[^\n]*\n[\s\S]*?\n\1\s*$/gm, "").replace(/`[^`\n]+`/g, "`code`");

/** Anchors that GitHub and TypeDoc give to headings: lower case, spaces as dashes, punctuation left out. */
function anchors(markdown: string): Set<string> {
  const found = new Set<string>();
  const fenceless = markdown.replace(/^(`{3,})[^\n]*\n[\s\S]*?\n\1\s*$/gm, "");
  for (const [, heading = ""] of fenceless.matchAll(/^#{1,6} +(.+?)\s*$/gm)) {
    const text = heading.toLowerCase().replace(/[`*_]|\[|\]\([^)]*\)/g, "");
    const plain = text.replace(/[^\p{L}\p{N} -]/gu, "").replaceAll(" ", "-");
    let name = plain;
    for (let i = 1; found.has(name); i++) name = `${plain}-${i}`;
    found.add(name);
  }
  return found;
}

/** What is wrong with the links of a page. */
function broken(page: string, markdown: string): string[] {
  const problems: string[] = [];
  const links = prose(markdown).matchAll(/\]\(([^)\s]+)(?: "[^"]*")?\)/g);
  for (const [, link = ""] of links) {
    if (/^(https:|mailto:)/.test(link)) continue;
    const [path = "", anchor] = link.split("#");
    const file = path === "" ? page : normalize(join(dirname(page), decodeURIComponent(path)));
    const place = join(root, file);
    if (relative(root, place).startsWith("..")) problems.push(`${page}: ${link} leads out of the repository`);
    else if (!existsSync(place)) problems.push(`${page}: ${link} leads to no file`);
    else if (anchor !== undefined && (!statSync(place).isFile() || !anchors(readSource(file)).has(anchor))) {
      problems.push(`${page}: ${link} leads to no heading`);
    }
  }
  return problems;
}

describe("links of the documentation", () => {
  it.each(pages)("%s", (page) => {
    expect(broken(page, readSource(page))).toEqual([]);
  });

  it("are seen where they lead nowhere", () => {
    const markdown = "[a](nothing.md) [b](README.md#no-such-heading) [c](../outside.md) [d](README.md)";
    expect(broken("README.md", markdown)).toHaveLength(3);
    expect(broken("README.md", "## One `two`, three\n[a](#one-two-three)")).toHaveLength(1); // of the file, not of this text
  });
});

const folders =
  "src|shaders|test|bench|docs|scripts|bin|weights|core|graph|ops|models|sampling|text|gpu|plan|pipeline|cli";

/** Files in backticks, by their path from the root or from `src`. Words in capitals, but README, stand for any name. */
const mentioned = (markdown: string): string[] =>
  [...markdown.matchAll(new RegExp(`\`((?:${folders})/[\\w./-]*\\w\\.(?:ts|mjs|wgsl|md|py|svg|png|json))\``, "g"))]
    .map(([, path = ""]) => path)
    .filter((path) => !/[A-Z]{4}/.test(path.replace("README", "")));

const exists = (path: string): boolean => ["", "src"].some((folder) => existsSync(join(root, folder, path)));

describe("files that the documentation names", () => {
  it.each(pages)("%s", (page) => {
    const missing = mentioned(readSource(page)).filter((path) => !exists(path));
    expect(missing).toEqual([]);
  });

  it("are seen where they are not", () => {
    expect(mentioned("`src/no.ts` `plan/plan.ts` `bench/results/NAME.json`").filter((path) => !exists(path))).toEqual([
      "src/no.ts",
    ]);
  });

  it("are many in the map of the paper", () => {
    expect(new Set(mentioned(readSource("docs/paper.md"))).size).toBeGreaterThan(40);
  });
});
