import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";

const side = 18;

/** The noise that a picture begins with, as a soft field of colour: another for each seed. */
export function Noise({
  seed,
  quiet,
  moving,
}: {
  readonly seed: number;
  readonly quiet: boolean;
  readonly moving: boolean;
}): JSX.Element {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context) return;
    const image = context.createImageData(side, side);
    let state = seed + 0x9e3779b9;
    const random = () => {
      // Mulberry32: enough for something to look at.
      state = (state + 0x6d2b79f5) | 0;
      let t = Math.imul(state ^ (state >>> 15), 1 | state);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
    };
    for (let i = 0; i < side * side; i++) {
      const [warm, light] = [random(), random()];
      image.data.set([70 + 165 * warm, 150 + 50 * light, 165 - 60 * warm + 40 * light, 255], i * 4);
    }
    context.putImageData(image, 0, 0);
  }, [seed]);
  return (
    <div class="noise" aria-hidden="true" data-quiet={quiet} data-moving={moving}>
      <canvas ref={canvas} width={side} height={side} />
    </div>
  );
}
