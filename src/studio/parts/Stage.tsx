import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { bytes, duration } from "../format.js";
import { takesPicture } from "../settings.js";
import { resultSize } from "../source.js";
import { adapter, drawing, form, forming, loading, model, phase, shown, status } from "../state.js";
import { urlOf } from "../urls.js";
import { Actions } from "./Actions.js";
import { Editor } from "./Editor.js";
import { LayoutEditor } from "./LayoutEditor.js";
import { Noise } from "./Noise.js";

/** What a mode begins with, where it begins with something, and beside it what comes out. */
export function Stage(): JSX.Element {
  const mode = form.mode.value;
  const pair = takesPicture(mode) || mode === "layout";
  return (
    <section class="stage" aria-label="Picture" data-pair={pair}>
      {pair && (mode === "layout" ? <LayoutEditor /> : <Editor />)}
      <Result />
    </section>
  );
}

function Result(): JSX.Element {
  const entry = shown.value;
  const { width, height } = drawing.value || !entry ? resultSize() : entry;
  return (
    <div class="result" style={{ "--ratio": width / height }}>
      <Frame width={width} height={height} />
      <Progress />
      <Actions />
    </div>
  );
}

function Frame({ width, height }: { readonly width: number; readonly height: number }): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  const bitmap = forming.value;
  const entry = shown.value;
  useEffect(() => {
    if (!bitmap || !canvas.current) return;
    canvas.current.width = bitmap.width;
    canvas.current.height = bitmap.height;
    // Handed over, not copied.
    canvas.current.getContext("bitmaprenderer")?.transferFromImageBitmap(bitmap);
  }, [bitmap]);
  const busy = drawing.value !== undefined;
  const finished = !bitmap && !busy && entry;
  // Where the CPU draws, frames that nobody needs take it from the picture and from the keys.
  const moving = busy && !bitmap && !adapter.value?.software;
  return (
    <div class="frame" style={{ aspectRatio: `${width} / ${height}` }}>
      <Noise seed={form.seed.value} quiet={Boolean(finished)} moving={moving} />
      <canvas ref={canvas} hidden={!bitmap} role="img" aria-label={`Picture in the making: ${form.prompt.value}`} />
      {finished && (
        <img id="picture" src={urlOf(entry.png)} alt={entry.settings.prompt || "Picture without a prompt"} draggable />
      )}
      {!finished && !bitmap && <p class="waiting">{waiting()}</p>}
    </div>
  );
}

function waiting(): string {
  if (drawing.value) return "Out of the noise…";
  if (loading.value) return "Getting the model ready…";
  return model.value ? "Your picture appears here." : "";
}

/** Bytes while loading, steps while drawing; its place is kept while there is neither. */
function Progress(): JSX.Element {
  const now = drawing.value;
  const load = loading.value;
  const progress = load?.progress;
  const value = now
    ? now.step / now.steps
    : progress && progress.total > 0
      ? progress.loaded / progress.total
      : undefined;
  const active = now !== undefined || load !== undefined;
  return (
    <div class="progress">
      <progress
        data-idle={!active}
        aria-label={now ? "Steps of the picture" : "Bytes of the model"}
        aria-hidden={!active}
        max={1}
        {...(active ? (value === undefined ? {} : { value }) : { value: 0 })}
      />
      <p id="status" role="status" aria-live="polite" data-error={phase.value === "error"}>
        {status.value}
      </p>
      <p id="pace" class="muted">
        {pace()}
      </p>
    </div>
  );
}

function pace(): string {
  const now = drawing.value;
  const progress = loading.value?.progress;
  if (now) {
    if (now.step === 0) return "The first picture takes a little longer.";
    const { step, steps, milliseconds } = now;
    if (milliseconds === undefined) return `Step ${step} of ${steps}`;
    const speed = 1000 / milliseconds;
    const rate = `${speed < 10 ? speed.toFixed(speed < 1 ? 2 : 1) : Math.round(speed)} steps a second`;
    return `Step ${step} of ${steps} · ${rate} · ${duration((steps - step) * milliseconds)} left`;
  }
  if (progress) return `${bytes(progress.loaded)} of ${bytes(progress.total)} · ${progress.file}`;
  const entry = shown.value;
  if (!entry) return "";
  return `${entry.width} × ${entry.height} · ${entry.settings.steps} steps · seed ${entry.settings.seed}`;
}
