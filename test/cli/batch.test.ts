import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { decode } from "fast-png";
import { beforeAll, describe, expect, it } from "vitest";
import { root } from "../harness/source.js";
import { cliDevice, useCli } from "./useCli.js";

const { folder, run } = useCli();
const sticker = join(root, "weights/sticker");
const minutes = 60_000;
const small = ["--width", "32", "--height", "32", "--steps", "1"];
const reason = !cliDevice
  ? " [no adapter]"
  : cliDevice.name === "swiftshader"
    ? " [too slow on SwiftShader]"
    : existsSync(sticker)
      ? ""
      : " [weights/sticker is not there]";

interface Result {
  readonly index: number;
  readonly status: string;
  readonly file?: string;
  readonly seed?: number;
  readonly error?: string;
  readonly milliseconds?: number;
}

const lines = (path: string): string[] => readFileSync(join(folder, path), "utf8").trim().split("\n");
const results = (path: string): Result[] => lines(path).map((line) => JSON.parse(line) as Result);
const picturesOf = (out: string): Map<string, string> =>
  new Map(
    readdirSync(join(folder, out))
      .filter((name) => name.endsWith(".png"))
      .map((name) => [name, readFileSync(join(folder, out, name)).toString("base64")]),
  );

/** Jobs whose seeds follow from their places, but for every fourth. */
function writeJobs(name: string, count: number): void {
  const job = (i: number) => ({ prompt: `a fox, number ${i}`, ...(i % 4 === 3 ? { seed: 1000 + i } : {}) });
  writeFileSync(join(folder, name), Array.from({ length: count }, (_, i) => `${JSON.stringify(job(i))}\n`).join(""));
}

