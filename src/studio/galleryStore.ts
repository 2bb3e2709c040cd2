import { type DBSchema, type IDBPDatabase, openDB } from "idb";
import type { Settings } from "./settings.js";

/** A picture that was made here, with what it takes to make it again. */
export interface Entry {
  readonly id: number;
  /** Milliseconds since 1970. */
  readonly when: number;
  readonly settings: Settings;
  readonly png: Blob;
  readonly width: number;
  readonly height: number;
  readonly milliseconds: number;
  readonly warnings: readonly string[];
  /** Steps that were done, where it was stopped. */
  readonly stoppedAt?: number;
  /** What it began with, and the mask. */
  readonly source?: Blob;
  readonly mask?: Blob;
}

interface Schema extends DBSchema {
  pictures: { key: number; value: Entry };
}

let opened: Promise<IDBPDatabase<Schema>> | undefined;

const database = (): Promise<IDBPDatabase<Schema>> => {
  opened ??= openDB<Schema>("webldm-studio", 1, {
    upgrade: (db) => void db.createObjectStore("pictures", { keyPath: "id" }),
  });
  return opened;
};

/** All pictures, the newest first. */
export const readEntries = async (): Promise<Entry[]> => (await (await database()).getAll("pictures")).reverse();

/** Keeps a picture; where the browser has no room, it says so by throwing. */
export async function keepEntry(entry: Entry): Promise<void> {
  await (await database()).put("pictures", entry);
}

export async function dropEntries(ids: readonly number[]): Promise<void> {
  const { store, done } = (await database()).transaction("pictures", "readwrite");
  await Promise.all([...ids.map((id) => store.delete(id)), done]);
}

/** Later ones are larger, also of two in one millisecond. */
export function newId(): number {
  last = Math.max(Date.now(), last + 1);
  return last;
}

let last = 0;
