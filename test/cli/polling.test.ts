import { promisify } from "node:util";
import { expect, it } from "vitest";
import { pollPatiently } from "../../src/cli/polling.js";

pollPatiently();

/** Asks as Dawn does: each native callback schedules the next. Bound functions are native ones. */
async function questionsWithin(milliseconds: number): Promise<number> {
  let questions = 0;
  let open = true;
  const ask = () => {
    questions++;
    if (open) setImmediate(ask.bind(undefined));
  };
  setImmediate(ask.bind(undefined));
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
  open = false;
  await new Promise((resolve) => setTimeout(resolve, 10));
  return questions;
}

it("asks about once a millisecond, not as often as it can", async () => {
  const questions = await questionsWithin(100);
  expect(questions).toBeGreaterThan(10);
  expect(questions).toBeLessThan(5000); // tens of thousands without a pause
});

it("leaves callbacks of JavaScript as they are, and what hangs on the function", async () => {
  expect(await new Promise((resolve) => setImmediate((a, b) => resolve([a, b]), 1, 2))).toEqual([1, 2]);
  expect(await promisify(setImmediate)(7)).toBe(7);
  clearImmediate(setImmediate(() => expect.unreachable()));
  await new Promise((resolve) => setTimeout(resolve, 5));
});

it("changes nothing the second time", () => {
  const first = globalThis.setImmediate;
  pollPatiently();
  expect(globalThis.setImmediate).toBe(first);
});
