import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { decode } from "fast-png";
import { describe, expect, it } from "vitest";
import { root } from "../harness/source.js";
import { cliDevice, useCli } from "./useCli.js";

const { folder, run } = useCli();
const env = { WEBLDM_CACHE: join(folder, "cache") };
const sticker = join(root, "weights/sticker");
const size = ["--width", "64", "--height", "64", "--guidance", "1"];

describe("bad input ends with 2 and one line", () => {
  it.each<[string, string[], string]>([
    ["a table that is not there", ["generate", "a", "--tuning", "no.json"], "--tuning: expected a file of webldm tune"],
    ["no JSON", ["generate", "a", "--tuning", "broken.json"], "broken.json: is not valid JSON"],
    [
      "no table",
      ["generate", "a", "--tuning", "other.json"],
      "other.json: entries is undefined, expected names of forms",
    ],
    ["both ways", ["generate", "a", "--tune", "--tuning", "other.json"], "expected one of them, got both"],
    ["no time", ["tune", "--seconds", "soon"], "--seconds: expected a number, got 'soon'"],
    ["an unknown place", ["tune", "--out", "nowhere/t.json"], "--out: expected a file in an existing folder"],
  ])("%s", async (_, args, message) => {
    writeFileSync(join(folder, "broken.json"), "{");
    writeFileSync(join(folder, "other.json"), "{}");
    const { status, stdout, errors } = await run(args, { env });
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(errors).toHaveLength(1);
    expect(errors[0]).toContain(message);
  });
});

it.skipIf(!cliDevice || !existsSync(sticker))(
  "tune measures, keeps and writes a table, which pictures then name",
  async () => {
    const measured = await run(["tune", sticker, ...size, "--again", "--seconds", "60", "--out", "t.json", "--json"], {
      env,
    });
    expect(measured).toMatchObject({ status: 0, errors: [] });
    const summary = JSON.parse(measured.stdout) as Record<string, unknown>;
    const table = JSON.parse(readFileSync(join(folder, "t.json"), "utf8")) as { id: string; entries: object };
    expect(summary).toMatchObject({ file: "t.json", id: table.id, left: 0, ops: Object.keys(table.entries).length });
    expect(summary["measured"]).toBe(summary["ops"]);
    expect(readdirSync(env.WEBLDM_CACHE)).toHaveLength(1);

    const again = await run(["tune", sticker, ...size], { env });
    expect(again.stdout).toContain(`0 measured`);
    expect(again.stdout).toContain(`tuning ${table.id}`);

    const late = await run(["tune", sticker, ...size, "--again", "--seconds", "0", "--json"], { env });
    const { ops } = summary;
    expect(JSON.parse(late.stdout)).toMatchObject({ id: table.id, ops, measured: 0, left: ops });

    const drawn = ["generate", "a red apple", ...size, "--steps", "1", "--seed", "1", "--json"];
    const picture = await run([...drawn, "--tuning", "t.json", "--out", "a.png"], { env });
    expect(JSON.parse(picture.stdout)).toMatchObject({ tuning: table.id });
    expect(decode(readFileSync(join(folder, "a.png"))).text).toMatchObject({ tuning: table.id });

    // What is drawn is what is tuned: nothing is left to measure.
    writeFileSync(join(folder, "jobs.jsonl"), '{"prompt": "a red apple", "name": "b"}');
    const asked = [...size, "--steps", "1", "--tune", "--json"];
    const tuned = await run(["generate", "a red apple", ...asked, "--out", "a.png"], { env });
    const timed = await run(["bench", ...asked, "--repeats", "1"], { env });
    await run(["batch", "jobs.jsonl", ...asked, "--out", "."], { env });
    expect([tuned, timed].map(({ stdout }) => (JSON.parse(stdout) as { tuning: string }).tuning)).toEqual([
      table.id,
      table.id,
    ]);
    expect(decode(readFileSync(join(folder, "b.png"))).text).toMatchObject({ tuning: table.id });
  },
);
