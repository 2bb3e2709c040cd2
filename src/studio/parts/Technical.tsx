import type { JSX } from "preact";
import type { KernelTime } from "../../index.js";
import { bytes, duration } from "../format.js";
import { profileStep } from "../profileStep.js";
import { adapter, drawing, model, shown, technical } from "../state.js";

/** For those who want to know: what computes, in which form, how fast, and where the time of a step goes. */
export function Technical(): JSX.Element {
  const { kernels, open } = technical;
  return (
    <details
      class="card technical"
      onToggle={({ currentTarget }) => {
        open.value = currentTarget.open;
      }}
    >
      <summary>Under the hood</summary>
      <Facts />
      {kernels.value.length > 0 && <Timeline kernels={kernels.value} />}
      <div class="tools">
        <button
          id="profile"
          type="button"
          disabled={!adapter.value?.timestamps || !shown.value || drawing.value !== undefined}
          onClick={() => void profileStep()}
        >
          Time the kernels of a step
        </button>
        <span class="hint">
          {adapter.value && !adapter.value.timestamps
            ? "This browser gives no timestamps of the graphics card."
            : !shown.value && "Make a picture first."}
        </span>
      </div>
    </details>
  );
}

function Facts(): JSX.Element {
  const facts = adapter.value;
  const memory = technical.memory.value;
  const step = technical.stepMilliseconds.value;
  const rows: readonly (readonly [string, string])[] = [
    ["Adapter", facts ? `${facts.name}${facts.software ? ", in software" : ""}` : "–"],
    ["Numbers", facts ? (facts.dtype === "f16" ? "float16, sums in float32" : "float32") : "–"],
    ["Kernels", facts ? variantOf(facts.software) : "–"],
    ["Model", model.value ? `${model.value.name}, ${model.value.facts.family}` : "–"],
    ["A step", step === undefined ? "–" : `${duration(step)}`],
    ["Weights", memory ? bytes(memory.weights) : "–"],
    ["Planned memory", memory ? `${bytes(memory.intermediates)}, shared by all programs` : "–"],
  ];
  return (
    <dl>
      {rows.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** The forms of the kernels: those of the last step where they are known, else what the adapter decides. */
function variantOf(software: boolean): string {
  const used = new Set(technical.kernels.value.map(({ kernel }) => kernel));
  const heavy = [...used].filter((name) => /^(conv2d|linear|attention)/.test(name));
  const form = software ? "forms for CPUs" : "forms for graphics cards";
  return heavy.length > 0 ? `${form}: ${heavy.join(", ")}` : form;
}

const hues = [172, 38, 265, 350, 210, 95, 20, 310];

function Timeline({ kernels }: { readonly kernels: readonly KernelTime[] }): JSX.Element {
  const total = kernels.reduce((sum, { microseconds }) => sum + microseconds, 0);
  const sums = new Map<string, { time: number; calls: number }>();
  for (const { kernel, microseconds } of kernels) {
    const { time, calls } = sums.get(kernel) ?? { time: 0, calls: 0 };
    sums.set(kernel, { time: time + microseconds, calls: calls + 1 });
  }
  const ranked = [...sums].sort(([, a], [, b]) => b.time - a.time);
  const rank = new Map(ranked.map(([name], i) => [name, i]));
  const color = (name: string) => {
    const place = rank.get(name) ?? 0;
    return place < hues.length ? `oklch(0.7 0.11 ${hues[place]})` : "var(--line)";
  };
  let at = 0;
  return (
    <figure class="timeline">
      <svg viewBox="0 0 1000 40" preserveAspectRatio="none" role="img" aria-label="Kernels of a step, in order">
        {kernels.map(({ kernel, label, microseconds }, i) => {
          const width = (microseconds / total) * 1000;
          at += width;
          return (
            <rect key={`${i} ${label}`} x={at - width} y={0} width={width} height={40} fill={color(kernel)}>
              <title>{`${label}: ${duration(microseconds / 1000)}`}</title>
            </rect>
          );
        })}
      </svg>
      <figcaption class="hint">
        {kernels.length} kernels in {duration(total / 1000)}, from left to right
      </figcaption>
      <table>
        <thead>
          <tr>
            <th>Kernel</th>
            <th>Calls</th>
            <th>Time</th>
            <th>Share</th>
          </tr>
        </thead>
        <tbody>
          {ranked.slice(0, hues.length).map(([name, { time, calls }]) => (
            <tr key={name}>
              <td>
                <i style={{ background: color(name) }} /> {name}
              </td>
              <td>{calls}</td>
              <td>{duration(time / 1000)}</td>
              <td>{Math.round((time / total) * 100)}%</td>
            </tr>
          ))}
        </tbody>
      </table>
    </figure>
  );
}
