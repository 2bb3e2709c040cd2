import { existsSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { WebldmError } from "../../src/core/invariant.js";
import { fromFile } from "../../src/weights/node.js";
import { openSafetensors } from "../../src/weights/safetensors.js";
import { type ByteSource, fromBytes } from "../../src/weights/source.js";
import { writeSafetensors } from "../../src/weights/writer.js";
import { entry, failure, rawFile, rawSource, sampleFile, sampleTensors, seeded } from "./tiny.js";

describe("a valid file", () => {
  it("gives back what was written", async () => {
    const { tensors, metadata } = await openSafetensors(fromBytes(sampleFile()));
    expect([...metadata]).toEqual([["format", "pt"]]);
    expect(tensors.size).toBe(7);
    for (const { name, dtype, shape, bytes } of sampleTensors()) {
      const tensor = tensors.get(name)!;
      expect(tensor).toMatchObject({ name, dtype, shape });
      expect(await tensor.source.read(tensor.begin, tensor.end)).toEqual(bytes);
    }
    const begins = [...tensors.values()].map((t) => t.begin);
    expect(begins).toEqual([...begins].sort((a, b) => a - b));
  });

  it("may be empty, hold scalars and empty tensors, and be padded", async () => {
    expect((await openSafetensors(rawSource("{}"))).tensors.size).toBe(0);
    expect((await openSafetensors(rawSource('{"__metadata__":{}}   '))).metadata.size).toBe(0);
    const header = `{${entry("z", "F32", "[0]", 4, 4)},${entry("s", "F32", "[]", 0, 4)},${entry("y", "I8", "[2,0]", 0, 0)}}`;
    const { tensors } = await openSafetensors(rawSource(header, 4));
    expect([...tensors.keys()]).toEqual(["y", "s", "z"]);
    expect(tensors.get("s")!.shape).toEqual([]);
    expect(tensors.get("z")!.begin).toBe(tensors.get("z")!.end);
  });

  it("may have fields nobody knows, escapes in names, and types of less than a byte", async () => {
    const header = `{"\\u00e9\\n":{"extra":[1.5,-2,{"a":null}],"dtype":"F4","shape":[4],"data_offsets":[0,2]}}`;
    const { tensors } = await openSafetensors(rawSource(header, 2));
    expect(tensors.get("é\n")).toMatchObject({ dtype: "F4", shape: [4] });
  });

  it("may be larger than 2^32 bytes", async () => {
    const huge = 6 * 2 ** 30;
    const header = rawFile(`{${entry("a", "U8", `[${huge}]`, 0, huge)},${entry("b", "F32", "[1]", huge, huge + 4)}}`);
    const source: ByteSource = {
      name: "huge",
      size: header.length + huge + 4,
      read: async (begin, end) => header.slice(begin, end),
    };
    const { tensors } = await openSafetensors(source);
    expect(tensors.get("b")).toMatchObject({ begin: header.length + huge, end: header.length + huge + 4 });
  });
});

describe("a broken file", () => {
  const a = entry("a", "F32", "[1]", 0, 4);
  const metadata = "InvalidHeaderDeserialization: ";
  const cases: [what: string, source: ByteSource, message: string][] = [
    ["nothing", fromBytes(new Uint8Array(0), "x.safetensors"), "HeaderTooSmall: expected at least 8 bytes, got 0"],
    ["7 bytes", fromBytes(new Uint8Array(7), "x.safetensors"), "HeaderTooSmall: expected at least 8 bytes, got 7"],
    ["a huge header", fromBytes(Uint8Array.of(1, 225, 245, 5, 0, 0, 0, 0), "x.safetensors"), "HeaderTooLarge: "],
    ["all ones", fromBytes(new Uint8Array(99).fill(255), "x.safetensors"), "HeaderTooLarge: "],
    ["a cut header", fromBytes(rawFile("{}").subarray(0, 9), "x.safetensors"), "InvalidHeaderLength: the header of 2"],
    ["other than UTF-8", rawSource(Uint8Array.of(0x7b, 0xff, 0x7d)), "InvalidHeader: expected the header to be UTF-8"],
    ["no header", rawSource(""), "InvalidHeaderStart: expected the header to begin with '{', got nothing"],
    ["leading space", rawSource(" {}"), "InvalidHeaderStart: expected the header to begin with '{', got 32"],
    ["an array", rawSource("[]"), "InvalidHeaderStart: "],
    ["a byte order mark", rawSource("\ufeff{}"), "InvalidHeaderStart: "],
    ["cut JSON", rawSource(`{${a}`, 4), `${metadata}expected ',' or '}' at character`],
    ["more JSON", rawSource("{}{}"), `${metadata}expected the end at character 2`],
    ["zero bytes for padding", rawSource("{}\0\0"), `${metadata}expected the end at character 2`],
    ["a trailing comma", rawSource(`{${a},}`, 4), `${metadata}expected a key`],
    [
      "a name twice",
      rawSource(`{${a},${entry("\\u0061", "U8", "[0]", 4, 4)}}`, 4),
      `${metadata}the key "a" occurs twice`,
    ],
    ["metadata twice", rawSource('{"__metadata__":{},"__metadata__":{}}'), `${metadata}the key "__metadata__" occurs`],
    ["a metadata key twice", rawSource('{"__metadata__":{"k":"1","k":"2"}}'), `${metadata}the key "k" occurs twice`],
    [
      "metadata of numbers",
      rawSource('{"__metadata__":{"k":1}}'),
      `${metadata}expected the metadata 'k' to be a string`,
    ],
    ["metadata as text", rawSource('{"__metadata__":"k"}'), `${metadata}expected '__metadata__' to be an object`],
    ["a tensor as text", rawSource('{"a":"F32"}'), `${metadata}expected 'a' to be an object`],
    [
      "an unknown dtype",
      rawSource(`{${entry("a", "F7", "[1]", 0, 4)}}`, 4),
      `${metadata}tensor 'a': unknown dtype 'F7'`,
    ],
    ["an inherited dtype", rawSource(`{${entry("a", "toString", "[1]", 0, 4)}}`, 4), `${metadata}tensor 'a': unknown`],
    ["no dtype", rawSource('{"a":{"shape":[],"data_offsets":[0,0]}}'), `${metadata}tensor 'a': expected dtype`],
    ["no shape", rawSource('{"a":{"dtype":"F32","data_offsets":[0,0]}}'), `${metadata}tensor 'a': expected shape`],
    ["a negative axis", rawSource(`{${entry("a", "F32", "[-1]", 0, 4)}}`, 4), `${metadata}tensor 'a': expected shape`],
    ["an axis of -0", rawSource(`{${entry("a", "F32", "[-0]", 0, 0)}}`), `${metadata}tensor 'a': expected shape`],
    ["a broken axis", rawSource(`{${entry("a", "F32", "[1.0]", 0, 4)}}`, 4), `${metadata}tensor 'a': expected shape`],
    [
      "an axis in words",
      rawSource(`{${entry("a", "F32", '["1"]', 0, 4)}}`, 4),
      `${metadata}tensor 'a': expected shape`,
    ],
    [
      "an axis of 2^64",
      rawSource(`{${entry("a", "F32", `[${2n ** 64n}]`, 0, 4)}}`, 4),
      `${metadata}tensor 'a': expected`,
    ],
    ["no offsets", rawSource('{"a":{"dtype":"F32","shape":[]}}'), `${metadata}tensor 'a': expected data_offsets`],
    [
      "one offset",
      rawSource('{"a":{"dtype":"U8","shape":[],"data_offsets":[0]}}'),
      `${metadata}tensor 'a': expected data`,
    ],
    ["a lone surrogate", rawSource('{"\\ud800":{}}'), `${metadata}lone surrogate`],
    ["a bad escape", rawSource('{"\\x":{}}'), `${metadata}unknown escape`],
    ["a control character", rawSource('{"\n":{}}'), `${metadata}expected the end of a string`],
    ["deep nesting", rawSource(`{"a":${"[".repeat(1e6)}`), `${metadata}nested deeper than 128 levels`],
    [
      "a number of 10^6 digits",
      rawSource(`{${entry("a", "U8", `[${"9".repeat(1e6)}]`, 0, 4)}}`, 4),
      `${metadata}tensor 'a'`,
    ],
    [
      "a hole at the front",
      rawSource(`{${entry("a", "F32", "[1]", 4, 8)}}`, 8),
      "InvalidOffset: tensor 'a' begins at byte 4",
    ],
    [
      "a hole",
      rawSource(`{${a},${entry("b", "F32", "[1]", 8, 12)}}`, 12),
      "InvalidOffset: tensor 'b' begins at byte 8",
    ],
    [
      "an overlap",
      rawSource(`{${a},${entry("b", "F32", "[1]", 2, 6)}}`, 6),
      "InvalidOffset: tensor 'b' begins at byte 2",
    ],
    [
      "shared bytes",
      rawSource(`{${a},${entry("b", "F32", "[1]", 0, 4)}}`, 4),
      "InvalidOffset: tensor 'b' begins at byte 0",
    ],
    [
      "an end before the begin",
      rawSource(`{${a},${entry("b", "F32", "[1]", 4, 0)}}`, 8),
      "InvalidOffset: tensor 'b' ends at",
    ],
    [
      "too few bytes",
      rawSource(`{${entry("a", "F32", "[2]", 0, 4)}}`, 4),
      "TensorInvalidInfo: tensor 'a': F32 of shape [2]",
    ],
    ["bytes of an empty tensor", rawSource(`{${entry("a", "F32", "[0]", 0, 4)}}`, 4), "TensorInvalidInfo: tensor 'a'"],
    ["half a byte", rawSource(`{${entry("a", "F4", "[3]", 0, 2)}}`, 2), "MisalignedSlice: tensor 'a': its 12 bits"],
    [
      "a product beyond 2^64",
      rawSource(`{${entry("a", "U8", "[4294967296,4294967296]", 0, 4)}}`, 4),
      "ValidationOverflow: tensor 'a': its shape [4294967296, 4294967296] is too large",
    ],
    [
      "bits beyond 2^64",
      rawSource(`{${entry("a", "F32", `[${2n ** 60n}]`, 0, 4)}}`, 4),
      "ValidationOverflow: tensor 'a'",
    ],
    [
      "an axis beyond 2^53",
      rawSource(`{${entry("a", "U8", `[0,${2n ** 60n}]`, 0, 0)}}`),
      "ValidationOverflow: tensor 'a'",
    ],
    ["bytes left over", rawSource(`{${a}}`, 5), "MetadataIncompleteBuffer: the tensors take 4 bytes, the file holds 5"],
    ["bytes missing", rawSource(`{${a}}`, 3), "MetadataIncompleteBuffer: the tensors take 4 bytes, the file holds 3"],
    ["data without tensors", rawSource("{}", 1), "MetadataIncompleteBuffer: the tensors take 0 bytes"],
  ];
  it.each(cases)("with %s is refused", async (_, source, message) => {
    const error = await failure(openSafetensors(source));
    expect(error).toContain(`WebldmError: x.safetensors: ${message}`);
    expect(error).not.toContain("\n");
    expect(error.length).toBeLessThan(500);
  });

  it("is refused wherever it is cut", async () => {
    const file = sampleFile();
    for (let length = 0; length < file.length; length += length < 1200 ? 1 : 97) {
      expect(await failure(openSafetensors(fromBytes(file.subarray(0, length))))).toMatch(/^WebldmError: bytes: \w+: /);
    }
  });

  it("never does worse than a WebldmError when bytes change", async () => {
    const next = seeded(7);
    const pick = (n: number) => Math.floor(next() * n);
    const file = sampleFile();
    const headerEnd = 8 + Number(new DataView(file.buffer).getBigUint64(0, true));
    const pieces = ['"', "{", "}", "[", "]", ",", ":", "0", "9", "-", "\\", "e", " ", "\0", '"a":', "null", "1e999"];
    let valid = 0;
    for (let round = 0; round < 6000; round++) {
      let bytes = file.slice();
      for (let changes = 1 + pick(3); changes > 0; changes--) {
        const at = pick(headerEnd);
        const kind = pick(4);
        if (kind === 0) bytes[at] = pick(256);
        else if (kind === 1) bytes[at]! ^= 1 << pick(8);
        else if (kind === 2) bytes.set(new TextEncoder().encode(pieces[pick(pieces.length)]), at);
        else bytes = Uint8Array.from([...bytes.subarray(0, at), ...bytes.subarray(at + 1 + pick(4))]);
      }
      try {
        const { tensors } = await openSafetensors(fromBytes(bytes));
        for (const t of tensors.values()) expect(t.begin <= t.end && t.end <= bytes.length).toBe(true);
        valid++;
      } catch (error) {
        if (!(error instanceof WebldmError)) throw error;
      }
    }
    expect(valid).toBeLessThan(3000);
  });
});

describe("the writer", () => {
  it("refuses what would make an invalid file", () => {
    const one = { name: "a", dtype: "U8", shape: [1], bytes: new Uint8Array(1) } as const;
    expect(() => writeSafetensors([one, one])).toThrow("tensor 'a': the name is taken");
    expect(() => writeSafetensors([{ ...one, name: "__metadata__" }])).toThrow(
      "tensor '__metadata__': the name is taken",
    );
    expect(() => writeSafetensors([{ ...one, shape: [2] }])).toThrow(
      "tensor 'a': U8 of shape [2] takes 2 bytes, got 1",
    );
    expect(() => writeSafetensors([{ ...one, shape: [-1] }])).toThrow("expected integers of at least 0");
    expect(() => writeSafetensors([{ ...one, dtype: "F4" }])).toThrow("takes 0.5 bytes, got 1");
  });

  it("orders by type, then by name, and pads the header", () => {
    const tensor = (name: string, dtype: "F32" | "U8") => ({ name, dtype, shape: [0], bytes: new Uint8Array(0) });
    const names = [tensor("b", "U8"), tensor("\u{1f600}", "F32"), tensor("\uffee", "F32"), tensor("a", "U8")];
    const file = writeSafetensors(names);
    const text = new TextDecoder().decode(file.subarray(8));
    expect(file.length % 8).toBe(0);
    expect([...text.matchAll(/"([^"]+)":\{/g)].map((m) => m[1])).toEqual(["\uffee", "\u{1f600}", "a", "b"]);
  });

  const goldens = ["ops/dtypes", "clip/sd1.weights", "unet/sd1.weights"].map(
    (name) => new URL(`../../../shared/golden/${name}.safetensors`, import.meta.url).pathname,
  );
  it("writes the files of the reference byte for byte", async (context) => {
    if (!existsSync(goldens[0]!)) return context.skip("no references beside the repository");
    for (const path of goldens) {
      const source = await fromFile(path);
      const { tensors, metadata } = await openSafetensors(source);
      const whole = await source.read(0, source.size);
      const list = [...tensors.values()].map((t) => ({ ...t, bytes: whole.subarray(t.begin, t.end) }));
      const written = writeSafetensors(list.reverse(), metadata.size ? Object.fromEntries(metadata) : undefined);
      expect(Buffer.compare(written, whole), path).toBe(0);
    }
  });
});
