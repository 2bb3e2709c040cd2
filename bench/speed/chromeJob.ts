import type { Browser } from "puppeteer";
import { launchChrome, openPage } from "../../test/harness/chrome.js";
import { longCall } from "../longCall.js";
import { pageScript } from "../pageScript.js";
import { serveBlank } from "./blankServer.js";
import type { Job, JobResult } from "./job.js";

/** Timestamps of pages are rounded to 100 microseconds without it. */
export const exactTimestamps = "--enable-webgpu-developer-features";

export const versionOf = async (browser: Browser): Promise<string> => (await browser.version()).replace(/^\D*\//, "");

/** Runs a job in a page of headless Chrome. */
export async function chromeJob(job: Job): Promise<{ readonly result: JobResult; readonly chrome: string }> {
  const server = await serveBlank();
  const browser = await launchChrome(undefined, [exactTimestamps]);
  try {
    const page = await openPage(browser);
    page.on("console", (message) => console.log(`page: ${message.text()}`));
    page.on("pageerror", (error) => console.log(`page: ${error}`));
    page.setDefaultTimeout(0);
    await page.goto(server.url);
    await page.addScriptTag({ content: await pageScript("bench/speed/page.ts", "BENCH_SPEED_PAGE"), type: "module" });
    return { result: await longCall(page, "webldmSpeed", job), chrome: await versionOf(browser) };
  } finally {
    await browser.close();
    await server.close();
  }
}
