import { WebldmError } from "../core/invariant.js";
import { quote } from "./oneLine.js";

/** What a pickle can hold here: plain values, containers, and the objects that the {@link PickleHost} makes. */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PickleValue[]
  | Tuple
  | Map<PickleValue, PickleValue>
  | PickleObject;

/** Python's tuple. */
export class Tuple {
  constructor(readonly items: readonly PickleValue[]) {}
}

/** Base of everything in a pickle that is no plain value. */
export abstract class PickleObject {}

/** A name of a Python module that the host knows. */
export class Global extends PickleObject {
  constructor(
    readonly name: string,
    /** What calling it gives; absent where it is only a name. Throws a {@link PickleError} for unexpected arguments. */
    readonly call?: (args: readonly PickleValue[], spend: (items: number) => void) => PickleValue,
  ) {
    super();
  }
}

/** An object of which only the class is known. Whatever the pickle puts into it is dropped. */
export class Opaque extends PickleObject {
  constructor(readonly name: string) {
    super();
  }
}

/** Who says what the names and the storages in a pickle are. */
export interface PickleHost {
  /** undefined refuses the name, and the file with it. */
  global(module: string, name: string): Global | undefined;
  /** The object behind a persistent id. Throws a {@link PickleError} where it is none. */
  persistent(id: PickleValue): PickleValue;
}

/** Why a pickle cannot be read; the reader adds the file's name. */
export class PickleError extends Error {}

/** The bytes ended before the pickle did. */
export class PickleCutOff extends WebldmError {}

const longestLine = 65536;
const longestNumber = 1024; // bytes or digits of one integer
const mostCopies = 2 ** 22; // items that calls may copy: a few bytes can ask for a large copy, again and again

/**
 * Reads one pickle without ever running anything: names become what the host knows them as, and a name it does not know
 * refuses the whole file. Time and memory grow with the bytes read, whatever sizes they claim.
 * @throws WebldmError that begins with `where`; {@link PickleCutOff} where the bytes end too early
 */
export function readPickle(
  bytes: Uint8Array,
  begin: number,
  host: PickleHost,
  where: string,
): { value: PickleValue; end: number } {
  const machine = new Machine(bytes, begin, host, where);
  try {
    return { value: machine.run(), end: machine.at };
  } catch (error) {
    if (!(error instanceof PickleError)) throw error;
    throw new WebldmError(`${where}: broken pickle: ${error.message} (byte ${machine.opBegin})`);
  }
}

class Machine {
  opBegin: number;
  private readonly stack: PickleValue[] = [];
  private readonly marks: number[] = [];
  private readonly memo = new Map<number, PickleValue>();
  private readonly view: DataView;
  private copies = 0;

