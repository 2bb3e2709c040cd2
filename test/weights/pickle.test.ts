import { describe, expect, it } from "vitest";
import { Global, Opaque, PickleCutOff, type PickleValue, readPickle, Tuple } from "../../src/weights/pickle.js";
import { torchGlobal, torchStorage } from "../../src/weights/torchGlobals.js";
import { bytesOf, call, global, int, pickle, text, tuple, u16, u32, u64 } from "./torchBytes.js";

const host = { global: torchGlobal, persistent: torchStorage };
const read = (bytes: Uint8Array) => readPickle(bytes, 0, host, "model.ckpt");
const valueFrom = (...parts: readonly (string | number | Uint8Array)[]) => read(bytesOf(...parts, ".")).value;
const errorOf = (...parts: readonly (string | number | Uint8Array)[]): string => {
  try {
    read(bytesOf(...parts));
  } catch (error) {
    return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  }
  return "no error";
};

/** Tuples and maps as plain arrays, to compare with. */
function plain(value: PickleValue): unknown {
  if (value instanceof Tuple) return { tuple: value.items.map(plain) };
  if (value instanceof Map) return { map: [...value].map(([key, item]) => [plain(key), plain(item)]) };
  if (Array.isArray(value)) return value.map(plain);
  if (value instanceof Opaque) return `opaque ${value.name}`;
  if (value instanceof Global) return `global ${value.name}`;
  return value;
}

describe("plain values of all protocols", () => {
  it.each<[string, (string | number | Uint8Array)[], unknown]>([
    ["None", ["N"], null],
    ["True", ["\x88"], true],
    ["False", ["\x89"], false],
    ["True as text", ["I01\n"], true],
    ["False as text", ["I00\n"], false],
    ["an integer as text", ["I-42\n"], -42],
    ["a long integer as text", ["L1180591620717411303424L\n"], 2n ** 70n],
    ["an integer of 1 byte", ["K", 255], 255],
    ["an integer of 2 bytes", ["M", u16(65535)], 65535],
    ["an integer of 4 bytes", ["J", u32(0xffffffff)], -1],
    ["a long of 0 bytes", ["\x8a", 0], 0],
    ["a long of 1 byte", ["\x8a", 1, 0xff], -1],
    ["a long of 9 bytes", ["\x8a", 9, 0, 0, 0, 0, 0, 0, 0, 0, 64], 2n ** 70n],
    ["a long of few bytes in the wide form", ["\x8b", u32(2), 0, 0x80], -32768],
    ["a float", ["G", 0x3f, 0xf8, 0, 0, 0, 0, 0, 0], 1.5],
    ["a float as text", ["F-1e-3\n"], -0.001],
    ["infinity as text", ["F-inf\n"], Number.NEGATIVE_INFINITY],
    ["not a number as text", ["Fnan\n"], Number.NaN],
    ["text", ["X", u32(3), 0xe2, 0x82, 0xac], "€"],
    ["a byte order mark in a text", ["X", u32(4), 0xef, 0xbb, 0xbf, "a"], "\ufeffa"],
    ["short text", ["\x8c", 2, "ab"], "ab"],
    ["long text", ["\x8d", u64(2), "ab"], "ab"],
    ["escaped text", ["Va\\u20ac\\U0001f600\n"], "a€😀"],
    ["quoted text", ["S'it\\'s \\x41\\n'\n"], "it's A\n"],
    ["a string of Python 2", ["U", 2, 0xe9, "a"], "éa"],
    ["a long string of Python 2", ["T", u32(2), "ab"], "ab"],
    ["bytes", ["C", 2, 1, 2], Uint8Array.of(1, 2)],
    ["more bytes", ["B", u32(2), 1, 2], Uint8Array.of(1, 2)],
    ["many bytes", ["\x8e", u64(2), 1, 2], Uint8Array.of(1, 2)],
    ["a list", ["]K", 1, "a(K", 2, "K", 3, "e"], [1, 2, 3]],
    ["a list from a mark", ["(K", 1, "Nl"], [1, null]],
    [
      "tuples",
      [")(K", 1, "t\x86K", 2, "\x85\x86"],
      { tuple: [{ tuple: [{ tuple: [] }, { tuple: [1] }] }, { tuple: [2] }] },
    ],
    ["a tuple of three", ["NNN\x87"], { tuple: [null, null, null] }],
    [
      "a dictionary",
      ["}K", 1, "Ns(", text("a"), "K", 2, "u"],
      {
        map: [
          [1, null],
          ["a", 2],
        ],
      },
    ],
    ["a dictionary from a mark", ["(", text("a"), "Nd"], { map: [["a", null]] }],
    ["a set", ["\x8f(K", 1, "\x90"], "opaque set"],
    ["a frozen set", ["(K", 1, "\x91"], "opaque frozenset"],
    ["what was dropped", ["K", 1, "K", 2, "0(K", 3, "1(0"], 1],
    ["a copy", ["K", 1, "2\x86"], { tuple: [1, 1] }],
    ["the memo", ["Nq", 7, "r", u32(99), "p5\n0h", 7, "j", u32(99), "g5\n\x87"], { tuple: [null, null, null] }],
    [
      "the memo in order",
      ["K", 8, "\x94K", 9, "\x94h", 0, "h", 1, "\x86\x86\x86"],
      { tuple: [8, { tuple: [9, { tuple: [8, 9] }] }] },
    ],
    ["a frame", ["\x80\x04\x95", u64(2), "K", 5], 5],
  ])("%s", (_, parts, expected) => {
    expect(plain(valueFrom(...parts))).toEqual(expected);
  });

  it("can hold themselves", () => {
    const list = valueFrom("]q", 0, "h", 0, "a") as PickleValue[];
    expect(list[0]).toBe(list);
  });

  it("end where they say", () => {
    expect(read(bytesOf("K", 1, ".K", 2, ".")).end).toBe(3);
  });
});

