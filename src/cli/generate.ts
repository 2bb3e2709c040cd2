import { existsSync } from "node:fs";
import { join } from "node:path";
import { invariant } from "../core/invariant.js";
import { createEngine, openCheckpoint, type SamplerName, type Spacing, type TextToImageRequest } from "../index.js";
import { checkPrompt } from "../pipeline/conditioning.js";
import { validate, validateSize } from "../pipeline/request.js";
import { openAdapter } from "./dawn.js";
import { checkpointOptions, type ModelFlags, modelSource } from "./modelPath.js";
import { packageRoot } from "./packageRoot.js";
import { checkOut, freeName, writePicture } from "./pictureFile.js";
import { openProgress } from "./progress.js";

export interface GenerateOptions extends ModelFlags {
  readonly negative?: string;
  readonly model?: string;
  readonly steps?: number;
  readonly guidance?: number;
  readonly seed?: number;
  readonly noise?: "torch" | "device";
  readonly eta?: number;
  readonly width?: number;
  readonly height?: number;
  readonly out?: string;
  readonly sampler?: SamplerName;
  readonly guidanceRescale?: number;
  readonly spacing?: Spacing;
  readonly dtype?: "f32" | "f16";
  readonly json?: boolean;
}

/** `webldm generate`: draws a picture and writes it. */
export async function generate(prompt: string, options: GenerateOptions, signal: AbortSignal): Promise<number> {
  const { negative, model, steps, guidance, guidanceRescale, sampler, spacing, seed, noise, eta } = options;
  const { width, height, out, dtype, json } = options;
  const request: TextToImageRequest = {
    prompt,
    ...(negative === undefined ? {} : { negativePrompt: negative }),
    ...(steps === undefined ? {} : { steps }),
    ...(guidance === undefined ? {} : { guidance }),
    ...(guidanceRescale === undefined ? {} : { guidanceRescale }),
    ...(sampler === undefined ? {} : { sampler }),
    ...(spacing === undefined ? {} : { spacing }),
    ...(seed === undefined ? {} : { seed }),
    ...(noise === undefined ? {} : { noise }),
    ...(eta === undefined ? {} : { eta }),
    ...(width === undefined ? {} : { width }),
    ...(height === undefined ? {} : { height }),
  };
  // Whatever can be refused is refused before a device is opened.
  if (out !== undefined) checkOut(out);
  const checkpoint = await openCheckpoint(await modelSource(model ?? embeddedModel()), {
    ...(await checkpointOptions(options)),
    signal,
  });
  checkPrompt(prompt, negative);
  validate(request, checkpoint);
  validateSize(request, checkpoint);
  const progress = await openProgress();
  const engine = await createEngine({ adapter: await openAdapter(), ...(dtype ? { dtype } : {}) });
  try {
    const sd = await engine.load(checkpoint, { onProgress: progress.onLoad, signal });
    const picture = await sd.textToImage({ ...request, onStep: progress.onStep, signal });
    progress.stop();
    const file = out ?? freeName(prompt, picture.seed);
    await writePicture(file, picture, model ?? "sticker");
    const { adapter } = engine;
    const milliseconds = Math.round(picture.milliseconds);
    const { warnings } = picture;
    for (const warning of warnings) process.stderr.write(`webldm: warning: ${warning}\n`);
    const summary = {
      file,
      width: picture.width,
      height: picture.height,
      steps: picture.steps,
      seed: picture.seed,
      adapter,
      milliseconds,
    };
    const line = `${file}: ${picture.width} x ${picture.height}, ${picture.steps} steps, seed ${picture.seed}, ${(milliseconds / 1000).toFixed(1)} s on ${adapter}`;
    process.stdout.write(`${json ? JSON.stringify({ ...summary, ...(warnings.length ? { warnings } : {}) }) : line}\n`);
    return 0;
  } finally {
    progress.stop();
    engine.dispose();
  }
}

/** The model that comes with the package. */
function embeddedModel(): string {
  const path = join(packageRoot(), "weights", "sticker");
  invariant(existsSync(path), `--model: expected a model folder, and this package holds none of its own (${path})`);
  return path;
}
