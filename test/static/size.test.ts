import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { root } from "../harness/source.js";

const MiB = 2 ** 20;
const limit = 48 * MiB;
// Places outside of the repository, which no file of it should mention; put together here so that this file does not.
const banned = [["", "work", ""].join("/"), ["..", ".library"].join("/")];

function tracked(): string[] {
  return execFileSync("git", ["ls-files", "-z"], { cwd: root, encoding: "utf8" })
    .split("\0")
    .filter((path) => path !== "" && existsSync(join(root, path)));
}

const isText = (path: string): boolean => !/\.(png|safetensors|bin|npy|npz|gz|woff2?)$/.test(path);

/** Files that mention what they should not. */
function mentions(files: Readonly<Record<string, string>>, words: readonly string[]): string[] {
  return Object.entries(files).flatMap(([path, text]) =>
    words.filter((word) => text.includes(word)).map((word) => `${path} mentions ${word}`),
  );
}

/** What a lock file should not pin: the addresses that packages came from. */
const pinsAddresses = (lock: string): boolean => lock.includes('"resolved"');

describe("the repository", () => {
  it("stays below 48 MiB of tracked files", () => {
    const total = tracked().reduce((sum, path) => sum + statSync(join(root, path)).size, 0);
    expect(total).toBeLessThan(limit);
  });

  it("does not pin where packages come from", () => {
    expect(pinsAddresses(readFileSync(join(root, "package-lock.json"), "utf8"))).toBe(false);
  });

  it("mentions no place outside of itself", () => {
    const files = Object.fromEntries(
      tracked()
        .filter(isText)
        .map((path) => [path, readFileSync(join(root, path), "utf8")]),
    );
    expect(mentions(files, banned)).toEqual([]);
  });
});

describe("the check itself", () => {
  it("names the file and the word", () => {
    expect(mentions({ "a.ts": `open("${banned[0]}x")`, "b.ts": "" }, banned)).toEqual([`a.ts mentions ${banned[0]}`]);
    expect(mentions({ "a.ts": `see ${banned[1]}/x` }, banned)).toHaveLength(1);
  });

  it("sees a pinned address", () => {
    expect(pinsAddresses('{ "resolved": "somewhere" }')).toBe(true);
    expect(pinsAddresses('{ "version": "1.0.0" }')).toBe(false);
  });
});
