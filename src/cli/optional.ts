import { WebldmError } from "../core/invariant.js";
import { oneLine } from "../weights/oneLine.js";

/** Loads a package that only the command line needs. @throws WebldmError that says how to install it */
export async function optional<T>(name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ERR_MODULE_NOT_FOUND" || code === "MODULE_NOT_FOUND") {
      throw new WebldmError(`the command line needs the package ${name}, which is not installed: npm install ${name}`);
    }
    throw new WebldmError(`the package ${name} does not load: ${oneLine(error)}`);
  }
}
