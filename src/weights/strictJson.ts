/** A JSON value. Objects are maps, unsigned integers of up to 20 digits are bigints, all other numbers are numbers. */
export type Json = null | boolean | number | bigint | string | Json[] | Map<string, Json>;

/** Where and why a text is not JSON. */
export class JsonError extends Error {}

const deepest = 128;
const numeral = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const plain = /[ !#-[\]-\uffff]*/y; // all but quotes, backslashes and control characters
const loneSurrogate = /\p{Surrogate}/u;
const escapes: Readonly<Record<string, string>> = {
  '"': '"',
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};

/**
 * Parses JSON more strictly than `JSON.parse`: a key that occurs twice, a lone surrogate and nesting beyond 128 levels
 * are errors, and integers stay exact. Throws a {@link JsonError}.
 */
export function parseStrictJson(text: string): Json {
  return new Parser(text).document();
}

class Parser {
  private at = 0;

  constructor(private readonly text: string) {}

  document(): Json {
    const value = this.value(0);
    this.space();
    if (this.at < this.text.length) this.fail("expected the end");
    return value;
  }

  private value(depth: number): Json {
    if (depth > deepest) this.fail(`nested deeper than ${deepest} levels`);
    this.space();
    switch (this.text[this.at]) {
      case "{":
        return this.object(depth);
      case "[":
        return this.array(depth);
      case '"':
        return this.string();
      case "t":
        return this.word("true", true);
      case "f":
        return this.word("false", false);
      case "n":
        return this.word("null", null);
      default:
        return this.number();
    }
  }

  private object(depth: number): Map<string, Json> {
    const entries = new Map<string, Json>();
    this.at++;
    if (this.taken("}")) return entries;
    do {
      this.space();
      if (this.text[this.at] !== '"') this.fail("expected a key");
      const key = this.string();
      if (entries.has(key)) this.fail(`the key ${JSON.stringify(key.slice(0, 200))} occurs twice`);
      if (!this.taken(":")) this.fail("expected ':'");
      entries.set(key, this.value(depth + 1));
    } while (this.taken(","));
    if (!this.taken("}")) this.fail("expected ',' or '}'");
    return entries;
  }

  private array(depth: number): Json[] {
    const items: Json[] = [];
    this.at++;
    if (this.taken("]")) return items;
    do items.push(this.value(depth + 1));
    while (this.taken(","));
    if (!this.taken("]")) this.fail("expected ',' or ']'");
    return items;
  }

  private string(): string {
    let out = "";
    this.at++;
    for (;;) {
      out += this.match(plain);
      const c = this.text[this.at++];
      if (c === '"') break;
      if (c !== "\\") this.fail("expected the end of a string");
      const code = this.text[this.at++] ?? "";
      if (code === "u") out += this.unicode();
      else out += escapes[code] ?? this.fail("unknown escape");
    }
    if (loneSurrogate.test(out)) this.fail("lone surrogate in a string");
    return out;
  }

  private unicode(): string {
    const digits = this.text.slice(this.at, this.at + 4);
    if (!/^[\da-fA-F]{4}$/.test(digits)) this.fail("expected four hexadecimal digits");
    this.at += 4;
    return String.fromCharCode(Number.parseInt(digits, 16));
  }

  private number(): number | bigint {
    const digits = this.match(numeral);
    if (digits === "") this.fail("expected a value");
    return /^\d{1,20}$/.test(digits) ? BigInt(digits) : Number(digits);
  }

  private word<T>(word: string, value: T): T {
    if (!this.text.startsWith(word, this.at)) this.fail("expected a value");
    this.at += word.length;
    return value;
  }

  private match(pattern: RegExp): string {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text)?.[0] ?? "";
    this.at += found.length;
    return found;
  }

  /** Skips white space and, where the next character is this one, the character. */
  private taken(c: string): boolean {
    this.space();
    if (this.text[this.at] !== c) return false;
    this.at++;
    return true;
  }

  private space(): void {
    while (this.at < this.text.length && " \n\r\t".includes(this.text[this.at]!)) this.at++;
  }

  private fail(why: string): never {
    throw new JsonError(`${why} at character ${this.at}`);
  }
}
