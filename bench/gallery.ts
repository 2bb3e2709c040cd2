// `npm run gallery`: draws what the tasks make of the embedded model and puts it on one sheet that a person can judge.
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { parseArgs } from "node:util";
import { encode } from "fast-png";
import { openAdapter } from "../src/cli/dawn.js";
import { createEngine, type LatentDiffusion, type Picture, type PixelImage } from "../src/index.js";
import { folderFromPath } from "../src/weights/node.js";
import { launchChrome } from "../test/harness/chrome.js";

interface Shown {
  readonly image: PixelImage;
  readonly caption: string;
}

interface Row {
  readonly title: string;
  readonly shown: readonly Shown[];
}

const { values } = parseArgs({
  options: {
    out: { type: "string", default: "docs/gallery.webp" },
    steps: { type: "string", default: "20" },
    model: { type: "string", default: "weights/sticker" },
  },
});
const steps = Number(values.steps);
if (!Number.isInteger(steps) || steps < 1) throw new Error(`--steps: expected a positive integer, got ${values.steps}`);

const captioned = (pictures: readonly Picture[], caption: (picture: Picture, i: number) => string): Shown[] =>
  pictures.map((image, i) => ({ image, caption: caption(image, i) }));

/** A square of white on black: what is to be painted anew. */
function maskOf(size: number, from: number, to: number): PixelImage {
  const pixels = new Uint8ClampedArray(size * size * 4);
  for (let i = 0; i < size * size; i++) {
    const [x, y] = [i % size, Math.floor(i / size)];
    const white = x >= from && x < to && y >= from && y < to ? 255 : 0;
    pixels.set([white, white, white, 255], i * 4);
  }
  return { width: size, height: size, pixels };
}

async function rows(model: LatentDiffusion): Promise<Row[]> {
  const draw = (prompt: string, seed: number) => model.textToImage({ prompt, seed, steps });
  const prompts = ["red apple", "a fox", "a blue mushroom", "sunflower", "rocket", "hamburger, flat style"];
  const first: Picture[] = [];
  for (const [i, prompt] of prompts.entries()) first.push(await draw(prompt, 100 + i));
  const [apple] = first as [Picture];

  const again: Shown[] = [{ image: apple, caption: "the picture to begin with" }];
  for (const strength of [0.3, 0.5, 0.7, 0.9]) {
    const image = await model.imageToImage({ image: apple, prompt: "a green pear", seed: 7, strength, steps });
    again.push({ image, caption: `“a green pear”, strength ${strength}` });
  }

  const mask = maskOf(128, 16, 80);
  const painted: Shown[] = [
    { image: apple, caption: "the picture" },
    { image: mask, caption: "the mask" },
  ];
  for (const [prompt, seed] of [
    ["red apple", 3],
    ["red apple", 8],
    ["red heart", 3],
  ] as const) {
    const image = await model.inpaint({ image: apple, mask, prompt, seed, steps });
    painted.push({ image, caption: `“${prompt}”, seed ${seed}, under the mask` });
  }

  const wide = await model.outpaint({ image: apple, left: 64, right: 64, prompt: "red apple", seed: 5, steps });
  const large = await model.textToImage({ prompt: "red apple", seed: 9, width: 256, height: 256, steps });
  const between = await model.interpolate({
    from: { prompt: "red apple", seed: 100 },
    to: { prompt: "sunflower", seed: 103 },
    frames: 6,
    steps,
  });
  const near = await model.variations({ prompt: "a fox", seed: 101, count: 5, amount: 0.3, steps });
  const forming = await model.progressive({
    prompt: "a blue mushroom",
    seed: 102,
    every: Math.max(1, Math.floor(steps / 5)),
    steps,
  });
  return [
    { title: "Text to image", shown: captioned(first, ({ prompt, seed }) => `“${prompt}”, seed ${seed}`) },
    { title: "Image to image", shown: again },
    { title: "Inpainting by masked sampling", shown: painted },
    {
      title: "Outpainting, and convolutional sampling at twice the training size",
      shown: [
        { image: apple, caption: "the picture" },
        { image: wide, caption: "64 pixels more at both sides" },
        { image: large, caption: "256 × 256 at once" },
      ],
    },
    {
      title: "Interpolation of prompts and noise",
      shown: captioned(between, (_, i) => (i === 0 ? "“red apple”" : i === between.length - 1 ? "“sunflower”" : "")),
    },
    { title: "Variations of a seed", shown: [{ image: first[1]!, caption: "seed 101" }, ...captioned(near, () => "")] },
    { title: "What the steps predict", shown: captioned(forming, () => "") },
  ];
}

/** A page with the pictures as they are, pixel for pixel. */
function sheet(list: readonly Row[], adapter: string): string {
  const escaped = (text: string) => text.replace(/[&<>]/g, (sign) => `&#${sign.charCodeAt(0)};`);
  const figure = ({ image, caption }: Shown) => {
    const { width, height, pixels } = image;
    const png = Buffer.from(encode({ width, height, data: Uint8Array.from(pixels), channels: 4, depth: 8 }));
    const source = `data:image/png;base64,${png.toString("base64")}`;
    return `<figure><img src="${source}" width="${width}" height="${height}"><figcaption style="width:${width}px">${escaped(caption)}</figcaption></figure>`;
  };
  const section = ({ title, shown }: Row) => `<h2>${escaped(title)}</h2><div>${shown.map(figure).join("")}</div>`;
  return `<!doctype html><meta charset="utf-8"><style>
    body { margin: 20px; width: 850px; font: 12px/1.35 sans-serif; color: #222; background: #fff; }
    h1 { font-size: 18px; margin: 0 0 4px; } h2 { font-size: 13px; margin: 18px 0 6px; }
    div { display: flex; gap: 10px; align-items: flex-start; } figure { margin: 0; } img { display: block; }
    figcaption { margin-top: 3px; color: #555; }
  </style><h1>webldm: the tasks on the embedded model</h1><p>${steps} steps each, on ${escaped(adapter)}</p>${list.map(section).join("")}`;
}

const engine = await createEngine({ adapter: await openAdapter() });
const model = await engine.load(await folderFromPath(values.model));
const drawn = await rows(model);
const { adapter } = engine;
engine.dispose();

const browser = await launchChrome();
const page = await browser.newPage();
await page.setViewport({ width: 890, height: 600 });
await page.setContent(sheet(drawn, adapter));
mkdirSync(dirname(values.out), { recursive: true });
const lossy = values.out.endsWith(".webp") ? ({ type: "webp", quality: 90 } as const) : {};
await page.screenshot({ path: values.out, fullPage: true, ...lossy });
await browser.close();
console.log(`${values.out}: ${drawn.reduce((sum, { shown }) => sum + shown.length, 0)} pictures`);
process.exit(0); // Dawn's threads would keep the process alive
