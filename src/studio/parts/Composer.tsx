import type { JSX } from "preact";
import { examplesOf } from "../examples.js";
import { generate, missing, stop } from "../generate.js";
import { drawing, form, model } from "../state.js";
import { takesPrompt } from "../support.js";
import { Icon } from "./Icon.js";
import { Modes } from "./Modes.js";

/** What to draw, and the button that draws it. */
export function Composer(): JSX.Element {
  const facts = model.value?.facts;
  const why = missing();
  return (
    <section class="card composer" aria-label="What to draw">
      <Modes />
      {takesPrompt(facts) ? <Prompt /> : <Label />}
      <div class="go">
        {drawing.value ? (
          <button
            id="stop"
            type="button"
            class="primary stop"
            onClick={(event) => !isSecond(event) && stop()}
            ref={focusIfLost}
          >
            <Icon name="stop" /> Stop
          </button>
        ) : (
          <button
            id="generate"
            type="submit"
            class="primary"
            disabled={why !== undefined}
            onClick={(event) => isSecond(event) && event.preventDefault()}
          >
            {why ? why : <Ready />}
          </button>
        )}
      </div>
    </section>
  );
}

const Ready = (): JSX.Element => (
  <>
    <Icon name="spark" /> {form.count.value > 1 ? `Make ${form.count.value} pictures` : "Make the picture"}
  </>
);

/** The second half of a double click: after the first, the other button is in this place, and is not meant. */
const isSecond = ({ detail }: MouseEvent): boolean => detail === 2;

/** The button that had the focus is gone: the one in its place takes it. */
function focusIfLost(button: HTMLButtonElement | null): void {
  if (document.activeElement === document.body) button?.focus({ preventScroll: true });
}

function Prompt(): JSX.Element {
  return (
    <div class="field">
      <label for="prompt">What should the picture show?</label>
      <textarea
        id="prompt"
        rows={2}
        maxLength={8000}
        enterkeyhint="go"
        placeholder="a fox"
        value={form.prompt.value}
        onInput={({ currentTarget }) => {
          form.prompt.value = currentTarget.value;
        }}
        onKeyDown={(event) => {
          if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
          event.preventDefault();
          void generate();
        }}
      />
      <fieldset class="chips">
        <legend class="visually-hidden">Examples</legend>
        {examplesOf(model.value).map((example) => (
          <button
            key={example}
            type="button"
            class="chip"
            onClick={() => {
              form.prompt.value = example;
              void generate();
            }}
          >
            {example}
          </button>
        ))}
      </fieldset>
    </div>
  );
}

/** Models that know no words: a number of a class, or nothing at all. */
function Label(): JSX.Element {
  const facts = model.value?.facts;
  if (facts?.conditioning !== "label") return <p class="hint">This model takes no words.</p>;
  const most = (facts.classes ?? 1) - 1;
  return (
    <div class="field">
      <label for="label">Which class?</label>
      <input
        id="label"
        type="number"
        min={0}
        max={most}
        value={form.label.value}
        onInput={({ currentTarget }) => {
          form.label.value = Math.min(Math.max(0, Math.round(currentTarget.valueAsNumber || 0)), most);
        }}
      />
      <p class="hint">This model draws by number, 0 to {most}; its card says which is what.</p>
    </div>
  );
}
