import { decode } from "fast-png";
import { afterEach, describe, expect, it, vi } from "vitest";
import { encodePng } from "../../src/pictures/encodePng.js";
import { bytes, duration, fileName } from "../../src/studio/format.js";
import { addPngText, readPngText } from "../../src/studio/pngText.js";
import type { ModelFacts } from "../../src/studio/protocol.js";
import { askedBy, linkOf, otherTuning, type Settings, settingsOf, textsOf } from "../../src/studio/settings.js";
import { modeFor, whyNot } from "../../src/studio/support.js";
import { troubleOf } from "../../src/studio/trouble.js";
import { LatentColors } from "../../src/studio/worker/latentColors.js";
import { stickerColors } from "../../src/studio/worker/stickerColors.js";
import { toFloat32 } from "../../src/weights/decode.js";
import { fromFile } from "../../src/weights/node.js";
import { openSafetensors } from "../../src/weights/safetensors.js";

const settings: Settings = {
  mode: "text",
  prompt: "ein Fuchs & 一只狐狸 #1",
  negativePrompt: "blurry",
  steps: 12,
  guidance: 4.5,
  sampler: "dpm++",
  seed: 123456789,
  width: 64,
  height: 96,
  strength: 0.6,
  label: 0,
  noiseLevel: 20,
  margins: { left: 0, right: 8, top: 0, bottom: 0 },
  objects: [{ category: 3, box: [0.1, 0.2, 0.6, 0.9] }],
  model: "./weights/sticker/",
};

describe("settings", () => {
  it("tell of a tuning that the page draws without", () => {
    expect(otherTuning({ tuning: "ec90d962" })).toContain("drawn with tuning ec90d962");
    expect(otherTuning({ prompt: "a" })).toBe("");
  });

  it.each(["text", "image", "outpaint", "layout", "upscale"] as const)("come back from the texts of %s", (mode) => {
    expect({ ...settings, ...settingsOf(textsOf({ ...settings, mode })) }).toEqual({ ...settings, mode });
  });

  it("come back from a link, which keeps them from servers", () => {
    const link = new URL(linkOf(settings, "https://example.com/studio/?old=1#x"));
    expect(link.pathname + link.search).toBe("/studio/");
    const { autostart, ...asked } = askedBy(link);
    expect(autostart).toBe(true);
    expect({ ...settings, ...asked }).toEqual(settings);
  });

  it("come back from links and files of earlier versions", () => {
    expect(askedBy(new URL("https://a.b/?prompt=a+fox&steps=4&negative=blue"))).toMatchObject({
      prompt: "a fox",
      steps: 4,
      negativePrompt: "blue",
      autostart: false,
    });
  });

  it("leave out what makes no sense", () => {
    const texts = {
      seed: "x",
      steps: "-3",
      width: "1e9",
      sampler: "euler",
      mode: "film",
      objects: "[{}, null]",
      margins: "{",
    };
    expect(settingsOf(texts)).toEqual({ steps: 1, width: 4096, objects: [] });
  });
});

