import { invariant } from "./invariant.js";

/**
 * Reads JSON as Python writes it: `Infinity` stays itself, as in the configurations of diffusers' solvers, and `NaN` becomes
 * null. JSON has no such numbers; one beyond the largest is read as infinity.
 */
export function parsePythonJson(text: string): unknown {
  const plain = text.replace(/"(?:[^"\\]|\\.)*"|Infinity|NaN/g, (token) =>
    token === "Infinity" ? "1e999" : token === "NaN" ? "null" : token,
  );
  return JSON.parse(plain) as unknown;
}

/** A JSON object read field by field, with defaults for absent (or null) fields and errors that name file and field. */
export class Fields {
  private readonly values: Readonly<Record<string, unknown>>;

  constructor(
    json: unknown,
    readonly file: string,
  ) {
    invariant(typeof json === "object" && json !== null && !Array.isArray(json), `${file}: expected a JSON object`);
    this.values = json as Record<string, unknown>;
  }

  /** The raw value; null counts as absent. */
  raw(name: string): unknown {
    return this.values[name] ?? undefined;
  }

  /** Whether the field is there and null, where that means something else than its absence. */
  isNull(name: string): boolean {
    return this.values[name] === null;
  }

  number(name: string, fallback?: number): number {
    const value = this.raw(name) ?? fallback;
    invariant(typeof value === "number", () => this.expected(name, "a number"));
    return value;
  }

  /** A positive integer. */
  count(name: string, fallback?: number): number {
    const value = this.number(name, fallback);
    invariant(Number.isInteger(value) && value > 0, () => this.expected(name, "a positive integer"));
    return value;
  }

  boolean(name: string, fallback: boolean): boolean {
    const value = this.raw(name) ?? fallback;
    invariant(typeof value === "boolean", () => this.expected(name, "true or false"));
    return value;
  }

  oneOf<const T extends string>(name: string, allowed: readonly T[], fallback?: T): T {
    const value = this.raw(name) ?? fallback;
    invariant(allowed.includes(value as T), () => this.expected(name, allowed.join(", ")));
    return value as T;
  }

  strings(name: string, fallback?: readonly string[]): readonly string[] {
    const value = this.raw(name) ?? fallback;
    const fits = Array.isArray(value) && value.every((item) => typeof item === "string");
    invariant(fits, () => this.expected(name, "a list of strings"));
    return value as string[];
  }

  /** Positive integers: a list, or one number for all `length` entries. */
  counts(name: string, length?: number, fallback?: number): readonly number[] {
    const value = this.raw(name) ?? fallback;
    const list = typeof value === "number" && length !== undefined ? new Array<unknown>(length).fill(value) : value;
    const fits = Array.isArray(list) && list.every((item) => Number.isInteger(item) && item > 0);
    invariant(fits && (length === undefined || list.length === length), () =>
      this.expected(name, length === undefined ? "a list of positive integers" : `${length} positive integers`),
    );
    return list as number[];
  }

  private expected(name: string, what: string): string {
    return `${this.file}: ${name} is ${JSON.stringify(this.values[name])}, expected ${what}`;
  }
}
