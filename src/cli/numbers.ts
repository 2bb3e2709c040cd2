import { invariant } from "../core/invariant.js";

/** The number that an option was given. @throws WebldmError that names the option */
export function numberOption(option: string): (text: string) => number {
  return (text) => {
    const value = text.trim() === "" ? Number.NaN : Number(text);
    invariant(!Number.isNaN(value), () => `${option}: expected a number, got '${text.slice(0, 80)}'`);
    return value;
  };
}
