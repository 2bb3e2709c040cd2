import type { LoadProgress, StepInfo } from "../index.js";
import { optional } from "./optional.js";

/** Tells a person how far things are. */
export interface Progress {
  onLoad(progress: LoadProgress): void;
  onStep(info: StepInfo): void;
  /** Bytes of a conversion that have been read, of so many. */
  onConvert(done: number, total: number): void;
  /** Ops that were measured, of so many. */
  onTune(done: number, total: number): void;
  /** Jobs of a batch. */
  onJob(done: number, total: number): void;
  /** A line that is to stay. */
  note(line: string): void;
  stop(): void;
}

const nothing = () => undefined;
const say = (line: string) => process.stderr.write(`${line}\n`);
const silent: Progress = {
  onLoad: nothing,
  onStep: nothing,
  onConvert: nothing,
  onTune: nothing,
  onJob: nothing,
  note: say,
  stop: nothing,
};

/** A bar on stderr where that is a terminal, nothing elsewhere. */
export async function openProgress(): Promise<Progress> {
  if (!process.stderr.isTTY) return silent;
  const { SingleBar, Presets } = (await optional("cli-progress", () => import("cli-progress"))).default;
  const open = (format: string) =>
    new SingleBar({ format, stream: process.stderr, hideCursor: true, clearOnComplete: true }, Presets.shades_classic);
  const bars = {
    load: open("loading {bar} {percentage}% of {megabytes} MB"),
    step: open("drawing {bar} step {value} of {total}"),
    convert: open("converting {bar} {percentage}% of {megabytes} MB"),
    tune: open("tuning {bar} {value} of {total}"),
    job: open("drawing {bar} job {value} of {total}, {eta_formatted} to go"),
  };
  const active = new Set<keyof typeof bars>();
  const show = (name: keyof typeof bars, value: number, total: number) => {
    const payload = { megabytes: Math.round(total / 1e6) };
    if (!active.has(name)) {
      for (const other of active) bars[other].stop();
      active.add(name);
      bars[name].start(total, value, payload);
    } else bars[name].update(value, payload);
  };
  return {
    onLoad: ({ loaded, total }) => show("load", loaded, total),
    onStep: ({ step, steps }) => show("step", step, steps),
    onConvert: (done, total) => show("convert", done, total),
    onTune: (done, total) => show("tune", done, total),
    onJob: (done, total) => show("job", done, total),
    note: (line) => say(`\r\x1b[K${line}`), // over the bar, which is drawn again below
    stop: () => {
      for (const name of active) bars[name].stop();
    },
  };
}