describe("names", () => {
  it.each<[string, (string | number | Uint8Array)[], unknown]>([
    ["an ordered dictionary", [call(global("collections", "OrderedDict")), text("a"), "Ns"], { map: [["a", null]] }],
    [
      "one of pairs",
      [call(global("collections", "OrderedDict"), bytesOf("](", text("a"), "N\x86e"))],
      { map: [["a", null]] },
    ],
    ["one with attributes", [call(global("collections", "OrderedDict")), "}", text("_metadata"), "Nsb"], { map: [] }],
    ["a size", [call(global("torch", "Size"), tuple(int(2), int(3)))], { tuple: [2, 3] }],
    ["a device", [call(global("torch", "device"), text("cpu"))], "cpu"],
    ["a type", [global("torch", "float32")], "global torch.float32"],
    [
      "a NumPy scalar",
      [call(global("numpy.core.multiarray", "scalar"), bytesOf("N"), text("x"))],
      "opaque numpy.core.multiarray.scalar",
    ],
    [
      "a default dictionary",
      [call(global("collections", "defaultdict")), "K", 1, "Ns"],
      "opaque collections.defaultdict",
    ],
    [
      "a list with a state",
      [global("omegaconf.listconfig", "ListConfig"), ")\x81}b"],
      "opaque omegaconf.listconfig.ListConfig",
    ],
    ["an instance of protocol 0", ["(iargparse\nNamespace\n}b"], "opaque argparse.Namespace"],
    ["an object of protocol 1", ["(", global("argparse", "Namespace"), "o"], "opaque argparse.Namespace"],
    ["one with named arguments", [global("argparse", "Namespace"), ")}\x92"], "opaque argparse.Namespace"],
  ])("%s", (_, parts, expected) => {
    expect(plain(valueFrom(...parts))).toEqual(expected);
  });

  const command = bytesOf("X", u32(4), "true\x85");
  it.each<[string, (string | number | Uint8Array)[], string]>([
    ["GLOBAL and REDUCE", ["cposix\nsystem\n", command, "R."], "posix.system"],
    ["GLOBAL alone, in a file that ends there", ["cposix\nsystem\n"], "posix.system"],
    ["STACK_GLOBAL", ["\x8c", 2, "os\x8c", 6, "system\x93", command, "R."], "os.system"],
    [
      "a name inside a state dict",
      ["}", text("state_dict"), "}", text("w"), "cnt\nsystem\n", command, "Rss."],
      "nt.system",
    ],
    ["a name in the memo", ["cbuiltins\neval\nq", 0, "0h", 0, command, "R."], "builtins.eval"],
    ["INST", ["(S'true'\nios\nsystem\n."], "os.system"],
    ["OBJ", ["(csubprocess\nPopen\n", text("true"), "o."], "subprocess.Popen"],
    ["NEWOBJ", ["csubprocess\nPopen\n", command, "\x81."], "subprocess.Popen"],
    ["NEWOBJ_EX", ["csubprocess\nPopen\n", command, "}\x92."], "subprocess.Popen"],
    ["BUILD of a class with __setstate__", ["cevil\nState\n)\x81}b."], "evil.State"],
    ["an extension of 1 byte", ["\x82", 7, "."], "extension 7 of copyreg"],
    ["an extension of 2 bytes", ["\x83", u16(300), "."], "extension 300 of copyreg"],
    ["an extension of 4 bytes", ["\x84", u32(70000), "."], "extension 70000 of copyreg"],
    [
      "a name that is only like a known one",
      ["ccollections\nOrderedDict.__init__\n."],
      "collections.OrderedDict.__init__",
    ],
    ["another module's rebuild function", ["cevil\n_rebuild_tensor_v2\n."], "evil._rebuild_tensor_v2"],
    [
      "torch.load inside of it",
      ["ctorch.storage\n_load_from_bytes\n", command, "R."],
      "torch.storage._load_from_bytes",
    ],
    ["getattr, which leads to everything", ["c__builtin__\ngetattr\n."], "__builtin__.getattr"],
    ["a property of objects", ["c__proto__\nconstructor\n."], "__proto__.constructor"],
    ["a name over several lines", [bytesOf("X", u32(3), "a\nb", text("c"), "\x93.")], "a b.c"],
  ])("are refused: %s", (_, parts, name) => {
    const message = `WebldmError: model.ckpt: refused: the pickle asks for ${name}, which is not data`;
    expect(errorOf(...parts)).toBe(message);
  });
});

