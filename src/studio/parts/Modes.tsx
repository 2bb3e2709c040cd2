import type { JSX } from "preact";
import { type Mode, modes } from "../protocol.js";
import { form, model } from "../state.js";
import { whyNot } from "../support.js";
import { Icon } from "./Icon.js";

const names: Readonly<Record<Mode, string>> = {
  text: "Imagine",
  image: "Vary",
  inpaint: "Repaint",
  outpaint: "Extend",
  layout: "Layout",
  upscale: "Enlarge",
};

const says: Readonly<Record<Mode, string>> = {
  text: "A picture from nothing but words.",
  image: "Another picture that begins with one of yours.",
  inpaint: "Paint over a part of a picture, and it is made anew.",
  outpaint: "Continue a picture beyond its borders.",
  layout: "Say where things are by drawing boxes.",
  upscale: "Four times as many pixels along each side.",
};

/** What is to be done: radio buttons, so that the arrow keys choose. */
export function Modes(): JSX.Element {
  const facts = model.value?.facts;
  const no = facts && whyNot(form.mode.value, facts);
  return (
    <fieldset class="modes">
      <legend class="visually-hidden">What to do</legend>
      <div class="tabs">
        {modes.map((mode) => (
          <label key={mode} class="tab" data-dim={Boolean(facts && whyNot(mode, facts))}>
            <input
              type="radio"
              name="mode"
              value={mode}
              checked={form.mode.value === mode}
              onChange={() => {
                form.mode.value = mode;
              }}
            />
            <Icon name={mode} />
            {names[mode]}
          </label>
        ))}
      </div>
      <p class="hint" data-no={Boolean(no)}>
        {no ?? says[form.mode.value]}
      </p>
    </fieldset>
  );
}
