import { expect, it } from "vitest";
import { createEngine } from "../../src/pipeline/engine.js";
import type { LoadOptions } from "../../src/pipeline/loadOptions.js";
import { compileAhead } from "../../src/pipeline/tasks/compileAhead.js";
import { graphOptions } from "../../src/plan/options.js";
import { describeOneAdapter, openAdapter } from "../harness/adapters.js";
import { openSeeded } from "./seededModel.js";
import { SeededTask } from "./seededTask.js";

describeOneAdapter("pipelines of the first picture", ({ name }) => {
  const opened = async () => {
    const engine = await createEngine({ adapter: (await openAdapter(name))!, dtype: "f32" });
    return { engine, checkpoint: await openSeeded(await SeededTask.read("text_ddim")) };
  };
  const size = { width: 32, height: 32 };

  it("are all compiled without weights", async () => {
    const { engine, checkpoint } = await opened();
    await compileAhead(engine.device, checkpoint, graphOptions(engine.device, "f32"), size);
    const model = await engine.load(checkpoint);
    const { pipelines } = engine.device;
    const before = pipelines.size; // those that bring weights into place included
    await model.prepare(size);
    expect(pipelines.size).toBe(before);
    expect(before).toBeGreaterThan(10);
    engine.dispose();
  });

  it("are compiled while a model loads, where that is asked for", async () => {
    const sizes: number[] = [];
    const options: LoadOptions[] = [{}, { prepare: size }];
    for (const own of options) {
      const { engine, checkpoint } = await opened();
      await engine.load(checkpoint, own);
      const few = 5;
      if (own.prepare) await expect.poll(() => engine.device.pipelines.size).toBeGreaterThan(few);
      sizes.push(engine.device.pipelines.size);
      engine.dispose();
    }
    expect(sizes[0]).toBeLessThanOrEqual(5);
  });
});
