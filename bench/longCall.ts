import { setTimeout as sleep } from "node:timers/promises";
import type { Page } from "puppeteer";

type Async = "webldmSpeed" | "webldmPeers";
type Given<N extends Async> = Parameters<(typeof globalThis)[N]>[0];
type Answer<N extends Async> = Awaited<ReturnType<(typeof globalThis)[N]>>;

declare global {
  var longCallState: { readonly value?: unknown; readonly error?: string } | undefined;
}

const pollMilliseconds = 500;

/** Calls a function of the page that may take longer than one message to the browser may stay unanswered. */
export async function longCall<N extends Async>(page: Page, name: N, given: Given<N>): Promise<Answer<N>> {
  await page.waitForFunction((wanted) => wanted in globalThis, {}, name);
  await page.evaluate(
    (wanted, argument) => {
      globalThis.longCallState = undefined;
      const call = globalThis[wanted] as (given: unknown) => Promise<unknown>;
      call(argument).then(
        (value) => {
          globalThis.longCallState = { value };
        },
        (error) => {
          globalThis.longCallState = {
            error: error instanceof Error ? `${error.message}\n${error.stack}` : String(error),
          };
        },
      );
    },
    name,
    given as never,
  );
  while (true) {
    const done = await page.evaluate(() => globalThis.longCallState);
    if (done?.error !== undefined) throw new Error(done.error);
    if (done) return done.value as Answer<N>;
    await sleep(pollMilliseconds);
  }
}
