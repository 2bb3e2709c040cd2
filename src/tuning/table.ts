import { invariant } from "../core/invariant.js";
import { Fields } from "../core/json.js";
import type { TuningTable } from "../core/tuningTable.js";
import { sha256 } from "../weights/sha256.js";
import { version } from "./version.js";

export type Entries = Readonly<Record<string, string>>;

/** A table of entries that this version measured on an adapter. */
export function tableOf(adapter: string, entries: Entries): TuningTable {
  const sorted = Object.fromEntries(Object.entries(entries).sort(([a], [b]) => (a < b ? -1 : 1)));
  return { version, adapter, id: idOf(sorted), entries: sorted };
}

/** Eight digits that stand for entries. */
function idOf(entries: Entries): string {
  const digest = sha256();
  digest.update(new TextEncoder().encode(JSON.stringify(entries)));
  return digest.hex().slice(0, 8);
}

/** A table from JSON. @throws WebldmError that names what is wrong, and where it came from */
export function parseTable(json: unknown, name: string): TuningTable {
  const fields = new Fields(json, name);
  const text = (field: string): string => {
    const value = fields.raw(field);
    invariant(typeof value === "string", () => `${name}: ${field} is ${JSON.stringify(value)}, expected a text`);
    return value;
  };
  const entries = fields.raw("entries");
  const isTable =
    typeof entries === "object" && entries !== null && Object.values(entries).every((form) => typeof form === "string");
  invariant(
    isTable,
    () => `${name}: entries is ${JSON.stringify(entries)?.slice(0, 80)}, expected names of forms by op`,
  );
  const table = { ...tableOf(text("adapter"), entries as Entries), version: text("version") };
  const id = text("id");
  invariant(id === table.id, `${name}: id is ${id}, expected ${table.id} for these entries (was the table edited?)`);
  return table;
}
