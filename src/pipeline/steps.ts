import type { Picture } from "./picture.js";
import type { Drawn, SamplingOptions, StepInfo } from "./request.js";

/** A step of a picture that is being drawn. */
export interface Step<R> extends StepInfo {
  /** What the task gives: of the last step alone, which comes when the picture is finished. */
  readonly result?: Drawn<R>;
}

/** Runs a task step by step: it goes on when the caller asks for the next one, and ends where the caller leaves. */
export async function* stepsOf<R extends SamplingOptions>(
  draw: (request: R) => Promise<Drawn<R>>,
  request: R,
): AsyncGenerator<Step<R>, Drawn<R>, void> {
  const stop = new AbortController();
  const signal = request.signal ? AbortSignal.any([request.signal, stop.signal]) : stop.signal;
  let goOn: (() => void) | undefined;
  let arrive: (info: StepInfo) => void = () => undefined;
  const next = () =>
    new Promise<StepInfo>((resolve) => {
      arrive = resolve;
    });
  const onStep = async (given: StepInfo) => {
    await request.onStep?.(given);
    // The last step is shown with the result, when it is over: what it predicts is read while it is there.
    const latent = given.step < given.steps ? undefined : await given.latent();
    const info = latent ? { ...given, latent: async () => latent } : given;
    const going = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    arrive(info);
    if (!signal.aborted) await going;
  };
  // The task waits in the midst of a step: where it is aborted, it must hear of that.
  signal.addEventListener("abort", () => goOn?.(), { once: true });
  let arriving = next();
  const finished = draw({ ...request, signal, onStep });
  const over = finished.then(() => undefined);
  over.catch(() => undefined); // heard of when the next step is asked for
  let last: StepInfo | undefined;
  try {
    for (let info = await Promise.race([arriving, over]); info; info = await Promise.race([arriving, over])) {
      arriving = next();
      if (info.step < info.steps) yield info;
      else last = info;
      goOn?.();
    }
    const result = await finished;
    const first = (Array.isArray(result) ? result[0] : result) as Picture;
    if (last) yield { ...last, result, preview: async () => first };
    return result;
  } finally {
    stop.abort();
    await finished.catch(() => undefined);
  }
}
