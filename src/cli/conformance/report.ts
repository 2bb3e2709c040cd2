import type { Result } from "./case.js";

/** How many cases ended how. */
export interface Tally {
  pass: number;
  fail: number;
  unsupported: number;
}

/** A result as one line for people. */
export function resultLine({ case: name, status, metric, value, limit, tensor, reason }: Result): string {
  const figures =
    metric === undefined ? "" : metric === "exact" ? exact(value) : `${metric} ${short(value)} of ${short(limit)}`;
  const parts = [status.padEnd(11), name.padEnd(36), figures, tensor ?? "", reason ? `(${reason})` : ""];
  return parts
    .filter((part) => part !== "")
    .join("  ")
    .trimEnd();
}

/** A result as one line of JSON; what is not a number becomes null. */
export const resultJson = (result: Result): string => JSON.stringify(result);

export const tallyLine = ({ pass, fail, unsupported }: Tally): string =>
  `${pass + fail + unsupported} cases: ${pass} passed, ${fail} failed, ${unsupported} unsupported`;

/** 1: something failed; 3: nothing did, but not everything could run; 0: all passed. */
export const exitStatus = ({ fail, unsupported }: Tally): 0 | 1 | 3 => (fail > 0 ? 1 : unsupported > 0 ? 3 : 0);

const short = (value: number | undefined): string =>
  value === undefined ? "" : value === 0 ? "0" : value.toExponential(1);
const exact = (value: number | undefined): string => (value === 0 ? "exact" : `${value} differ`);
