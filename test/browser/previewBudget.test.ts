import { expect, it } from "vitest";
import { PreviewBudget } from "../../src/studio/worker/previewBudget.js";

/** A run in which the device is one step ahead of the calls: the time that previews took of the whole, and their count. */
function run(budget: PreviewBudget, steps: number, stepTime: number, previewTime: number) {
  let now = 1000;
  let device = now; // when it has done what it was given
  let previews = 0;
  budget.start();
  for (let step = 1; step <= steps; step++) {
    const behind = device;
    device = Math.max(device, now) + stepTime;
    now = Math.max(now, behind);
    if (!budget.affords(step, steps, now)) continue;
    const before = now;
    device += previewTime;
    now = device;
    budget.paid(now - before);
    previews++;
  }
  return { share: (previews * previewTime) / (Math.max(now, device) - 1000), previews };
}

it("draws nearly every step when previews are cheap", () => {
  const budget = new PreviewBudget();
  run(budget, 20, 100, 5);
  expect(run(budget, 20, 100, 5).previews).toBeGreaterThan(15);
});

it.each([
  [100, 50],
  [100, 100],
  [100, 400],
  [10, 100],
])("keeps previews to a third of the time: steps of %i ms, previews of %i ms", (stepTime, previewTime) => {
  const budget = new PreviewBudget();
  run(budget, 20, stepTime, previewTime);
  const { share, previews } = run(budget, 40, stepTime, previewTime);
  expect(previews).toBeGreaterThan(0);
  expect(share).toBeLessThanOrEqual(0.36);
});

it("does without when one alone would cost too much", () => {
  const budget = new PreviewBudget();
  expect(run(budget, 20, 100, 10_000).previews).toBe(1); // to find out
  expect(run(budget, 20, 100, 10_000).previews).toBe(0);
  budget.reset();
  expect(run(budget, 20, 100, 10_000).previews).toBe(1);
});

it("does not try one out in a short run, nor after the last step", () => {
  expect(run(new PreviewBudget(), 4, 100, 10).previews).toBe(0);
  const budget = new PreviewBudget();
  run(budget, 20, 100, 0);
  expect(budget.affords(5, 5, 10_000)).toBe(false);
});
