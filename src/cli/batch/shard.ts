import { invariant } from "../../core/invariant.js";

/** Which of the jobs are ours: those whose number leaves `index` when divided by `count`. */
export interface Shard {
  /** From 0. */
  readonly index: number;
  readonly count: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The shard that `--shard I/N` names, else the one that a Kubernetes Indexed Job (`JOB_COMPLETION_INDEX`, and
 * `JOB_COMPLETIONS`, which its manifest sets) or a Slurm array (`SLURM_ARRAY_TASK_ID`, `_COUNT`, `_MIN`, `_STEP`) gives to
 * this process, else all jobs.
 */
export function shardOf(option: string | undefined, env: Environment): Shard {
  if (option !== undefined) {
    const [, index, count] = /^(\d+)\/(\d+)$/.exec(option) ?? [];
    invariant(count !== undefined, () => `--shard: expected I/N, such as 0/4, got '${option.slice(0, 80)}'`);
    return checked("--shard", Number(index), Number(count));
  }
  const number = (name: string): number => {
    const text = env[name];
    invariant(text && /^\d+$/.test(text), () => `${name}: expected a number from 0, got ${text ?? "nothing"}`);
    return Number(text);
  };
  if (env["JOB_COMPLETION_INDEX"] !== undefined) {
    return checked("JOB_COMPLETION_INDEX", number("JOB_COMPLETION_INDEX"), number("JOB_COMPLETIONS"));
  }
  if (env["SLURM_ARRAY_TASK_ID"] !== undefined) {
    const first = env["SLURM_ARRAY_TASK_MIN"] === undefined ? 0 : number("SLURM_ARRAY_TASK_MIN");
    const step = env["SLURM_ARRAY_TASK_STEP"] ? number("SLURM_ARRAY_TASK_STEP") : 1;
    const index = (number("SLURM_ARRAY_TASK_ID") - first) / Math.max(1, step);
    return checked("SLURM_ARRAY_TASK_ID", index, number("SLURM_ARRAY_TASK_COUNT"));
  }
  return { index: 0, count: 1 };
}

function checked(name: string, index: number, count: number): Shard {
  const fits = Number.isInteger(index) && index >= 0 && index < count;
  invariant(fits, `${name}: expected a shard from 0 to ${count - 1} of ${count}, got ${index}`);
  return { index, count };
}