describe("texts in a PNG", () => {
  it("are read as they were written, and other programs read the picture", async () => {
    const png = await encodePng({ width: 2, height: 1, pixels: Uint8ClampedArray.of(1, 2, 3, 255, 4, 5, 6, 255) });
    const written = addPngText(png, { Software: "webldm", ...textsOf(settings) });
    expect(readPngText(written)).toEqual({ Software: "webldm", ...textsOf(settings) });
    expect([...decode(written, { checkCrc: true }).data]).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it("are none in what is no PNG, or is cut off", async () => {
    expect(readPngText(Uint8Array.of(1, 2, 3))).toEqual({});
    const png = addPngText(await encodePng({ width: 1, height: 1, pixels: new Uint8ClampedArray(4) }), { seed: "1" });
    expect(readPngText(png.subarray(0, 40))).toEqual({});
  });
});

describe("what a model can do", () => {
  const facts = { conditioning: "prompt", concat: "none" } as ModelFacts;

  it("is said in a sentence where it cannot", () => {
    expect(whyNot("text", facts)).toBeUndefined();
    expect(whyNot("inpaint", facts)).toBeUndefined();
    expect(whyNot("upscale", facts)).toContain("upscaler");
    expect(whyNot("layout", facts)).toContain("layouts");
    expect(whyNot("text", { ...facts, concat: "inpaint" })).toContain("fills in");
  });

  it("decides what is offered first", () => {
    expect(modeFor("text", { ...facts, concat: "lowResolution" })).toBe("upscale");
    expect(modeFor("text", { ...facts, concat: "inpaint" })).toBe("inpaint");
    expect(modeFor("text", { ...facts, conditioning: "objects" })).toBe("layout");
  });
});

describe("errors", () => {
  afterEach(() => vi.unstubAllGlobals());

  it.each([
    ["GPU: the device was lost (unknown)", "lost", "reload"],
    ["GPU: Out of memory", "memory", "reload"],
    ["latent: needs a buffer of 9 bytes, this adapter allows 8", "memory", "reload"],
    ["guidance: expected 0 to 100, got 101", "could not be drawn", undefined],
  ])("of the engine are told to a person: %s", (message, title, remedy) => {
    const told = troubleOf(new Error(message), "drawing");
    expect(told.title).toContain(title);
    expect(told.remedy).toBe(remedy);
  });

  it("tell a file from a network", () => {
    vi.stubGlobal("navigator", { onLine: false });
    expect(troubleOf(new Error("a.ckpt: expected a pickle"), "loading").title).toContain("no model");
    expect(troubleOf(new TypeError("Failed to fetch"), "loading").text).toContain("no network");
    expect(troubleOf(new Error("a.bin: neither safetensors (HeaderTooLarge) nor torch"), "loading").text).toContain(
      "damaged",
    );
  });
});

describe("colours of a latent", () => {
  it("are learnt from a picture", () => {
    const latent = {
      channels: 2,
      height: 2,
      width: 4,
      values: Float32Array.from({ length: 16 }, (_, i) => ((i * 7) % 11) / 5 - 1),
    };
    const pixels = new Uint8ClampedArray(4 * 8 * 4);
    const expected: number[][] = [];
    for (let p = 0; p < 8; p++) {
      const [a = 0, b = 0] = [latent.values[p], latent.values[8 + p]];
      const color = [128 + 40 * a, 128 + 30 * b, 100 - 20 * a + 20 * b].map(Math.round);
      expected.push(color);
      const [x, y] = [(p % 4) * 2, Math.floor(p / 4) * 2];
      for (const [dx, dy] of [
        [0, 0],
        [1, 0],
        [0, 1],
        [1, 1],
      ] as const)
        pixels.set([...color, 255], ((y + dy) * 8 + x + dx) * 4);
    }
    const colors = new LatentColors();
    expect(colors.known).toBe(false);
    colors.learn(latent, { width: 8, height: 4, pixels });
    const painted = colors.paint(latent);
    const worst = Math.max(
      ...expected.flatMap((color, p) => color.map((value, c) => Math.abs(value - painted.pixels[p * 4 + c]!))),
    );
    expect(painted.width).toBe(4);
    expect(worst).toBeLessThanOrEqual(2);
  });

  it("are known of the embedded model: its reference latent looks like its reference picture", async () => {
    const { tensors } = await openSafetensors(await fromFile("test/golden/sticker/reference.safetensors"));
    const read = async (name: string) => {
      const { source, begin, end, dtype } = tensors.get(name)!;
      return toFloat32(await source.read(begin, end), dtype);
    };
    const values = await read("p0.latents_step20");
    const image = await read("p0.image"); // C, H, W in [-1, 1]
    const { pixels } = new LatentColors(stickerColors).paint({ channels: 8, height: 16, width: 16, values });
    let off = 0;
    for (let c = 0; c < 3; c++) {
      for (let p = 0; p < 256; p++) {
        let mean = 0;
        for (let i = 0; i < 64; i++) {
          const y = (p >> 4) * 8 + (i >> 3);
          const x = (p & 15) * 8 + (i & 7);
          mean += (Math.min(1, Math.max(-1, image[(c * 128 + y) * 128 + x]!)) + 1) * (127.5 / 64);
        }
        off += Math.abs(pixels[p * 4 + c]! - mean) / (3 * 256);
      }
    }
    console.log(`colours of the reference latent: ${off.toFixed(1)} of 255 off in the mean`);
    expect(off).toBeLessThan(15); // the colours of another first stage are off by 60 and more
  });
});

describe("numbers for people", () => {
  it("are short", () => {
    expect([bytes(38_800_000), bytes(1_700_000_000), bytes(2400)]).toEqual(["39 MB", "1.7 GB", "2.4 kB"]);
    expect([duration(12), duration(4200), duration(61_000), duration(300_000)]).toEqual([
      "12 ms",
      "4.2 s",
      "61 s",
      "5 min",
    ]);
    expect(fileName("A fox, in the snow!", 7)).toBe("a-fox-in-the-snow-7.png");
  });
});
