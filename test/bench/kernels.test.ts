import { expect, it } from "vitest";
import { kernelTable } from "../../bench/speed/kernelTable.js";
import { smallCases } from "../../bench/speed/opCases.js";
import { planOf } from "../../bench/speed/opPlan.js";
import { decoderOf, denoiserOf, loadSubject } from "../../bench/speed/subject.js";
import { tiny } from "../../bench/speed/tinyConfig.js";
import { createEngine } from "../../src/pipeline/engine.js";
import { openAdapter } from "../harness/adapters.js";
import { onDevices } from "../harness/gpu.js";

const limits = { f32: 2e-6, f16: 1e-3 } as const;

onDevices("the bench", ({ name, device, dtypes }) => {
  it("finds the errors of operators, which are those of rounding", async () => {
    for (const item of smallCases()) {
      for (const dtype of dtypes) {
        if (dtype === "u32") continue;
        const op = await planOf(device(), dtype, item);
        expect(await op.error(), `${item.id} ${dtype}`).toBeLessThan(limits[dtype]);
        op.dispose();
      }
    }
  });

  it("finds every kernel of a denoiser and of a decoder, most of them with their errors", async () => {
    const engine = await createEngine({ adapter: (await openAdapter(name))! });
    const subject = await loadSubject(engine, tiny);
    const side = 16;
    const { denoiser } = await denoiserOf(subject, { guided: true, side });
    const { decoder, latent } = await decoderOf(subject, side);
    await decoder.decode(latent);
    for (const plan of [denoiser.plan, decoder.plans[0]!]) {
      const { rows, dispatches, sum, pass } = await kernelTable(plan, { program: "program", runs: 1 });
      expect(rows.reduce((n, { count }) => n + count, 0)).toBe(dispatches);
      expect(new Set(rows.map(({ id }) => id)).size).toBe(rows.length);
      expect(Math.min(sum, pass.median)).toBeGreaterThan(0);
      const known = rows.filter(({ error }) => error !== undefined);
      expect(known.reduce((n, { count }) => n + count, 0)).toBeGreaterThan(0.8 * dispatches);
      for (const { id, error } of known) expect(error, id).toBeLessThan(limits[engine.dtype]);
    }
    engine.dispose();
  });
});
