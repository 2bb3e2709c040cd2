import type { Signal } from "@preact/signals";
import type { ComponentChildren, JSX } from "preact";

interface FieldProps {
  readonly id: string;
  readonly label: string;
  /** A sentence that explains it. */
  readonly hint?: string;
  readonly value?: string;
  readonly children: ComponentChildren;
}

/** A labelled control with a sentence about it. */
export const Field = ({ id, label, hint, value, children }: FieldProps): JSX.Element => (
  <div class="field">
    <label for={id}>
      {label}
      {value !== undefined && <output for={id}>{value}</output>}
    </label>
    {children}
    {hint && (
      <p class="hint" id={`${id}-hint`}>
        {hint}
      </p>
    )}
  </div>
);

interface RangeProps extends Omit<FieldProps, "children" | "value"> {
  readonly of: Signal<number>;
  readonly min: number;
  readonly max: number;
  readonly step?: number;
  readonly show?: (value: number) => string;
}

/** Up to rounding: (0.6 − 0.05) / 0.05 is not quite 11. */
const isMultiple = (steps: number): boolean => Math.abs(steps - Math.round(steps)) < 1e-6;

/** A slider. What lies outside of it, from a link, stays at its end. */
export const Range = ({ of, min, max, step = 1, show = String, ...field }: RangeProps): JSX.Element => (
  <Field {...field} value={show(of.value)}>
    <input
      id={field.id}
      type="range"
      min={Math.min(min, of.value)}
      max={Math.max(max, of.value)}
      step={isMultiple((of.value - min) / step) ? step : "any"}
      value={of.value}
      aria-describedby={field.hint && `${field.id}-hint`}
      aria-valuetext={show(of.value)}
      onInput={({ currentTarget }) => {
        of.value = currentTarget.valueAsNumber;
      }}
    />
  </Field>
);
