import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parseTable, tableOf } from "../../src/tuning/table.js";
import { version } from "../../src/tuning/version.js";

const table = tableOf("a card, driver 1", { "linear f16 8x8 out=8": "direct", "conv2d f16 1x8x8x8 out=8": "usual" });

describe("a tuning table", () => {
  it("comes back from JSON as it was", () => {
    expect(parseTable(JSON.parse(JSON.stringify(table)), "t.json")).toEqual(table);
  });

  it("has an id of its entries, whatever their order, and of nothing else", () => {
    const turned = Object.fromEntries(Object.entries(table.entries).reverse());
    expect(tableOf("another card", turned).id).toBe(table.id);
    expect(tableOf(table.adapter, { ...table.entries, "linear f16 8x8 out=8": "usual" }).id).not.toBe(table.id);
    expect(table.id).toMatch(/^[0-9a-f]{8}$/);
  });

  it.each<[string, unknown, string]>([
    ["no object", [], "t.json: expected a JSON object"],
    ["no adapter", { ...table, adapter: undefined }, "t.json: adapter is undefined, expected a text"],
    ["a version that is no text", { ...table, version: 1 }, "t.json: version is 1, expected a text"],
    ["no entries", { ...table, entries: undefined }, "t.json: entries is undefined, expected names of forms by op"],
    ["a form that is no name", { ...table, entries: { a: 1 } }, 't.json: entries is {"a":1}, expected names of forms'],
    ["entries that were edited", { ...table, entries: { a: "b" } }, `t.json: id is ${table.id}, expected`],
  ])("is refused with %s", (_, json, message) => {
    expect(() => parseTable(json, "t.json")).toThrow(message);
  });

  it("carries the version of the package", () => {
    expect(version).toBe((JSON.parse(readFileSync("package.json", "utf8")) as { version: string }).version);
  });
});
