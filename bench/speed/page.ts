// The part of the suite that runs in a page of Chrome.
import { type Job, type JobResult, runJob } from "./job.js";

declare global {
  var webldmSpeed: (job: Job) => Promise<JobResult>;
}

async function openAdapter(): Promise<GPUAdapter> {
  const request = { powerPreference: "high-performance" } as const;
  // The first request of a page can answer null while the browser's GPU process starts.
  const adapter = (await navigator.gpu.requestAdapter(request)) ?? (await navigator.gpu.requestAdapter(request));
  if (!adapter) throw new Error("the browser offers no adapter");
  return adapter;
}

globalThis.webldmSpeed = async (job) => runJob(await openAdapter(), job, (line) => console.log(line));
