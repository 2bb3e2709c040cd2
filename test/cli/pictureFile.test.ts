import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it, vi } from "vitest";
import { checkOut, writeWhole } from "../../src/cli/pictureFile.js";

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

describe("a picture's bytes", () => {
  const bytes = Uint8Array.of(1, 2, 3, 4);

  it("take the place of what was there", async () => {
    const file = join(folder, "whole.png");
    writeFileSync(file, "longer than the new");
    await writeWhole(file, bytes);
    expect(new Uint8Array(readFileSync(file))).toEqual(bytes);
  });

  it("leave no part of them where the disk is full", async () => {
    const probe = await open(join(folder, "probe"), "w");
    const kind = Object.getPrototypeOf(probe) as FileHandle;
    await probe.close();
    const file = join(folder, "part.png");
    const full = vi.spyOn(kind, "writeFile").mockImplementation(async function (this: FileHandle) {
      await this.write(bytes, 0, 2);
      throw new Error("ENOSPC: no space left on device, write");
    });
    try {
      await expect(writeWhole(file, bytes)).rejects.toThrow("ENOSPC");
    } finally {
      full.mockRestore();
    }
    expect(existsSync(file)).toBe(false);
  });
});
