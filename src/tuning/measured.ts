import type { TuningTable } from "../core/tuningTable.js";
import { llvmpipe } from "./measured/llvmpipe.js";
import { swiftshader } from "./measured/swiftshader.js";
import type { Entries } from "./table.js";

/** Tables that come with the package, written by `webldm tune --again --out` on the adapters that they name. */
export const measured: readonly TuningTable[] = [llvmpipe, swiftshader];

/** What the package knows of an adapter with its driver. */
export const measuredOn = (adapter: string): Entries =>
  measured.find((table) => table.adapter === adapter)?.entries ?? {};
