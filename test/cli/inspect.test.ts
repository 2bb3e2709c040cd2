import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, it, vi } from "vitest";
import { inspect } from "../../src/cli/inspect.js";
import { writeSafetensors } from "../../src/weights/writer.js";
import { root } from "../harness/source.js";
import { bytesOf, int, torchArchive, torchZip } from "../weights/torchBytes.js";

const folder = mkdtempSync(join(tmpdir(), "webldm-inspect-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => vi.restoreAllMocks());

/** What inspecting a path prints and ends with. */
async function run(path: string, json = true) {
  const said = { stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"] as const) {
    vi.spyOn(process[stream], "write").mockImplementation((text) => {
      said[stream] += String(text);
      return true;
    });
  }
  const status = await inspect(path, json);
  vi.restoreAllMocks();
  return { status, ...said };
}

const tensor = { dtype: "F32", shape: [2], bytes: new Uint8Array(8) } as const;
const put = (path: string, bytes: Uint8Array) => {
  mkdirSync(join(folder, path, ".."), { recursive: true });
  writeFileSync(join(folder, path), bytes);
};

describe("inspect", () => {
  it.each(["pickle_zip", "pickle_legacy"])("shows %s, without running anything", async (name) => {
    const path = join(root, `test/golden/ops/${name}.ckpt`);
    const { status, stdout } = await run(path);
    expect(status).toBe(0);
    const shown = JSON.parse(stdout) as { tensors: unknown[] };
    expect(shown).toMatchObject({ file: path, format: "torch", parameters: 166, metadata: { global_step: "7" } });
    expect(shown.tensors).toHaveLength(13);
    expect(shown.tensors).toContainEqual({ name: "transposed_view", dtype: "F32", shape: [6, 4], bytes: 96 });
    const text = (await run(path, false)).stdout;
    expect(text).toMatch(/^bf16 +BF16 +\[4, 6\] +48 bytes$/m);
    expect(text).toMatch(
      /^metadata big: 1180591620717411303424\nformat: torch\n13 tensors, 166 parameters, [\d,]+ bytes$/m,
    );
  });

  it("shows both formats of a folder, links too, and what is wrong with the others", async () => {
    put("model/unet/a.safetensors", writeSafetensors([{ name: "w", ...tensor }]));
    put("model/b.ckpt", torchZip({ w: tensor }, { global_step: int(5) }));
    put("model/c.bin", torchArchive(bytesOf("cposix\nsystem\n")));
    put("model/notes.txt", bytesOf("no weights"));
    put("model/.cache/d.ckpt", bytesOf("hidden"));
    symlinkSync(join(folder, "model/b.ckpt"), join(folder, "model/linked.pt"));
    symlinkSync(join(folder, "model"), join(folder, "model/itself"));
    const { status, stdout, stderr } = await run(join(folder, "model"));
    const shown = JSON.parse(stdout) as { files: { file: string; format: string }[] };
    expect(shown.files.map(({ file, format }) => [file, format])).toEqual([
      ["b.ckpt", "torch"],
      ["linked.pt", "torch"],
      ["unet/a.safetensors", "safetensors"],
    ]);
    const refused = `${join(folder, "model/c.bin")}: refused: the pickle asks for posix.system, which is not data`;
    expect(shown).toMatchObject({ failed: [{ file: "c.bin", error: refused }], totals: { files: 3, tensors: 3 } });
    expect({ status, stderr }).toEqual({ status: 2, stderr: `webldm: ${refused}\n` });
  });

  it("names a malicious file", async () => {
    put("evil.ckpt", torchArchive(bytesOf("cposix\nsystem\nX", 4, 0, 0, 0, "true\x85R")));
    await expect(run(join(folder, "evil.ckpt"))).rejects.toThrow(
      /evil\.ckpt: refused: the pickle asks for posix\.system, which is not data$/,
    );
  });
});
