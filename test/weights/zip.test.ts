import { describe, expect, it } from "vitest";
import { fromBytes } from "../../src/weights/source.js";
import { locate, openZip } from "../../src/weights/zip.js";
import { failure } from "./tiny.js";
import { bytesOf, u32, type ZipOptions, zip } from "./torchBytes.js";

const contents = { "a/one": bytesOf("first"), "a/empty": bytesOf(), "a/two": bytesOf("the second") };

async function read(bytes: Uint8Array): Promise<Record<string, string>> {
  const source = fromBytes(bytes, "x.ckpt");
  const archive = await openZip(source);
  const members = [...archive.members.values()];
  const ranges = await locate(archive, members);
  const out: Record<string, string> = {};
  for (const [i, { name }] of members.entries()) {
    const { begin, end } = ranges[i]!;
    out[name] = new TextDecoder().decode(await source.read(begin, end));
  }
  return out;
}

const expected = { "a/one": "first", "a/empty": "", "a/two": "the second" };

describe("a zip archive", () => {
  it.each<[string, ZipOptions]>([
    ["with sizes of 32 bits", {}],
    ["with sizes of 64 bits", { wide: true }],
    ["with a comment", { comment: "PK\x05\x06 is how an end record begins" }],
    ["with a comment and sizes of 64 bits", { comment: "x".repeat(65535), wide: true }],
    ["whose sizes follow the content", { flags: 8 }],
  ])("%s gives its members", async (_, options) => {
    expect(await read(zip(contents, options))).toEqual(expected);
  });

  it("of no members is empty", async () => {
    expect(await read(zip({}))).toEqual({});
  });

  it.each<[string, ZipOptions, string]>([
    ["compressed", { method: 8 }, "x.ckpt: member 'a/one' is compressed, expected stored bytes"],
    ["encrypted", { flags: 1 }, "x.ckpt: member 'a/one' is encrypted, expected plain bytes"],
  ])("must not be %s", async (_, options, message) => {
    expect(await failure(read(zip(contents, options)))).toBe(`WebldmError: ${message}`);
  });

  const good = zip(contents);
  const end = good.byteLength - 22;
  const changed = (at: number, ...bytes: number[]) => {
    const copy = good.slice();
    copy.set(bytes, at);
    return copy;
  };
  const directory = new DataView(good.buffer).getUint32(end + 16, true);
  const twice = zip({ "a/one": bytesOf("1"), "a/two": bytesOf("2") });
  const name = bytesOf("a/one");
  for (let at = twice.byteLength - 100; at < twice.byteLength; at++) {
    if (new TextDecoder().decode(twice.subarray(at, at + 5)) === "a/two") twice.set(name, at);
  }

  it.each<[string, Uint8Array, string]>([
    ["nothing at all", bytesOf(), "its end record is missing"],
    ["no end record", good.subarray(0, -1), "its end record is missing (was the file cut off?)"],
    ["an end record alone", good.subarray(end), "its directory does not end where its end record begins"],
    ["one part of several", changed(end + 4, 1), "it is one part of several"],
    ["a directory of another size", changed(end + 12, 1), "does not end where"],
    ["a broken entry", changed(directory, 0), "entry 0 of 3 is missing from its directory"],
    ["fewer entries than it says", changed(end + 10, 200), "entry 3 of 200 is missing from its directory"],
    ["a name beyond the directory", changed(directory + 28, 255, 255), "entry 0 of 3 is cut off"],
    ["a member beyond the content", changed(directory + 42, ...u32(directory - 8)), "begins outside of the content"],
    ["a member of more bytes", changed(directory + 24, ...u32(1e9)), "the 1000000000 bytes of member 'a/one' do not"],
    ["no header where it should be", changed(0, 0), "'a/one' does not begin where the directory says"],
    ["wide sizes without any", changed(directory + 24, ...u32(0xffffffff)), "sizes beyond what can be read"],
    ["a name twice", twice, "member 'a/one' occurs twice"],
  ])("must not have %s", async (_, bytes, message) => {
    const error = await failure(read(bytes));
    expect(error).toMatch(/^WebldmError: x\.ckpt: broken zip archive: /);
    expect(error).toContain(message);
  });

  it("must have the 64-bit end record that it announces", async () => {
    const bytes = zip(contents, { wide: true });
    bytes[bytes.byteLength - 22 - 20 + 8]! += 1;
    expect(await failure(read(bytes))).toContain("its 64-bit end record is missing");
  });
});
