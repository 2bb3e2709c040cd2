// `npm run gallery`: what the embedded model draws, on sheets that a person can judge: eight pictures for the README, the
// fixed prompts of its training, and what the tasks make of one picture.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { decode, encode } from "fast-png";
import { openAdapter } from "../src/cli/dawn.js";
import { createEngine, type LatentDiffusion, type Picture, type PixelImage } from "../src/index.js";
import { folderFromPath } from "../src/weights/node.js";
import { launchChrome, openPage } from "../test/harness/chrome.js";

interface Shown {
  readonly image: PixelImage;
  readonly caption: string;
}

interface Row {
  readonly title: string;
  readonly shown: readonly Shown[];
}

/** A file and how it is drawn. */
interface Sheet {
  readonly file: string;
  readonly width: number;
  readonly quality: number;
  draw(model: LatentDiffusion, adapter: string): Promise<string>;
}

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    out: { type: "string", default: "docs" },
    keep: { type: "string" }, // a folder: what is drawn of the fixed prompts stays there, and is not drawn again
    steps: { type: "string", default: "20" },
    model: { type: "string", default: "weights/sticker" },
  },
});
const steps = Number(values.steps);
if (!Number.isInteger(steps) || steps < 1) throw new Error(`--steps: expected a positive integer, got ${values.steps}`);

/** The eight of the fixed prompts that the README begins with. */
const chosen = [1, 22, 28, 62, 34, 38, 14, 63];

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

/** The prompts that every training run draws too, eight a row; the picture of prompt i has seed i. */
const fixed = (JSON.parse(readFileSync("weights/train/prompts.json", "utf8")) as { prompts: string[] }).prompts;

const drawn = new Map<number, PixelImage>();

const png = ({ width, height, pixels }: PixelImage): Uint8Array =>
  encode({ width, height, data: Uint8Array.from(pixels), channels: 4, depth: 8 });

async function drawOne(model: LatentDiffusion, seed: number): Promise<PixelImage> {
  const kept = values.keep && join(values.keep, `${steps}-${seed}.png`);
  if (kept && existsSync(kept)) {
    const { width, height, data } = decode(readFileSync(kept));
    return { width, height, pixels: Uint8ClampedArray.from(data) };
  }
  const image = await model.textToImage({ prompt: fixed[seed]!, seed, steps });
  if (kept) {
    mkdirSync(values.keep!, { recursive: true });
    writeFileSync(kept, png(image));
  }
  return image;
}

async function drawFixed(model: LatentDiffusion, seeds: readonly number[]): Promise<Shown[]> {
  const shown: Shown[] = [];
  for (const seed of seeds) {
    const image = drawn.get(seed) ?? (await drawOne(model, seed));
    drawn.set(seed, image);
    shown.push({ image, caption: fixed[seed]! });
    console.log(`${shown.length} of ${seeds.length}: ${fixed[seed]}`);
  }
  return shown;
}

const escaped = (text: string) => text.replace(/[&<>]/g, (sign) => `&#${sign.charCodeAt(0)};`);

/** A picture as it is, pixel for pixel. */
const picture = (image: PixelImage): string =>
  `<img src="data:image/png;base64,${Buffer.from(png(image)).toString("base64")}" width="${image.width}" height="${image.height}">`;

const figure = ({ image, caption }: Shown) =>
  `<figure>${picture(image)}<figcaption style="width:${image.width}px">${escaped(caption)}</figcaption></figure>`;

const style = `<!doctype html><meta charset="utf-8"><style>
    body { margin: 20px; font: 12px/1.35 sans-serif; color: #222; background: #fff; }
    h1 { font-size: 18px; margin: 0 0 4px; } h2 { font-size: 13px; margin: 18px 0 6px; }
    div { display: flex; gap: 10px; align-items: flex-start; } figure { margin: 0; } img { display: block; }
    figcaption { margin-top: 3px; color: #555; } .grid { display: grid; grid-template-columns: repeat(8, 128px); }
  </style>`;

const sheets: Readonly<Record<string, Sheet>> = {
  pictures: {
    file: "pictures.webp",
    width: 1024,
    quality: 85,
    draw: async (model) => {
      const shown = await drawFixed(model, chosen);
      return `${style}<style>body { margin: 0; } div { gap: 0; }</style><div>${shown.map(({ image }) => picture(image)).join("")}</div>`;
    },
  },
  prompts: {
    file: "prompts.webp",
    width: 1134,
    quality: 80,
    draw: async (model, adapter) => {
      const shown = await drawFixed(model, [...fixed.keys()]);
      return `${style}<h1>webldm: fixed prompts on the embedded model</h1><p>First pictures, none chosen: ${steps} steps, seeds 0 to ${fixed.length - 1}, on ${escaped(adapter)}</p><div class="grid">${shown.map(figure).join("")}</div>`;
    },
  },
  tasks: {
    file: "gallery.webp",
    width: 890,
    quality: 90,
    draw: async (model, adapter) => {
      const section = ({ title, shown }: Row) => `<h2>${escaped(title)}</h2><div>${shown.map(figure).join("")}</div>`;
      return `${style}<h1>webldm: the tasks on the embedded model</h1><p>${steps} steps each, on ${escaped(adapter)}</p>${(await rows(model)).map(section).join("")}`;
    },
  },
};

const names = values.only ? values.only.split(",") : Object.keys(sheets);
for (const name of names) {
  if (!(name in sheets)) throw new Error(`--only: expected some of ${Object.keys(sheets).join(", ")}, got ${name}`);
}
const engine = await createEngine({ adapter: await openAdapter() });
const model = await engine.load(await folderFromPath(values.model));
mkdirSync(values.out, { recursive: true });
for (const name of names) {
  const { file, width, quality, draw } = sheets[name]!;
  const html = await draw(model, engine.adapter);
  const browser = await launchChrome();
  const page = await openPage(browser);
  await page.setViewport({ width, height: 128 });
  await page.setContent(html);
  const path = join(values.out, file) as `${string}.webp`;
  await page.screenshot({ path, fullPage: true, type: "webp", quality });
  await browser.close();
  console.log(path);
}
engine.dispose();
process.exit(0); // Dawn's threads would keep the process alive
