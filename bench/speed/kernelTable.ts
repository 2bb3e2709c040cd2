// Every distinct kernel and shape of a compiled program, timed where it stands: with its own inputs, weights and memory.
import { invariant } from "../../src/core/invariant.js";
import type { Call, Phase } from "../../src/graph/graph.js";
import type { Plan } from "../../src/plan/plan.js";
import { profile } from "../../src/plan/profile.js";
import { callError } from "./callError.js";
import { bytesOf, flopsOf, keyOf, sizeText } from "./callWork.js";
import { median, replay, summary, timed } from "./clock.js";
import type { KernelRow, KernelTable } from "./row.js";

export interface KernelTableOptions {
  readonly program: string;
  readonly phase?: Phase;
  /** Runs of the whole program; 20 by default. */
  readonly runs?: number;
  /** Work out errors; true by default. */
  readonly errors?: boolean;
}

/** Times and errors of all dispatches of a phase, those that are alike in one row. The plan's inputs are set. */
export async function kernelTable(plan: Plan, options: KernelTableOptions): Promise<KernelTable> {
  const { program, phase = "step", runs = 20 } = options;
  invariant(plan.device.features.timestamps, `${plan.device.adapterName}: has no timestamps to time kernels by`);
  poison(plan, phase);
  plan.run(phase);
  const errors = options.errors === false ? new Map<string, number>() : await errorsOf(plan, phase);
  const pass = await timed(plan.device, replay(plan, phase), { runs, least: 0 });
  const times: number[][] = plan.list(phase).map(() => []);
  for (let run = -1; run < runs; run++) {
    const timings = await profile(plan, phase); // the first one warms up
    if (run < 0) continue;
    for (const [i, { microseconds }] of timings.entries()) times[i]!.push(microseconds / 1000);
  }
  const groups = new Map<string, { call: Call; each: number[]; all: number[] }>();
  for (const [i, { call }] of plan.list(phase).entries()) {
    const group = groups.get(keyOf(call)) ?? { call, each: [], all: [] };
    group.each.push(median(times[i]!));
    group.all.push(...times[i]!);
    groups.set(keyOf(call), group);
  }
  const sum = [...groups.values()].reduce((total, { each }) => total + each.reduce((a, b) => a + b, 0), 0);
  const ids = new Set<string>();
  const rows = [...groups].map(([key, { call, each, all }]): KernelRow => {
    const error = errors.get(key);
    const total = each.reduce((a, b) => a + b, 0);
    return {
      id: uniqueId(call, ids),
      count: each.length,
      time: { ...summary(all, "device"), median: total / each.length },
      share: total / sum,
      flops: flopsOf(call),
      bytes: bytesOf(call),
      ...(error === undefined ? {} : { error }),
    };
  });
  rows.sort((a, b) => b.share - a.share);
  return { program, dispatches: plan.count(phase), pass, sum, rows };
}

/** Optional operands tell apart what else looks alike; a number what still does. */
function uniqueId(call: Call, ids: Set<string>): string {
  const optional = ["channelBias", "residual", "modulation"].filter(
    (name) => call.reads[call.kernel.reads.indexOf(name)],
  );
  const base = [`${call.kernel.name} ${sizeText(call)}`, ...optional].join(" +");
  let id = base;
  for (let n = 2; ids.has(id); n++) id = `${base} #${n}`;
  ids.add(id);
  return id;
}

/** Fills what the phase computes with bytes that read as NaN, so that nothing left over passes for a result. */
function poison(plan: Plan, phase: Phase): void {
  const { graph, device } = plan;
  const buffers = new Set(
    graph.storages
      .filter((storage) => storage.kind === "intermediate" && storage.phase === phase)
      .map(({ id, size, dtype }) => plan.buffer({ graph, id, shape: [size], dtype })),
  );
  const piece = new Uint8Array(2 ** 24).fill(0xff);
  for (const buffer of buffers) {
    for (let at = 0; at < buffer.size; at += piece.length) {
      device.gpu.queue.writeBuffer(buffer, at, piece, 0, Math.min(piece.length, buffer.size - at));
    }
  }
}

/** One error of each kind of call, on the inputs that the program gives it. */
async function errorsOf(plan: Plan, phase: Phase): Promise<Map<string, number>> {
  const errors = new Map<string, number>();
  const seen = new Set<string>();
  const { gpu } = plan.device;
  for (const dispatch of plan.list(phase)) {
    const key = keyOf(dispatch.call);
    if (!seen.has(key)) {
      seen.add(key);
      const error = await callError(plan, dispatch);
      if (error !== undefined) {
        errors.set(key, error);
        continue; // it has run
      }
    }
    const encoder = gpu.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(dispatch.pipeline);
    pass.setBindGroup(0, dispatch.group);
    pass.dispatchWorkgroups(...dispatch.call.grid);
    pass.end();
    gpu.queue.submit([encoder.finish()]);
  }
  return errors;
}