  constructor(
    private readonly bytes: Uint8Array,
    public at: number,
    private readonly host: PickleHost,
    private readonly where: string,
  ) {
    this.opBegin = at;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  run(): PickleValue {
    for (;;) {
      this.opBegin = this.at;
      const op = String.fromCharCode(this.u8());
      if (op === ".") {
        const value = this.pop();
        if (this.stack.length > 0 || this.marks.length > 0) fail("it ends with values left over");
        return value;
      }
      this.step(op);
    }
  }

  private step(op: string): void {
    const value = this.plain(op) ?? this.container(op) ?? this.object(op);
    if (value !== undefined) this.stack.push(value);
    else this.arrange(op);
  }

  /** Opcodes of plain values; undefined for the others, here and below. */
  private plain(op: string): PickleValue | undefined {
    switch (op) {
      case "\x88":
        return true;
      case "\x89":
        return false;
      case "I":
        return this.intLine();
      case "J":
        return this.view.getInt32(this.skipped(4), true);
      case "K":
        return this.u8();
      case "M":
        return this.u16();
      case "L":
        return integer(this.line().replace(/L$/, ""));
      case "\x8a":
        return this.long(this.u8());
      case "\x8b":
        return this.long(this.u32());
      case "F":
        return float(this.line());
      case "G":
        return this.view.getFloat64(this.skipped(8), false);
      case "X":
        return this.utf8(this.u32());
      case "\x8c":
        return this.utf8(this.u8());
      case "\x8d":
        return this.utf8(this.u64());
      case "V":
        return unescaped(this.line(), /\\u([\da-fA-F]{4})|\\U([\da-fA-F]{8})/g);
      case "S":
        return quoted(this.line());
      case "T":
        return latin1(this.take(this.u32()));
      case "U":
        return latin1(this.take(this.u8()));
      case "B":
        return this.take(this.u32());
      case "C":
        return this.take(this.u8());
      case "\x8e":
      case "\x96":
        return this.take(this.u64());
      default:
        return undefined;
    }
  }

  private container(op: string): PickleValue | undefined {
    switch (op) {
      case "]":
        return [];
      case "l":
        return this.popMark();
      case ")":
        return new Tuple([]);
      case "t":
        return new Tuple(this.popMark());
      case "\x85":
        return new Tuple(this.popMany(1));
      case "\x86":
        return new Tuple(this.popMany(2));
      case "\x87":
        return new Tuple(this.popMany(3));
      case "}":
        return new Map();
      case "d":
        return withItems(new Map(), this.popMark());
      case "\x8f": // EMPTY_SET
        return new Opaque("set");
      case "\x91": // FROZENSET
        this.popMark();
        return new Opaque("frozenset");
      default:
        return undefined;
    }
  }

  /** Opcodes that look up names, and those that would call them. */
  private object(op: string): PickleValue | undefined {
    switch (op) {
      case "c":
        return this.globalLines();
      case "\x93": {
        const [module, name] = this.popMany(2);
        if (typeof module !== "string" || typeof name !== "string") return fail("a name is no text");
        return this.global(module, name);
      }
      case "i": // INST
        return this.call(this.globalLines(), this.popMark());
      case "o": {
        const [made, ...args] = this.popMark();
        return this.call(made, args);
      }
      case "R":
      case "\x81": {
        const [made, args] = this.popMany(2);
        return args instanceof Tuple ? this.call(made, args.items) : fail("arguments are no tuple");
      }
      case "\x92": {
        const [made, args, named] = this.popMany(3);
        const isPlain = args instanceof Tuple && named instanceof Map && named.size === 0;
        return isPlain ? this.call(made, args.items) : fail("arguments are no tuple, or have names");
      }
      case "Q":
        return this.host.persistent(this.pop());
      case "P":
        return this.host.persistent(this.line());
      case "\x82":
        return this.refuse(`extension ${this.u8()} of copyreg`);
      case "\x83":
        return this.refuse(`extension ${this.u16()} of copyreg`);
      case "\x84":
        return this.refuse(`extension ${this.u32()} of copyreg`);
      default:
        return undefined;
    }
  }

  /** Opcodes that work on the stack, the memo and what is already on them. */
  private arrange(op: string): void {
    switch (op) {
      case "\x80": // PROTO
        check(this.u8() <= 5, "expected a protocol of at most 5");
        break;
      case "\x95": // FRAME
        this.skipped(8);
        break;
      case "N":
        this.stack.push(null);
        break;
      case "(":
        this.marks.push(this.stack.length);
        break;
      case "0": // POP, of a value or of a mark without values
        if (this.marks.at(-1) === this.stack.length) this.marks.pop();
        else this.pop();
        break;
      case "1":
        this.popMark();
        break;
      case "2":
        this.stack.push(this.top());
        break;
      case "p":
        this.memo.set(memoIndex(this.line()), this.top());
        break;
      case "q":
        this.memo.set(this.u8(), this.top());
        break;
      case "r":
        this.memo.set(this.u32(), this.top());
        break;
      case "\x94":
        this.memo.set(this.memo.size, this.top());
        break;
      case "g":
        this.recall(memoIndex(this.line()));
        break;
      case "h":
        this.recall(this.u8());
        break;
      case "j":
        this.recall(this.u32());
        break;
      case "a":
        this.append(this.popMany(1));
        break;
      case "e":
      case "\x90":
        this.append(this.popMark());
        break;
      case "s":
        this.setItems(this.popMany(2));
        break;
      case "u":
        this.setItems(this.popMark());
        break;
      case "b": {
        this.pop(); // the state: attributes beside the items, which are of no use here
        const built = this.top();
        check(built instanceof Opaque || built instanceof Map, "it sets the state of what has none");
        break;
      }
      default:
        fail(`unknown opcode 0x${op.charCodeAt(0).toString(16).padStart(2, "0")}`);
    }
  }

  private globalLines(): Global {
    const module = this.line();
    return this.global(module, this.line());
  }

  private global(module: string, name: string): Global {
    return this.host.global(module, name) ?? this.refuse(quote(`${module}.${name}`).slice(1, -1));
  }

  private refuse(name: string): never {
    throw new WebldmError(`${this.where}: refused: the pickle asks for ${name}, which is not data`);
  }

  private call(made: PickleValue | undefined, args: readonly PickleValue[]): PickleValue {
    if (!(made instanceof Global)) return fail("it calls what is no function");
    if (!made.call) return fail(`it calls ${made.name}, which is only a name`);
    return made.call(args, (items) => {
      this.copies += items;
      check(this.copies <= mostCopies, "it copies too much");
    });
  }

  private append(items: readonly PickleValue[]): void {
    const list = this.top();
    if (Array.isArray(list)) for (const item of items) list.push(item);
    else check(list instanceof Opaque, "it appends to what is no list");
  }

  private setItems(items: readonly PickleValue[]): void {
    const map = this.top();
    if (map instanceof Map) withItems(map, items);
    else check(map instanceof Opaque, "it sets items of what is no dictionary");
  }

  private recall(index: number): void {
    const value = this.memo.get(index);
    if (value === undefined) fail(`it refers to value ${index}, which it has not kept`);
    else this.stack.push(value);
  }

  private top(): PickleValue {
    const value = this.stack.at(-1);
    if (value === undefined || this.stack.length <= (this.marks.at(-1) ?? 0)) return fail("a value is missing");
    return value;
  }

  private pop(): PickleValue {
    const value = this.top();
    this.stack.pop();
    return value;
  }

  private popMany(count: number): PickleValue[] {
    if (this.stack.length - count < (this.marks.at(-1) ?? 0)) fail("a value is missing");
    return this.stack.splice(this.stack.length - count);
  }

  private popMark(): PickleValue[] {
    const mark = this.marks.pop();
    if (mark === undefined) return fail("a mark is missing");
    return this.stack.splice(mark);
  }

  /** Place of the next `count` bytes, and steps over them. */
  private skipped(count: number): number {
    const { at } = this;
    if (at + count > this.bytes.byteLength) {
      throw new PickleCutOff(`${this.where}: broken pickle: it is cut off at byte ${this.bytes.byteLength}`);
    }
    this.at += count;
    return at;
  }

  private take(count: number): Uint8Array {
    const at = this.skipped(count);
    return this.bytes.subarray(at, at + count);
  }

  private u8(): number {
    return this.bytes[this.skipped(1)]!;
  }

  private u16(): number {
    return this.view.getUint16(this.skipped(2), true);
  }

  private u32(): number {
    return this.view.getUint32(this.skipped(4), true);
  }

  private u64(): number {
    return this.u32() + this.u32() * 2 ** 32;
  }

  private utf8(count: number): string {
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(this.take(count));
    } catch (error) {
      if (error instanceof WebldmError) throw error;
      return fail("a text is not UTF-8");
    }
  }

