import type { JSX } from "preact";
import { mask } from "../mask.js";
import { Icon } from "./Icon.js";

/** Brush, eraser, how wide they are, and the way back. */
export const MaskTools = (): JSX.Element => (
  <div class="painting" role="toolbar" aria-label="Mask">
    <button
      type="button"
      class="square"
      title="Brush"
      aria-label="Brush"
      aria-pressed={!mask.erasing.value}
      onClick={() => {
        mask.erasing.value = false;
      }}
    >
      <Icon name="brush" />
    </button>
    <button
      type="button"
      class="square"
      title="Eraser"
      aria-label="Eraser"
      aria-pressed={mask.erasing.value}
      onClick={() => {
        mask.erasing.value = true;
      }}
    >
      <Icon name="eraser" />
    </button>
    <input
      type="range"
      aria-label="Width of the brush"
      min={0.04}
      max={0.6}
      step={0.02}
      value={mask.brush.value}
      aria-valuetext={`${Math.round(mask.brush.value * 100)}% of the picture`}
      onInput={({ currentTarget }) => {
        mask.brush.value = currentTarget.valueAsNumber;
      }}
    />
    <button
      type="button"
      class="square"
      title="Undo"
      aria-label="Undo"
      disabled={!mask.undoable.value}
      onClick={() => {
        mask.undo();
      }}
    >
      <Icon name="undo" />
    </button>
    <button
      type="button"
      class="square"
      title="Clear the mask"
      aria-label="Clear the mask"
      disabled={mask.empty.value}
      onClick={() => {
        mask.clear();
      }}
    >
      <Icon name="trash" />
    </button>
  </div>
);
