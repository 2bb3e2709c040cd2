import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Case, Result } from "../src/cli/conformance/case.js";
import { discover } from "../src/cli/conformance/discover.js";
import { Lab } from "../src/cli/conformance/lab.js";
import { resultLine } from "../src/cli/conformance/report.js";
import { runCase } from "../src/cli/conformance/run.js";
import { Device } from "../src/gpu/device.js";
import { describeAdapters, openAdapter, testDevices } from "./harness/adapters.js";
import { root } from "./harness/source.js";

const small = join(root, "test/golden");
const large = join(root, "../shared/golden");
const minutes = 60_000;

/** The part of a case's name that a test stands for: `ops`, `samplers/compvis`, `unet`. */
const familyOf = ({ name }: Case): string =>
  name
    .split("/")
    .slice(0, name.startsWith("samplers/") ? 2 : 1)
    .join("/");

/** Cases of the small set that cannot run: strings without their vocabulary. */
const mayBeMissing = /^tokenizer\/clip\//;

/** What real graphics cards run; software adapters, for which simpler forms are chosen, can run them too, slowly. */
describe("reference results with the forms for a GPU", async () => {
  const networks = (await discover(small)).filter((one) => /^(ldm\/|vae\/kl\.c1$)/.test(one.name));
  const promised = testDevices.some((device) => device.name === "swiftshader" && !device.missing);

  it(
    "a whole pipeline, and an encoder",
    async ({ skip }) => {
      if (!promised) skip("SwiftShader is not there");
      if (!process.env["WEBLDM_FULL"]) skip("its compiler takes minutes for these forms: WEBLDM_FULL=1");
      const adapter = await openAdapter("swiftshader");
      const lab = new Lab(await Device.open({ adapter: adapter! }), "f32", { software: false });
      const results = [];
      for (const one of networks) results.push(await runCase(one, lab));
      lab.dispose();
      lab.device.dispose();
      expect(results.filter(({ status }) => status !== "pass").map(resultLine)).toEqual([]);
    },
    20 * minutes,
  );
});

describeAdapters("reference results", ({ name, hasF16 }) => {
  for (const precision of hasF16 ? (["f32", "f16"] as const) : (["f32"] as const)) {
    describe(precision, async () => {
      let lab: Lab;
      beforeAll(async () => {
        const adapter = await openAdapter(name);
        lab = new Lab(await Device.open({ adapter: adapter! }), precision);
      });
      afterAll(() => {
        lab?.dispose();
        lab?.device.dispose();
      });

      const runAll = async (cases: readonly Case[]): Promise<Result[]> => {
        const results: Result[] = [];
        for (const one of cases) results.push(await runCase(one, lab));
        return results;
      };
      const linesOf = (results: readonly Result[]) => results.map(resultLine);

      const cases = await discover(small);
      for (const family of new Set(cases.map(familyOf))) {
        it(
          `${family} of test/golden`,
          async () => {
            const results = await runAll(cases.filter((one) => familyOf(one) === family));
            const wrong = results.filter(
              (result) =>
                result.status !== "pass" && !(result.status === "unsupported" && mayBeMissing.test(result.case)),
            );
            expect(linesOf(wrong)).toEqual([]);
          },
          10 * minutes,
        );
      }

      it(
        "every case of the full set that can run",
        async ({ skip }) => {
          if (!existsSync(large)) skip(`${large} is not there`);
          const results = await runAll(await discover(large));
          expect(linesOf(results.filter(({ status }) => status === "fail"))).toEqual([]);
          expect(results.filter(({ status }) => status === "pass").length).toBeGreaterThan(300);
        },
        30 * minutes,
      );
    });
  }
});
