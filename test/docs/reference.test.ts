import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, describe, expect, it } from "vitest";
import { filesBelow, root } from "../harness/source.js";

const folder = mkdtempSync(join(tmpdir(), "webldm-site-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs `npm run docs`. Types are what `npm run typecheck` looks at. */
async function docs(...options: string[]): Promise<string> {
  const args = [join(root, "scripts/docs.mjs"), ...options, "--skipErrorChecking"];
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, {
    cwd: root,
    env: { ...process.env, NO_COLOR: "1" },
  }).catch((error) => error);
  return stdout + stderr;
}

/** Where links and pictures of a page of the site lead inside of the site, and to which place of that page. */
function linksOf(html: string): [path: string, anchor: string][] {
  const links = [...html.matchAll(/ (?:href|src)="([^"]*)"/g)].map(([, link = ""]) => link.replaceAll("&amp;", "&"));
  return links
    .filter((link) => link !== "" && !/^(https?:|data:|mailto:)/.test(link))
    .map((link) => [decodeURI(link.split("#")[0]!), decodeURIComponent(link.split("#")[1] ?? "")]);
}

describe("the site", () => {
  it("has every page of the documentation", () => {
    const { projectDocuments } = JSON.parse(readFileSync(join(root, "typedoc.json"), "utf8"));
    expect(projectDocuments).toEqual(expect.arrayContaining(filesBelow("docs", ".md")));
  });

  const site = join(folder, "site");

  it("builds without a warning: each public symbol is documented, each reference leads somewhere", async () => {
    const said = await docs("--out", site);
    expect(said.split("\n").filter((line) => /warning|error/i.test(line))).toEqual([]);
    expect(existsSync(join(site, "index.html"))).toBe(true);
  });

  it("has no link that leads nowhere", () => {
    const texts = new Map<string, string>();
    const textOf = (path: string): string => {
      const known = texts.get(path) ?? readFileSync(path, "utf8");
      texts.set(path, known);
      return known;
    };
    const pages = readdirSync(site, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".html"));
    const broken = pages.flatMap((page) =>
      linksOf(textOf(join(site, page))).flatMap(([path, anchor]) => {
        const target = path === "" ? join(site, page) : join(site, dirname(page), path);
        if (!existsSync(target) || !statSync(target).isFile()) return [`${page}: ${path}`];
        const found = anchor === "" || !target.endsWith(".html") || textOf(target).includes(`id="${anchor}"`);
        return found ? [] : [`${page}: ${path}#${anchor}`];
      }),
    );
    expect([...new Set(broken)]).toEqual([]);
    expect(pages.length).toBeGreaterThan(100);
  });
});

describe("the check itself", () => {
  it("sees a symbol without a comment, and a field", async () => {
    const settings = JSON.parse(readFileSync(join(root, "typedoc.json"), "utf8"));
    const plugin = [join(root, settings.plugin[0])];
    const own = { entryPoints: ["./entry.ts"], tsconfig: "./tsconfig.json", plugin, readme: "none" };
    const options = { ...settings, ...own, projectDocuments: [], intentionallyNotExported: [] };
    writeFileSync(
      join(folder, "entry.ts"),
      "/** A. */\nexport interface A { b: { c: number } }\nexport const d = 1;\n",
    );
    writeFileSync(join(folder, "tsconfig.json"), '{ "files": ["entry.ts"] }');
    writeFileSync(join(folder, "typedoc.json"), JSON.stringify(options));
    const said = await docs("--check", "--options", join(folder, "typedoc.json"));
    expect(said).toMatch(/A\.b \(Property\).* does not have any documentation/);
    expect(said).toMatch(/\bd \(Variable\).* does not have any documentation/);
    expect(said).not.toMatch(/\bc \(Property\)/);
  });
});
