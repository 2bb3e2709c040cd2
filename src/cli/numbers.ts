import { invariant } from "../core/invariant.js";

/** The number that an option was given. @throws WebldmError that names the option */
export function numberOption(option: string): (text: string) => number {
  return (text) => {
    const value = text.trim() === "" ? Number.NaN : Number(text);
    invariant(!Number.isNaN(value), () => `${option}: expected a number, got '${text.slice(0, 80)}'`);
    return value;
  };
}

const units: Readonly<Record<string, number>> = {
  "": 1,
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KIB: 2 ** 10,
  MIB: 2 ** 20,
  GIB: 2 ** 30,
};

const leastSize = 1e6;

/** The bytes that an option was given: a number with a unit, "512MB", "1.5GiB". @throws WebldmError that names the option */
export function sizeOption(option: string): (text: string) => number {
  return (text) => {
    const [, digits = "", unit = ""] = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(text) ?? [];
    const bytes = Math.floor(Number(digits) * (units[unit.toUpperCase()] ?? Number.NaN));
    invariant(
      digits !== "" && bytes >= leastSize && Number.isSafeInteger(bytes),
      () => `${option}: expected at least 1MB, such as 512MB or 2GiB, got '${text.slice(0, 80)}'`,
    );
    return bytes;
  };
}
