import type { TuningTable } from "../core/tuningTable.js";
import type { Entries } from "./table.js";

/** Tables that come with the package, measured by `webldm tune --again --out` on the adapters that they name. */
export const measured: readonly TuningTable[] = [];

/** What the package knows of an adapter with its driver. */
export const measuredOn = (adapter: string): Entries =>
  measured.find((table) => table.adapter === adapter)?.entries ?? {};
