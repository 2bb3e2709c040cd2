import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Browser } from "puppeteer";
import { afterAll, beforeAll, expect, it } from "vitest";
import { unpackChromium } from "../../bin/vulkan.mjs";
import { findChrome, launchChrome, openPage } from "../harness/chrome.js";

let server: Server;
let address: string;

beforeAll(async () => {
  server = createServer((_request, response) => {
    response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html><title>webldm</title>");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
});

afterAll(() => server.close());

/** Squares of 0, 1, 2, 3 as the page's GPU computes them, and the adapter's name. */
async function squares(browser: Browser): Promise<{ adapter: string; values: number[] }> {
  const page = await openPage(browser);
  await page.goto(address);
  const result = await page.evaluate(async () => {
    const ask = () => navigator.gpu.requestAdapter({ powerPreference: "high-performance" });
    const adapter = (await ask()) ?? (await ask());
    if (!adapter) throw new Error("requestAdapter() answered null twice");
    const device = await adapter.requestDevice();
    const code = `@group(0) @binding(0) var<storage, read_write> y: array<u32>;
      @compute @workgroup_size(4) fn main(@builtin(global_invocation_id) id: vec3u) { y[id.x] = id.x * id.x; }`;
    const module = device.createShaderModule({ code });
    const pipeline = await device.createComputePipelineAsync({ layout: "auto", compute: { module } });
    const y = device.createBuffer({ size: 16, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC });
    const back = device.createBuffer({ size: 16, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
    const entries = [{ binding: 0, resource: { buffer: y } }];
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
    pass.dispatchWorkgroups(1);
    pass.end();
    encoder.copyBufferToBuffer(y, 0, back, 0, 16);
    device.queue.submit([encoder.finish()]);
    await back.mapAsync(GPUMapMode.READ);
    const { vendor, architecture } = adapter.info;
    return { adapter: `${vendor} ${architecture}`, values: [...new Uint32Array(back.getMappedRange())] };
  });
  await page.close();
  return result;
}

it("a page of the browser found here computes with WebGPU", async ({ skip }) => {
  const program = await findChrome();
  if (!program) return skip("no Chrome or Chromium on this machine; set CHROME_PATH to one");
  const browser = await launchChrome(program);
  try {
    const { adapter, values } = await squares(browser);
    expect(values).toEqual([0, 1, 4, 9]);
    console.log(`${await browser.version()} on ${adapter}`);
  } finally {
    await browser.close();
  }
});

it("a page of the browser inside @sparticuz/chromium computes with WebGPU", async ({ skip }) => {
  if (process.platform !== "linux" || process.arch !== "x64") return skip("that browser is for Linux on x64");
  if (process.env["CHROME_GPU_FLAGS"]) return skip("that browser never sees a GPU");
  const program = await unpackChromium();
  if (!program) return skip("the npm package @sparticuz/chromium is not installed");
  const browser = await launchChrome(program);
  try {
    expect((await squares(browser)).values).toEqual([0, 1, 4, 9]);
  } finally {
    await browser.close();
  }
});
