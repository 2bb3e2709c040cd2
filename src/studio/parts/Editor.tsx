import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { Margins } from "../protocol.js";
import { takeFile } from "../restore.js";
import { fillWith, givenSize, resultSize, takePicture } from "../source.js";
import { form, given, model, trouble } from "../state.js";
import { Icon } from "./Icon.js";
import { MaskCanvas } from "./MaskCanvas.js";
import { MaskTools } from "./MaskTools.js";

/** The picture to begin with: dropped, pasted or picked; painted over; continued at its sides. */
export function Editor(): JSX.Element {
  const mode = form.mode.value;
  const { width, height } = mode === "outpaint" ? resultSize() : givenSize();
  const ratio = width / height;
  return (
    <div class="editor" style={{ "--ratio": ratio }}>
      {given.value ? <Picture /> : <DropZone />}
      {given.value && mode === "inpaint" && <MaskTools />}
      {given.value && mode === "outpaint" && <Sides />}
      {given.value && (
        <div class="tools">
          <label class="button" for="other">
            <Icon name="image" /> Another picture…
          </label>
          <PictureInput id="other" />
        </div>
      )}
    </div>
  );
}

async function take(file: File): Promise<void> {
  trouble.value = undefined;
  try {
    await takePicture(file);
  } catch (error) {
    trouble.value = { title: "This file cannot be used", text: (error as Error).message };
  }
}

const PictureInput = ({ id }: { readonly id: string }): JSX.Element => (
  <input
    id={id}
    class="visually-hidden"
    type="file"
    accept="image/*"
    onChange={({ currentTarget }) => {
      const file = currentTarget.files?.[0];
      currentTarget.value = "";
      if (file) void take(file);
    }}
  />
);

function DropZone(): JSX.Element {
  const over = useSignal(false);
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the button inside does the same without dragging
    <div
      class="frame drop"
      data-over={over.value}
      style={{
        aspectRatio: `${form.width.value} / ${form.height.value}`,
      }}
      onDragOver={(event) => {
        event.preventDefault();
        over.value = true;
      }}
      onDragLeave={() => {
        over.value = false;
      }}
      onDrop={(event) => {
        event.preventDefault();
        event.stopPropagation(); // here a picture is to begin with, whatever settings it holds
        over.value = false;
        const file = event.dataTransfer?.files[0];
        if (file) void (file.type.startsWith("image/") ? take(file) : takeFile(file));
      }}
    >
      <div>
        <p>Drop or paste a picture here, or</p>
        <label class="button" for="source">
          <Icon name="image" /> Choose a picture…
        </label>
        <PictureInput id="source" />
      </div>
    </div>
  );
}

function Picture(): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  const { width, height } = givenSize();
  const mode = form.mode.value;
  const bitmap = given.value?.bitmap;
  useEffect(() => {
    if (!canvas.current || !bitmap) return;
    fillWith(canvas.current, bitmap, width, height);
  }, [bitmap, width, height]);
  const whole = resultSize();
  const { left, top } = form.margins.value;
  const [w, h] = mode === "outpaint" ? [whole.width, whole.height] : [width, height];
  const place =
    mode === "outpaint"
      ? {
          left: `${(left / w) * 100}%`,
          top: `${(top / h) * 100}%`,
          width: `${(width / w) * 100}%`,
          height: `${(height / h) * 100}%`,
        }
      : { left: "0", top: "0", width: "100%", height: "100%" };
  return (
    <div class="frame given" style={{ aspectRatio: `${w} / ${h}` }} data-extend={mode === "outpaint"}>
      <canvas ref={canvas} style={place} role="img" aria-label="The picture to begin with" />
      {mode === "inpaint" && <MaskCanvas key={`${width}x${height}`} width={width} height={height} />}
    </div>
  );
}

const sides = ["left", "right", "top", "bottom"] as const satisfies readonly (keyof Margins)[];

/** Sliders for how far to go on at each side. */
function Sides(): JSX.Element {
  const step = model.value?.facts.sizeMultiple ?? 8;
  const most = Math.max(step, Math.floor(form.width.value / 2 / step) * step);
  return (
    <fieldset class="sides">
      <legend>Continue at</legend>
      {sides.map((side) => (
        <label key={side} for={`side-${side}`}>
          <span>{side}</span>
          <input
            id={`side-${side}`}
            type="range"
            min={0}
            max={most}
            step={step}
            value={form.margins.value[side]}
            aria-valuetext={`${form.margins.value[side]} pixels`}
            onInput={({ currentTarget }) => {
              form.margins.value = { ...form.margins.value, [side]: currentTarget.valueAsNumber };
            }}
          />
          <output>{form.margins.value[side]}</output>
        </label>
      ))}
    </fieldset>
  );
}
