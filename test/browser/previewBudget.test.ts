import { expect, it } from "vitest";
import { PreviewBudget } from "../../src/studio/previewBudget.js";

/** Milliseconds spent on steps and on previews of a simulated run, and how many previews there were. */
function run(budget: PreviewBudget, steps: number, stepTime: number, previewTime: number) {
  let now = 1000;
  let previews = 0;
  budget.start(now);
  for (let step = 1; step <= steps; step++) {
    now += stepTime;
    if (!budget.affords(step, steps, now)) continue;
    now += previewTime;
    budget.paid(previewTime);
    previews++;
  }
  return { share: (previews * previewTime) / (now - 1000), previews };
}

it("draws nearly every step when previews are cheap", () => {
  const budget = new PreviewBudget();
  run(budget, 20, 100, 5);
  expect(run(budget, 20, 100, 5).previews).toBe(19);
});

it("keeps dear previews to a third of the time", () => {
  const budget = new PreviewBudget();
  run(budget, 20, 100, 400);
  const { share, previews } = run(budget, 20, 100, 400);
  expect(previews).toBeGreaterThan(0);
  expect(share).toBeLessThanOrEqual(0.34);
});

it("does without when one alone would cost too much", () => {
  const budget = new PreviewBudget(10_000);
  expect(run(budget, 20, 100, 10_000).previews).toBe(0);
});

it("does not try one out in a short run, nor after the last step", () => {
  expect(run(new PreviewBudget(), 4, 100, 10).previews).toBe(0);
  expect(new PreviewBudget(0).affords(5, 5, 1000)).toBe(false);
});
