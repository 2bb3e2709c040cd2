import type { JSX } from "preact";

const paths = {
  text: "M5 6.5V5h14v1.5M12 5v14m-2.5 0h5",
  image: "M4.5 5h15v14h-15zM5 16l4.5-4.5 4 4 2.5-2.5 3.5 3.5M15 9.2h.01",
  inpaint: "M14.5 5.5l4 4L9 19H5v-4zM12.5 7.5l4 4",
  outpaint: "M9 9h6v6H9zM4.5 8V4.5H8M16 4.5h3.5V8M19.5 16v3.5H16M8 19.5H4.5V16",
  layout: "M4.5 4.5h8v7h-8zM10 14.5h9.5v5H10zM15.5 6.5h4v5h-4z",
  upscale: "M4.5 13v6.5H11M19.5 11V4.5H13M19 5l-6 6M5 19l6-6",
  dice: "M6.5 4h11A2.5 2.5 0 0120 6.5v11a2.5 2.5 0 01-2.5 2.5h-11A2.5 2.5 0 014 17.5v-11A2.5 2.5 0 016.5 4zM8.5 8.5h.01M15.5 8.5h.01M12 12h.01M8.5 15.5h.01M15.5 15.5h.01",
  locked: "M6 11h12v8.5H6zM8.5 11V8a3.5 3.5 0 017 0v3",
  unlocked: "M6 11h12v8.5H6zM8.5 11V8a3.5 3.5 0 016.7-1.5",
  save: "M12 4v11m0 0l4.5-4.5M12 15l-4.5-4.5M5 19.5h14",
  link: "M10 14a4 4 0 005.7 0l3-3A4 4 0 0013 5.3l-1 1M14 10a4 4 0 00-5.7 0l-3 3A4 4 0 0011 18.7l1-1",
  edit: "M4.5 12.5v7h7M19.5 11.5v-7h-7M9 15l6-6",
  trash: "M5 7h14M9.5 7V4.5h5V7M7 7l.8 12.5h8.4L17 7M10.5 10.5v5.5M13.5 10.5v5.5",
  undo: "M8 5L4.5 8.5 8 12M5 8.5h9a5 5 0 010 10H9",
  brush:
    "M18.5 4.5c-4 1.5-7.5 5-9 8.5l2 2c3.500-1.500 7-5 8.500-9zM9 13.500c-2.500 0-3 2-3 3.500 0 1-.5 1.500-1.500 2 3 1 6.500 0 6.500-3z",
  eraser: "M10 18.5l-5-5 8.500-8.500 6 6-7.500 7.500zM9 9l6 6M10 18.500h9.500",
  close: "M6 6l12 12M18 6L6 18",
  stop: "M7 7h10v10H7z",
  spark: "M12 4l1.8 5.200L19 11l-5.200 1.800L12 18l-1.800-5.200L5 11l5.200-1.800z",
  cube: "M12 3.500l7.500 4.200v8.600L12 20.500l-7.500-4.200V7.700zM4.500 7.700L12 12m0 0l7.500-4.300M12 12v8.500",
  warn: "M12 4.500l8.500 15h-17zM12 10v4.500M12 17h.01",
} as const;

export type IconName = keyof typeof paths;

/** A line drawing of 24 by 24, in the colour of the text; the words beside it, or the label of its button, say what it means. */
export const Icon = ({ name }: { readonly name: IconName }): JSX.Element => (
  <svg viewBox="0 0 24 24" aria-hidden="true" class="icon">
    <path d={paths[name]} />
  </svg>
);
