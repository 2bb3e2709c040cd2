import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useRef } from "preact/hooks";
import type { LayoutObject } from "../../index.js";
import { drawing, form } from "../state.js";
import { Icon } from "./Icon.js";

type Box = LayoutObject["box"];

const smallest = 0.02;
const edges = ["left", "top", "right", "bottom"] as const;

/** Boxes with the numbers of what is in them: drawn, or typed. */
export function LayoutEditor(): JSX.Element {
  const board = useRef<HTMLDivElement>(null);
  const start = useRef<readonly [number, number] | undefined>(undefined);
  const draft = useSignal<Box | undefined>(undefined);
  const objects = form.objects.value;
  const at = (event: PointerEvent): readonly [number, number] => {
    const { left, top, width, height } = board.current!.getBoundingClientRect();
    const share = (value: number) => Math.min(Math.max(value, 0), 1);
    return [share((event.clientX - left) / width), share((event.clientY - top) / height)];
  };
  const add = (box: Box) => {
    form.objects.value = [...objects, { category: objects.at(-1)?.category ?? 0, box }];
  };
  const change = (index: number, object: LayoutObject) => {
    form.objects.value = objects.map((old, i) => (i === index ? object : old));
  };
  return (
    <div class="editor" style={{ "--ratio": form.width.value / form.height.value }}>
      <div
        ref={board}
        id="board"
        class="frame board"
        style={{
          aspectRatio: `${form.width.value} / ${form.height.value}`,
        }}
        onPointerDown={(event) => {
          if (drawing.value || event.button !== 0) return;
          event.currentTarget.setPointerCapture(event.pointerId);
          start.current = at(event);
        }}
        onPointerMove={(event) => {
          if (start.current) draft.value = boxOf(start.current, at(event));
        }}
        onPointerUp={() => {
          const box = draft.value;
          if (box && box[2] - box[0] > smallest && box[3] - box[1] > smallest) add(box);
          start.current = undefined;
          draft.value = undefined;
        }}
        onPointerCancel={() => {
          start.current = undefined;
          draft.value = undefined;
        }}
      >
        {objects.length === 0 && !draft.value && <p class="waiting">Draw a box for each thing.</p>}
        {objects.map(({ box, category }, i) => (
          <span key={i} class="box" style={placeOf(box)}>
            {category}
          </span>
        ))}
        {draft.value && <span class="box" style={placeOf(draft.value)} />}
      </div>
      <ol class="objects">
        {objects.map((object, i) => (
          <li key={i}>
            <label>
              thing no.
              <input
                type="number"
                min={0}
                value={object.category}
                onInput={({ currentTarget }) =>
                  change(i, { ...object, category: Math.max(0, Math.round(currentTarget.valueAsNumber || 0)) })
                }
              />
            </label>
            {edges.map((edge, side) => (
              <label key={edge}>
                {edge} %
                <input
                  type="number"
                  min={0}
                  max={100}
                  value={Math.round(object.box[side]! * 100)}
                  onChange={({ currentTarget }) => {
                    const moved = object.box.map((old, j) => (j === side ? currentTarget.valueAsNumber / 100 : old));
                    const [left = 0, top = 0, right = 1, bottom = 1] = moved;
                    change(i, { ...object, box: boxOf([left, top], [right, bottom]) });
                  }}
                />
              </label>
            ))}
            <button
              type="button"
              class="square"
              aria-label={`Remove box ${i + 1}`}
              onClick={() => {
                form.objects.value = objects.filter((_, j) => j !== i);
              }}
            >
              <Icon name="close" />
            </button>
          </li>
        ))}
      </ol>
      <div class="tools">
        <button type="button" onClick={() => add([0.25, 0.25, 0.75, 0.75])}>
          <Icon name="layout" /> Add a box
        </button>
      </div>
      <p class="hint">Models of layouts know things by number; the model's card says which is what.</p>
    </div>
  );
}

const boxOf = ([x0, y0]: readonly [number, number], [x1, y1]: readonly [number, number]): Box => {
  const share = (value: number) => Math.min(Math.max(Number.isFinite(value) ? value : 0, 0), 1);
  return [share(Math.min(x0, x1)), share(Math.min(y0, y1)), share(Math.max(x0, x1)), share(Math.max(y0, y1))];
};

const placeOf = ([x0, y0, x1, y1]: Box): Readonly<Record<string, string>> => ({
  left: `${x0 * 100}%`,
  top: `${y0 * 100}%`,
  width: `${(x1 - x0) * 100}%`,
  height: `${(y1 - y0) * 100}%`,
});
