import type { JSX } from "preact";
import type { ModelFacts } from "../protocol.js";
import { samplers } from "../settings.js";
import { form, model, rollSeed } from "../state.js";
import { takesPrompt } from "../support.js";
import { Field, Range } from "./Field.js";
import { Icon } from "./Icon.js";

/** Every control, each with a sentence. */
export function Settings(): JSX.Element {
  const facts = model.value?.facts;
  const mode = form.mode.value;
  const guides = facts?.conditioning !== undefined;
  return (
    <details class="card settings">
      <summary>
        Fine tuning <span class="muted">{summary()}</span>
      </summary>
      <div class="fields">
        {takesPrompt(facts) && (
          <Field id="negative" label="Leave out" hint="What the picture should not show.">
            <input
              id="negative"
              type="text"
              placeholder="blurry, text"
              value={form.negativePrompt.value}
              aria-describedby="negative-hint"
              onInput={({ currentTarget }) => {
                form.negativePrompt.value = currentTarget.value;
              }}
            />
          </Field>
        )}
        <Seed />
        <Range
          id="steps"
          label="Steps"
          hint="How often the picture is refined: more takes longer, and from some point on changes little."
          of={form.steps}
          min={1}
          max={60}
        />
        {guides && (
          <Range
            id="guidance"
            label="Guidance"
            hint="How strictly it follows the words: low is free, high is bold. 1 is twice as fast."
            of={form.guidance}
            min={1}
            max={15}
            step={0.5}
          />
        )}
        {(mode === "image" || mode === "inpaint") && (
          <Range
            id="strength"
            label="Strength"
            hint="How much is changed: little keeps your picture, much leaves only a trace of it."
            of={form.strength}
            min={0.05}
            max={1}
            step={0.05}
            show={(value) => `${Math.round(value * 100)}%`}
          />
        )}
        {mode === "upscale" && facts?.concat === "lowResolution" && (
          <Range
            id="noiseLevel"
            label="Invention"
            hint="How much detail it may invent."
            of={form.noiseLevel}
            min={0}
            max={350}
            step={5}
          />
        )}
        {mode !== "upscale" && facts && <Size facts={facts} />}
        <Field
          id="sampler"
          label="Sampler"
          hint="The rule that takes each step. They differ in how few steps they need."
        >
          <select
            id="sampler"
            aria-describedby="sampler-hint"
            value={form.sampler.value}
            onChange={({ currentTarget }) => {
              form.sampler.value = currentTarget.value as keyof typeof samplers;
            }}
          >
            {Object.entries(samplers).map(([name, text]) => (
              <option key={name} value={name}>
                {text}
              </option>
            ))}
          </select>
        </Field>
        <Range
          id="count"
          label="Pictures"
          hint="Made one after the other, with the seeds that follow."
          of={form.count}
          min={1}
          max={9}
        />
      </div>
    </details>
  );
}

const summary = (): string => `${form.steps.value} steps, ${form.width.value} × ${form.height.value}`;

function Seed(): JSX.Element {
  const locked = form.seedLocked.value;
  return (
    <Field
      id="seed"
      label="Seed"
      hint={
        locked
          ? "Locked: the same words give the same picture again."
          : "A new number for each picture. Lock it to keep it."
      }
    >
      <div class="joined">
        <input
          id="seed"
          type="text"
          inputMode="numeric"
          pattern="[0-9]*"
          aria-describedby="seed-hint"
          value={form.seed.value}
          onChange={({ currentTarget }) => {
            const seed = Number(currentTarget.value.trim());
            if (Number.isSafeInteger(seed) && seed >= 0 && currentTarget.value.trim() !== "") {
              form.seed.value = seed;
              form.seedLocked.value = true;
            } else currentTarget.value = String(form.seed.value);
          }}
        />
        <button
          type="button"
          class="square"
          title="Roll a seed"
          aria-label="Roll a seed"
          onClick={() => {
            form.seed.value = rollSeed();
            form.seedLocked.value = true;
          }}
        >
          <Icon name="dice" />
        </button>
        <button
          id="lock"
          type="button"
          class="square"
          title={locked ? "Unlock the seed" : "Lock the seed"}
          aria-label="Lock the seed"
          aria-pressed={locked}
          onClick={() => {
            form.seedLocked.value = !locked;
          }}
        >
          <Icon name={locked ? "locked" : "unlocked"} />
        </button>
      </div>
    </Field>
  );
}

/** The model's own size and shapes around it; a size from a link joins them. */
function sizesOf({ defaults, sizeMultiple }: ModelFacts): readonly [number, number][] {
  const { width, height } = defaults;
  const snap = (pixels: number) => Math.max(1, Math.round(pixels / sizeMultiple)) * sizeMultiple;
  const sizes: [number, number][] = [
    [width, height],
    [snap(width * 0.75), height],
    [width, snap(height * 1.5)],
    [width, snap(height * 0.75)],
    [snap(width * 1.5), height],
    [snap(width * 0.5), snap(height * 0.5)],
    [snap(width * 1.5), snap(height * 1.5)],
    [form.width.value, form.height.value],
  ];
  return [...new Map(sizes.map((size) => [size.join("x"), size])).values()];
}

const shape = (width: number, height: number): string =>
  width === height ? "square" : width > height ? "landscape" : "portrait";

function Size({ facts }: { readonly facts: ModelFacts }): JSX.Element {
  return (
    <Field id="size" label="Size" hint="In pixels. The model learnt at the first; others may repeat or cut things.">
      <select
        id="size"
        aria-describedby="size-hint"
        value={`${form.width.value}x${form.height.value}`}
        onChange={({ currentTarget }) => {
          const [width = 0, height = 0] = currentTarget.value.split("x").map(Number);
          form.width.value = width;
          form.height.value = height;
        }}
      >
        {sizesOf(facts).map(([width, height]) => (
          <option key={`${width}x${height}`} value={`${width}x${height}`}>
            {width} × {height}, {shape(width, height)}
          </option>
        ))}
      </select>
    </Field>
  );
}
