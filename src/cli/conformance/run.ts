import { UnsupportedError, WebldmError } from "../../core/invariant.js";
import { oneLine } from "../../weights/oneLine.js";
import type { Case, Result } from "./case.js";
import { type Check, passes, worst } from "./compare.js";
import type { Lab } from "./lab.js";

/** Runs one case; whatever goes wrong becomes its result. */
export async function runCase(one: Case, lab: Lab): Promise<Result> {
  const { name, kind } = one;
  try {
    const check = worst(await one.run(lab));
    if (!check) throw new WebldmError("the case compares nothing");
    return resultOf(name, kind, check);
  } catch (error) {
    const status = error instanceof UnsupportedError ? "unsupported" : "fail";
    return { case: name, kind, status, reason: oneLine(error) };
  }
}

function resultOf(name: string, kind: string, check: Check): Result {
  const { metric, value, limit, tensor, reason } = check;
  const status = passes(check) ? "pass" : "fail";
  return { case: name, kind, metric, value, limit, status, ...(reason ? { reason } : {}), tensor };
}