describe.skipIf(reason !== "")(`a batch${reason}`, () => {
  const count = 24;
  const whole = "whole";
  const command = ["batch", "jobs.jsonl", ...small];

  beforeAll(async () => {
    writeJobs("jobs.jsonl", count);
    const { status, stdout, errors } = await run([...command, "--out", whole, "--json"]);
    expect({ status, errors }).toEqual({ status: 0, errors: [] });
    expect(JSON.parse(stdout)).toMatchObject({ out: whole, shard: "0/1", total: count, done: count, failed: 0 });
  }, 5 * minutes);

  it("draws a picture a line, each with the seed of its place, and records it", () => {
    const rows = results(`${whole}/results.jsonl`);
    expect(rows.map(({ index, file, seed, status }) => ({ index, file, seed, status }))).toEqual(
      Array.from({ length: count }, (_, i) => ({
        index: i,
        file: `${String(i).padStart(6, "0")}.png`,
        seed: i % 4 === 3 ? 1000 + i : i,
        status: "done",
      })),
    );
    const pictures = picturesOf(whole);
    expect(pictures.size).toBe(count);
    expect(new Set(pictures.values()).size).toBe(count);
    const { text } = decode(readFileSync(join(folder, whole, "000003.png")));
    expect(text).toMatchObject({ prompt: "a fox, number 3", seed: "1003", steps: "1" });
  });

  it("draws what generate draws", async () => {
    await run(["generate", "a fox, number 5", ...small, "--seed", "5", "--out", "alone.png"]);
    const alone = readFileSync(join(folder, "alone.png"));
    expect(alone.equals(readFileSync(join(folder, whole, "000005.png")))).toBe(true);
  });

  it(
    "ends with the same pictures when it was killed five times on the way",
    async () => {
      const out = "killed";
      const path = join(folder, out);
      const args = [...command, "--out", out];
      const drawn = () => (existsSync(path) ? picturesOf(out).size : 0);
      let kills = 0;
      for (let i = 0; i < 5; i++) {
        // Killed a random moment after it has drawn some more, so that each run gets somewhere and none gets to the end.
        const target = drawn() + 1 + Math.floor(Math.random() * 3);
        const ended = await run(args, {
          onStart: (child) => {
            const watch = setInterval(() => {
              if (drawn() < target) return;
              clearInterval(watch);
              setTimeout(() => child.kill("SIGKILL"), Math.random() * 60);
            }, 5);
            child.on("close", () => clearInterval(watch));
          },
        });
        if (ended.status === null) kills++;
        for (const name of picturesOf(out).keys())
          expect(decode(readFileSync(join(path, name)))).toMatchObject({ width: 32 });
      }
      expect(kills).toBe(5);
      const before = drawn();
      expect(before).toBeLessThan(count);
      const last = await run([...args, "--json"]);
      expect(last).toMatchObject({ status: 0, errors: [] });
      const { done, skipped } = JSON.parse(last.stdout) as { done: number; skipped: number };
      expect(done + skipped).toBe(count);
      expect(skipped).toBeGreaterThanOrEqual(before - 5); // a kill can come between a picture and its result
      expect(picturesOf(out)).toEqual(picturesOf(whole));
      expect(readdirSync(path).filter((name) => name.endsWith(".tmp"))).toEqual([]);
    },
    5 * minutes,
  );

  it("draws again what is missing, cut off, or asked differently, and nothing else", async () => {
    const out = "again";
    writeJobs("few.jsonl", 4);
    const args = ["batch", "few.jsonl", ...small, "--out", out, "--json"];
    await run(args);
    const before = picturesOf(out);
    const untouched = await run(args, { env: { WEBLDM_ADAPTER: "no such adapter" } }); // nothing to do needs no device
    expect(untouched).toMatchObject({ status: 0, errors: [] });
    expect(JSON.parse(untouched.stdout)).toMatchObject({ done: 0, skipped: 4 });

    const first = join(folder, out, "000000.png");
    writeFileSync(first, readFileSync(first).subarray(0, 500));
    writeFileSync(
      join(folder, out, "results.jsonl"),
      `${lines(`${out}/results.jsonl`).slice(0, 3).join("\n")}\n{"index":3,"sta`,
    );
    const changed = lines("few.jsonl");
    changed[1] = JSON.stringify({ prompt: "a cat", seed: 1 });
    writeFileSync(join(folder, "few.jsonl"), changed.join("\n"));
    const ended = await run(args);
    expect(JSON.parse(ended.stdout)).toMatchObject({ done: 3, skipped: 1, failed: 0 });
    const after = picturesOf(out);
    expect([...after].filter(([name, bytes]) => before.get(name) !== bytes).map(([name]) => name)).toEqual([
      "000001.png",
    ]);
    const otherModel = await run([...args, "--model", sticker]);
    expect(JSON.parse(otherModel.stdout)).toMatchObject({ done: 4, skipped: 0 });
    const rest = lines(`${out}/results.jsonl`).filter((line) => line !== '{"index":3,"sta');
    expect(rest.map((line) => (JSON.parse(line) as Result).index)).toEqual([0, 1, 2, 0, 1, 3, 0, 1, 2, 3]);
  });

  it("stops when interrupted, with what is done by then recorded", async () => {
    const out = "interrupted";
    const { status, stdout, errors } = await run(["batch", "jobs.jsonl", ...small, "--steps", "20", "--out", out], {
      onStart: (child) => {
        const watch = setInterval(() => {
          if (!existsSync(join(folder, out)) || picturesOf(out).size < 2) return;
          clearInterval(watch);
          child.kill("SIGINT");
        }, 5);
        child.on("close", () => clearInterval(watch));
      },
    });
    expect({ status, stdout, errors }).toEqual({ status: 130, stdout: "", errors: ["webldm: cancelled"] });
    const drawn = [...picturesOf(out).keys()];
    expect(drawn.length).toBeLessThan(count);
    expect(results(`${out}/results.jsonl`).map((row) => [row.file, row.status])).toEqual(
      drawn.map((file) => [file, "done"]),
    );
  });

  it("records jobs that fail, names their lines, and goes on", async () => {
    writeFileSync(
      join(folder, "mixed.jsonl"),
      [
        '{"prompt": "a fox", "name": "fox"}',
        "{ not JSON",
        "",
        '{"prompt": "a fox", "sed": 3}',
        '{"prompt": "a fox", "steps": 0}',
        '{"task": "paint", "prompt": "a fox"}',
        '{"task": "img2img", "image": "nothing.png", "prompt": "a fox", "strength": 1}',
        '{"prompt": "a fox", "name": "../fox"}',
        '{"prompt": "a fox", "name": "fox"}',
        '{"prompt": "a fox", "name": "000001"}',
        '{"prompt": "a fox", "negative": "a cat", "negativePrompt": "a dog"}',
        '["a fox"]',
        '{"task": "img2img", "image": "alone.png", "prompt": "a fox", "strength": 1}',
        '{"prompt": "a fox", "images": 2, "seed": 5}',
      ].join("\n"),
    );
    const { status, stdout, errors } = await run(["batch", "mixed.jsonl", ...small, "--out", "mixed"]);
    expect(status).toBe(1);
    expect(stdout).toMatch(/^mixed: 13 jobs, 3 done, 0 done before, 10 failed, [\d.]+ s\n$/);
    const expected: readonly [number, string][] = [
      [2, "expected a JSON object: "],
      [4, "sed: generate takes no such option"],
      [5, "steps: expected an integer from 1 to 1000, got 0"],
      [6, 'task: expected generate, img2img, inpaint, outpaint, upscale, got "paint"'],
      [7, "nothing.png: expected a picture, it does not exist"],
      [8, 'name: expected letters, digits and . _ - without a folder, got "../fox"'],
      [9, "name: fox.png is that of line 1 already"],
      [10, "name: 000001 is the name of another line"],
      [11, "negativePrompt: expected once, by one of its names"],
      [12, 'expected a JSON object, got ["a fox"]'],
    ];
    expect(errors).toHaveLength(expected.length);
    const failed = results("mixed/results.jsonl").filter((row) => row.status === "failed");
    for (const [i, [line, message]] of expected.entries()) {
      expect(errors[i]).toContain(`webldm: mixed.jsonl:${line}: `);
      expect(errors[i]).toContain(message);
      expect(failed[i]).toMatchObject({ index: line - 1, error: expect.stringContaining(message) });
    }
    expect([...picturesOf("mixed").keys()]).toEqual(["000012.png", "000013-1.png", "000013-2.png", "fox.png"]);
  });

  it.each<[string, (shard: number) => NodeJS.ProcessEnv]>([
    ["Kubernetes", (i) => ({ JOB_COMPLETION_INDEX: String(i), JOB_COMPLETIONS: "2" })],
    ["Slurm", (i) => ({ SLURM_ARRAY_TASK_ID: String(4 + i), SLURM_ARRAY_TASK_MIN: "4", SLURM_ARRAY_TASK_COUNT: "2" })],
  ])("is the same in two shards that %s deals", async (name, env) => {
    const out = `shards-${name}`;
    writeJobs("dealt.jsonl", 9);
    for (const [shard, jobs] of [5, 4].entries()) {
      const { status, stdout } = await run(["batch", "dealt.jsonl", ...small, "--out", out, "--json"], {
        env: env(shard),
      });
      expect(status).toBe(0);
      expect(JSON.parse(stdout)).toMatchObject({ shard: `${shard}/2`, total: jobs, done: jobs });
    }
    const of = (rows: Result[]) => rows.map(({ milliseconds: _time, ...row }) => row);
    const dealt = [0, 1].flatMap((i) => results(`${out}/results-${i}-of-2.jsonl`)).sort((a, b) => a.index - b.index);
    expect(of(dealt)).toEqual(of(results(`${whole}/results.jsonl`).slice(0, 9)));
    expect(picturesOf(out)).toEqual(new Map([...picturesOf(whole)].slice(0, 9)));
    // The jobs are done, however they are dealt the next time.
    const { stdout } = await run(["batch", "dealt.jsonl", ...small, "--out", out, "--json"]);
    expect(JSON.parse(stdout)).toMatchObject({ done: 0, skipped: 9 });
  });
});
