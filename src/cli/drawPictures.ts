import { loadModel, modelName, readCheckpoint } from "./loadModel.js";
import { checkOut, pictureNames, writePicture } from "./pictureFile.js";
import { type PictureTask, prepareTask } from "./pictureTask.js";
import { openProgress } from "./progress.js";
import type { DrawingOptions } from "./sharedOptions.js";

/** `webldm generate`, `img2img`, `inpaint`, `outpaint`, `upscale`: draws pictures and writes them. */
export async function drawPictures(task: PictureTask, options: DrawingOptions, signal: AbortSignal): Promise<number> {
  const { out, json } = options;
  // Whatever can be refused is refused before a device is opened.
  checkOut(out);
  const checkpoint = await readCheckpoint(options, signal);
  const prepared = await prepareTask(task, checkpoint);
  for (const note of prepared.notes) process.stderr.write(`webldm: ${note}\n`);
  const progress = await openProgress();
  const { engine, model } = await loadModel(checkpoint, options, prepared.shape, progress, signal);
  try {
    const pictures = await prepared.draw(model, { onStep: progress.onStep, signal });
    progress.stop();
    const [first] = pictures;
    const { width, height, steps, seed, tuning, warnings, milliseconds } = first!;
    const words = task.prompt ?? (task.label === undefined ? task.task : `class ${task.label}`);
    const files = pictureNames({ out, words, seed }, task.images);
    for (const [i, picture] of pictures.entries()) await writePicture(files[i]!, picture, modelName(options));
    for (const warning of warnings) process.stderr.write(`webldm: warning: ${warning}\n`);
    const { adapter } = engine;
    const took = Math.round(milliseconds);
    const summary = {
      ...(task.images === undefined ? { file: files[0] } : { files }),
      width,
      height,
      steps,
      seed,
      adapter,
      milliseconds: took,
      ...(tuning ? { tuning } : {}),
      ...(warnings.length ? { warnings } : {}),
    };
    const names = files.length === 1 ? files[0] : `${files[0]} to ${files.at(-1)}`;
    const line = `${names}: ${width} x ${height}, ${steps} steps, seed ${seed}, ${(took / 1000).toFixed(1)} s on ${adapter}`;
    process.stdout.write(`${json ? JSON.stringify(summary) : line}\n`);
    return 0;
  } finally {
    progress.stop();
    engine.dispose();
  }
}