describe("broken pickles", () => {
  it.each<[string, (string | number | Uint8Array)[], string]>([
    ["an unknown opcode", ["\xff"], "unknown opcode 0xff (byte 0)"],
    ["a later protocol", ["\x80", 6], "expected a protocol of at most 5 (byte 0)"],
    ["an end without a value", ["."], "a value is missing"],
    ["an end with two values", ["NN."], "it ends with values left over (byte 2)"],
    ["an end with a mark", ["N(."], "a value is missing"],
    ["an end with a mark below", ["(N."], "it ends with values left over"],
    ["a tuple of too few", ["N\x86."], "a value is missing"],
    ["a tuple across a mark", ["N(N\x86."], "a value is missing"],
    ["no mark", ["t."], "a mark is missing"],
    ["an unknown place in the memo", ["h", 3], "it refers to value 3, which it has not kept"],
    ["a place of a thousand digits", [`g${"9".repeat(1025)}\n`], "an integer is none"],
    ["a negative place", ["Np-1\n"], "a place in the memo is none"],
    ["a key without a value", ["}(Nu."], "a key lacks its value"],
    ["items of a list", ["]NNs."], "it sets items of what is no dictionary"],
    ["appending to a dictionary", ["}Na."], "it appends to what is no list"],
    ["calling a text", [text("a"), ")R."], "it calls what is no function"],
    ["calling a type", ["ctorch\nfloat32\n)R."], "it calls torch.float32, which is only a name"],
    ["arguments in a list", ["ctorch\nSize\n]R."], "arguments are no tuple"],
    ["named arguments", [global("argparse", "Namespace"), ")}NNs\x92."], "arguments are no tuple, or have names"],
    ["the state of a text", [text("a"), "}b."], "it sets the state of what has none"],
    [
      "a tensor without a storage",
      [call(global("torch._utils", "_rebuild_tensor_v2")), "."],
      "a tensor without a storage",
    ],
    [
      "a parameter of nothing",
      [call(global("torch._utils", "_rebuild_parameter")), "."],
      "a parameter without a tensor",
    ],
    ["a storage of nothing", ["NQ."], "a persistent id is that of no storage"],
    ["a storage as text", ["Pstorage\n."], "a persistent id is that of no storage"],
    ["text that is not UTF-8", ["X", u32(1), 0xff, "."], "a text is not UTF-8"],
    ["text without quotes", ["Sa\n."], "a text lacks its quotes"],
    ["an integer that is none", ["Ia\n."], "an integer is none"],
    ["a number that is none", ["Fa\n."], "a number is none"],
    ["an integer of 4 GB", ["\x8b", u32(0xffffffff), "."], "an integer takes 4294967295 bytes, expected at most 1024"],
    ["a name that is no text", ["NN\x93."], "a name is no text"],
    ["a line without end", ["I", "1".repeat(70000)], "a line is too long"],
  ])("%s", (_, parts, message) => {
    const error = errorOf(...parts);
    expect(error).toMatch(/^WebldmError: model\.ckpt: broken pickle: /);
    expect(error).toContain(message);
  });

  it.each<[string, (string | number | Uint8Array)[]]>([
    ["nothing", []],
    ["a number", ["J", 1, 2]],
    ["a text of 4 GB", ["X", u32(0xffffffff), "a"]],
    ["bytes beyond all memory", ["\x8e", u64(2n ** 64n - 1n), "a"]],
    ["a line", ["I12"]],
    ["no end", ["N"]],
  ])("cut off in %s", (_, parts) => {
    expect(() => read(bytesOf(...parts))).toThrow(PickleCutOff);
  });

  it("cannot make a small file copy without end", () => {
    const items = bytesOf("](", ...Array.from({ length: 5000 }, () => bytesOf("NN\x86")), "eq", 0);
    const copies = Array.from({ length: 5000 }, () => bytesOf("h", 1, "h", 0, "\x85R0"));
    const error = errorOf(items, global("collections", "OrderedDict"), "q", 1, "0", ...copies, ".");
    expect(error).toContain("it copies too much");
  });

  it("are shown on one line", () => {
    expect(errorOf(pickle(bytesOf("c", `${"x".repeat(5000)}\ny\n`))).length).toBeLessThan(400);
  });
});
