import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { prepareVulkan } from "../../bin/vulkan.mjs";
import { root } from "./source.js";

const here = process.platform === "linux" && process.arch === "x64";
const software = { PATH: process.env["PATH"], WEBLDM_SOFTWARE: "1" };

describe.skipIf(!here)("the environment of a machine without a GPU [only Linux on x64 needs one]", () => {
  it("names drivers that exist, and says why one is missing", async () => {
    const { env, adapters, missing } = await prepareVulkan(software, { all: true });
    for (const icd of env["VK_ICD_FILENAMES"]?.split(":") ?? []) expect(existsSync(icd), icd).toBe(true);
    expect([...adapters, ...Object.keys(missing)].sort()).toEqual(["lavapipe", "swiftshader"]);
    expect(env["WEBLDM_ADAPTER"]).toBeUndefined();
  });

  it("makes lavapipe the default where it is, unless another adapter was chosen", async () => {
    const { env, adapters } = await prepareVulkan(software);
    expect(env["WEBLDM_ADAPTER"]).toBe(adapters.includes("lavapipe") ? "llvmpipe" : undefined);
    const chosen = await prepareVulkan({ ...software, WEBLDM_ADAPTER: "SwiftShader" });
    expect(chosen.env["WEBLDM_ADAPTER"]).toBeUndefined();
  });

  it("has Dawn clear workgroup memory in a loop, beside the flags of the person, unless these turn features off", async () => {
    const flags = async (given: string) =>
      (await prepareVulkan({ ...software, DAWN_GPU_FLAGS: given })).env["DAWN_GPU_FLAGS"];
    expect(await flags("")).toMatch(/^disable-dawn-features=\w+$/);
    expect(await flags("enable-dawn-features=a")).toBe(`enable-dawn-features=a ${await flags("")}`);
    expect(await flags("disable-dawn-features=b")).toBeUndefined();
  });

  it("leaves drivers alone that the person chose", async () => {
    const { env, adapters } = await prepareVulkan({ VK_DRIVER_FILES: "/opt/vendor/nvidia_icd.json" });
    expect(env["VK_ICD_FILENAMES"]).toBeUndefined();
    expect(env["WEBLDM_ADAPTER"]).toBeUndefined();
    expect(adapters).toEqual(["gpu"]);
  });

  it("is quick once the driver is unpacked", async () => {
    await prepareVulkan(software);
    const times = [];
    for (let i = 0; i < 5; i++) {
      const started = performance.now();
      await prepareVulkan(software);
      times.push(performance.now() - started);
    }
    expect(Math.min(...times)).toBeLessThan(100);
  });
});

describe("the launcher", () => {
  const built = existsSync(join(root, "dist/cli.js"));
  it.skipIf(!built)("passes arguments, output and the exit status on [dist/cli.js is not built]", () => {
    const run = (...args: string[]) =>
      spawnSync(process.execPath, [join(root, "bin/webldm.mjs"), ...args], { encoding: "utf8" });
    const help = run("--help");
    expect(help.status, help.stderr).toBe(0);
    expect(help.stdout).toContain("Usage");
    expect(run("no-such-command").status).not.toBe(0);
  });
});
