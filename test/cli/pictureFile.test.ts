import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { checkOut } from "../../src/cli/pictureFile.js";

const folder = mkdtempSync(join(tmpdir(), "webldm-out-"));
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const isUnix = process.platform !== "win32";
const mayAll = !isUnix || process.getuid?.() === 0 ? " [this user may write anywhere]" : "";

describe("a place for the picture", () => {
  it("is a new file, or one that is there", () => {
    const file = join(folder, "a.png");
    expect(() => checkOut(file)).not.toThrow();
    writeFileSync(file, "");
    expect(() => checkOut(file)).not.toThrow();
    expect(() => checkOut(folder)).toThrow(`--out: expected a file name, '${folder}' is a folder`);
    expect(() => checkOut("")).toThrow("--out: expected a file name, got an empty text");
  });

  it.skipIf(!isUnix)("is a device or a pipe as well", () => {
    expect(() => checkOut("/dev/null")).not.toThrow();
  });

  it.skipIf(mayAll !== "")(`is refused where nothing can be written${mayAll}`, () => {
    chmodSync(folder, 0o555);
    try {
      expect(() => checkOut(join(folder, "b.png"))).toThrow(/^--out: expected a place to write to, .* is none: EACCES/);
    } finally {
      chmodSync(folder, 0o755);
    }
  });
});