  private line(): string {
    const end = this.bytes.indexOf(10, this.at);
    if (end < 0 && this.bytes.byteLength - this.at <= longestLine) this.skipped(this.bytes.byteLength - this.at + 1);
    if (end < 0 || end - this.at > longestLine) return fail("a line is too long");
    const text = latin1(this.take(end - this.at));
    this.skipped(1);
    return text;
  }

  private intLine(): PickleValue {
    const text = this.line();
    if (text === "00" || text === "01") return text === "01"; // how protocol 0 writes booleans
    return integer(text);
  }

  private long(count: number): number | bigint {
    check(count <= longestNumber, `an integer takes ${count} bytes, expected at most ${longestNumber}`);
    const bytes = this.take(count);
    if (count === 0) return 0;
    const digits = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0"))
      .reverse()
      .join("");
    return smallest(BigInt.asIntN(count * 8, BigInt(`0x${digits}`)));
  }
}

function fail(why: string): never {
  throw new PickleError(why);
}

function check(condition: boolean, why: string): void {
  if (!condition) fail(why);
}

function withItems(map: Map<PickleValue, PickleValue>, items: readonly PickleValue[]) {
  check(items.length % 2 === 0, "a key lacks its value");
  for (let i = 0; i < items.length; i += 2) map.set(items[i]!, items[i + 1]!);
  return map;
}

function integer(text: string): number | bigint {
  const trimmed = text.trim();
  check(/^[+-]?\d+$/.test(trimmed) && trimmed.length <= longestNumber, "an integer is none");
  return smallest(trimmed.startsWith("-") ? -BigInt(trimmed.slice(1)) : BigInt(trimmed.replace("+", "")));
}

function memoIndex(text: string): number {
  const index = integer(text);
  if (typeof index !== "number" || index < 0) return fail("a place in the memo is none");
  return index;
}

function float(text: string): number {
  const named = /^([+-]?)(inf|nan)$/.exec(text);
  if (named) return named[2] === "nan" ? Number.NaN : named[1] === "-" ? -Infinity : Infinity;
  const value = text.trim() === "" ? Number.NaN : Number(text);
  check(!Number.isNaN(value), "a number is none");
  return value;
}

const smallest = (value: bigint): number | bigint =>
  value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value;

function latin1(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.byteLength; i += 4096) text += String.fromCharCode(...bytes.subarray(i, i + 4096));
  return text;
}

/** The text of protocol 0: in quotes, with Python's escapes. */
function quoted(line: string): string {
  const text = line.trim();
  check(text.length >= 2 && /^(['"]).*\1$/.test(text), "a text lacks its quotes");
  return unescaped(text.slice(1, -1), /\\x([\da-fA-F]{2})|\\(.)/g);
}

const named: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", "\\": "\\", "'": "'", '"': '"' };

/** Escapes by the pattern: its groups are hexadecimal digits, or one letter that stands for a character. */
function unescaped(text: string, pattern: RegExp): string {
  return text.replace(pattern, (whole: string, first?: string, second?: string) => {
    const digits = first ?? (second && second.length === 8 ? second : undefined);
    if (digits === undefined) return named[second ?? ""] ?? whole;
    const code = Number.parseInt(digits, 16);
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}
