import { describe, expect, it } from "vitest";
import { shardOf } from "../../src/cli/batch/shard.js";

describe("the shard of a batch", () => {
  const slurm = (id: string, count: string, more = {}) => ({
    SLURM_ARRAY_TASK_ID: id,
    SLURM_ARRAY_TASK_COUNT: count,
    ...more,
  });

  it.each<[string, string | undefined, Record<string, string>, [number, number]]>([
    ["all jobs", undefined, {}, [0, 1]],
    ["what is asked for", "2/5", {}, [2, 5]],
    ["what is asked for, whatever the environment says", "2/5", { JOB_COMPLETION_INDEX: "0" }, [2, 5]],
    ["Kubernetes'", undefined, { JOB_COMPLETION_INDEX: "3", JOB_COMPLETIONS: "16" }, [3, 16]],
    ["Slurm's", undefined, slurm("3", "16"), [3, 16]],
    ["Slurm's, from 1", undefined, slurm("16", "16", { SLURM_ARRAY_TASK_MIN: "1" }), [15, 16]],
    [
      "Slurm's, in steps",
      undefined,
      slurm("30", "4", { SLURM_ARRAY_TASK_MIN: "10", SLURM_ARRAY_TASK_STEP: "10" }),
      [2, 4],
    ],
  ])("is %s", (_, option, env, [index, count]) => {
    expect(shardOf(option, env)).toEqual({ index, count });
  });

  it.each<[string | undefined, Record<string, string>, string]>([
    ["5/5", {}, "--shard: expected a shard from 0 to 4 of 5, got 5"],
    ["1", {}, "--shard: expected I/N, such as 0/4, got '1'"],
    ["-1/4", {}, "--shard: expected I/N"],
    ["0/0", {}, "--shard: expected a shard"],
    [undefined, { JOB_COMPLETION_INDEX: "3" }, "JOB_COMPLETIONS: expected a number from 0, got nothing"],
    [
      undefined,
      { JOB_COMPLETION_INDEX: "x", JOB_COMPLETIONS: "4" },
      "JOB_COMPLETION_INDEX: expected a number from 0, got x",
    ],
    [undefined, slurm("7", "2"), "SLURM_ARRAY_TASK_ID: expected a shard from 0 to 1 of 2, got 7"],
  ])("%s in %j is refused", (option, env, message) => {
    expect(() => shardOf(option, env)).toThrow(message);
  });
});
