import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { mask } from "../mask.js";
import { contextOf } from "../source.js";
import { drawing } from "../state.js";

type Point = readonly [x: number, y: number];

/** A layer to paint on with mouse, pen, touch, or with the arrow keys and the space bar. */
export function MaskCanvas({ width, height }: { readonly width: number; readonly height: number }): JSX.Element {
  const layer = useRef<HTMLCanvasElement>(null);
  const cursor = useSignal<Point | undefined>(undefined);
  const last = useRef<Point | undefined>(undefined);
  const version = mask.version.value;
  useEffect(() => {
    if (!layer.current) return;
    mask.resize(width, height);
    const context = contextOf(layer.current);
    context.clearRect(0, 0, width, height);
    context.drawImage(mask.canvas, 0, 0);
  }, [version, width, height]);

  const at = (event: PointerEvent): Point => {
    const { left, top, width: w, height: h } = layer.current!.getBoundingClientRect();
    return [((event.clientX - left) / w) * width, ((event.clientY - top) / h) * height];
  };
  const paint = (to: Point, pressure = 1) => {
    mask.line(last.current ?? to, to, pressure);
    last.current = to;
  };
  const keys = (event: KeyboardEvent) => {
    const [x, y] = cursor.value ?? [width / 2, height / 2];
    const stride = Math.max(1, Math.round(mask.diameter / (event.shiftKey ? 2 : 8)));
    const moves: Readonly<Record<string, Point>> = {
      ArrowLeft: [-stride, 0],
      ArrowRight: [stride, 0],
      ArrowUp: [0, -stride],
      ArrowDown: [0, stride],
    };
    const move = moves[event.key];
    if (move) {
      cursor.value = [Math.min(Math.max(x + move[0], 0), width), Math.min(Math.max(y + move[1], 0), height)];
      if (last.current) paint(cursor.value);
    } else if (event.key === " ") {
      cursor.value = [x, y];
      if (!event.repeat) mask.begin();
      paint([x, y]);
    } else if ((event.ctrlKey || event.metaKey) && event.key === "z") {
      mask.undo();
    } else return;
    event.preventDefault();
  };
  return (
    <>
      <div
        id="mask"
        class="mask"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it is painted on with keys
        tabIndex={0}
        role="application"
        aria-label="Mask: arrow keys move the brush, hold space to paint, Control Z undoes"
        onPointerDown={(event) => {
          if (drawing.value || event.button !== 0) return;
          event.currentTarget.setPointerCapture(event.pointerId);
          mask.begin();
          last.current = undefined;
          paint(at(event));
        }}
        onPointerMove={(event) => {
          cursor.value = at(event);
          if (!last.current || !event.currentTarget.hasPointerCapture(event.pointerId)) return;
          const pressure = event.pointerType === "pen" ? 0.4 + 0.6 * event.pressure : 1;
          const parts = event.getCoalescedEvents?.() ?? [];
          for (const part of parts.length > 0 ? parts : [event]) paint(at(part), pressure);
        }}
        onPointerUp={() => {
          last.current = undefined;
        }}
        onPointerCancel={() => {
          last.current = undefined;
        }}
        onPointerLeave={() => {
          cursor.value = undefined;
        }}
        onKeyDown={keys}
        onKeyUp={(event) => {
          if (event.key === " ") last.current = undefined;
        }}
        onBlur={() => {
          cursor.value = undefined;
          last.current = undefined;
        }}
      >
        <canvas ref={layer} width={width} height={height} />
      </div>
      {cursor.value && (
        <span
          class="brush"
          style={{
            left: `${(cursor.value[0] / width) * 100}%`,
            top: `${(cursor.value[1] / height) * 100}%`,
            width: `${(mask.diameter / width) * 100}%`,
          }}
        />
      )}
    </>
  );
}
