import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type Browser, type BrowserContext, launch, type Page } from "puppeteer";
import { unpackChromium } from "../../bin/vulkan.mjs";

/** A browser program and what its environment needs. */
export interface ChromeProgram {
  readonly executable: string;
  readonly env: Readonly<Record<string, string>>;
}

const softwareFlags = [
  "--enable-unsafe-webgpu",
  "--use-webgpu-adapter=swiftshader",
  "--no-sandbox",
  // As bin/vulkan.mjs does for Node, so that pipelines compile quickly.
  "--disable-dawn-features=use_vulkan_zero_initialize_workgroup_memory_extension",
];

// No network chatter, no throttling of pages that nobody looks at, no shared memory of a container's default size.
const quietFlags = [
  "--disable-background-networking",
  "--disable-background-timer-throttling",
  "--disable-renderer-backgrounding",
  "--disable-component-update",
  "--disable-dev-shm-usage",
  "--disable-extensions",
  "--no-first-run",
  "--mute-audio",
];

/** Which browser to use: CHROME_PATH, one of the system, or the one inside the npm package; undefined where there is none. */
export async function findChrome(): Promise<ChromeProgram | undefined> {
  const asked = process.env["CHROME_PATH"];
  const executable = asked || systemChrome();
  if (executable) return { executable, env: {} };
  if (process.platform !== "linux" || process.arch !== "x64") return undefined;
  return unpackChromium();
}

function systemChrome(): string | undefined {
  const paths: string[] = [];
  if (process.platform === "darwin") {
    for (const name of ["Google Chrome", "Chromium", "Microsoft Edge"]) {
      paths.push(`/Applications/${name}.app/Contents/MacOS/${name}`);
      paths.push(join(process.env["HOME"] ?? "", `Applications/${name}.app/Contents/MacOS/${name}`));
    }
  } else if (process.platform === "win32") {
    for (const folder of ["PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA"]) {
      const base = process.env[folder];
      if (!base) continue;
      paths.push(join(base, "Google/Chrome/Application/chrome.exe"), join(base, "Chromium/Application/chrome.exe"));
      paths.push(join(base, "Microsoft/Edge/Application/msedge.exe"));
    }
  } else {
    const names = ["google-chrome-stable", "google-chrome", "chromium", "chromium-browser", "chrome"];
    const folders = (process.env["PATH"] ?? "").split(":");
    folders.push("/usr/bin", "/usr/local/bin", "/snap/bin", "/opt/google/chrome");
    for (const name of names) for (const folder of folders) if (folder) paths.push(join(folder, name));
  }
  return paths.find((path) => existsSync(path) && runs(path));
}

/** Some systems have a file of that name which only says how to install the browser. */
function runs(path: string): boolean {
  if (process.platform !== "linux") return true;
  try {
    return /chrom/i.test(
      execFileSync(path, ["--version"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"], timeout: 20_000 }),
    );
  } catch {
    return false;
  }
}

/** Timestamps as fine as the device gives them: of two such switches Chrome would take the last alone. */
function withFineTimestamps(flags: readonly string[]): string[] {
  const [name, feature] = ["--disable-dawn-features=", "timestamp_quantization"];
  if (!flags.some((flag) => flag.startsWith(name))) return [...flags, name + feature];
  return flags.map((flag) => (flag.startsWith(name) ? `${flag},${feature}` : flag));
}

/** Starts the browser without a screen, with WebGPU in software unless CHROME_GPU_FLAGS says how to reach a GPU. */
export async function launchChrome(program?: ChromeProgram, flags: readonly string[] = []): Promise<Browser> {
  const chosen = program ?? (await findChrome());
  if (!chosen) throw new Error("no Chrome or Chromium: set CHROME_PATH to one");
  const gpuFlags = process.env["CHROME_GPU_FLAGS"]?.split(/\s+/).filter(Boolean) ?? softwareFlags;
  return launch({
    executablePath: chosen.executable,
    headless: true,
    args: [...withFineTimestamps(gpuFlags), ...quietFlags, ...flags],
    env: { ...process.env, ...chosen.env },
    timeout: 120_000,
    protocolTimeout: 600_000,
  });
}

/** A page that waits longer than Puppeteer's half minute: with other tests beside it, a picture in software takes that. */
export async function openPage(browser: Browser | BrowserContext): Promise<Page> {
  const page = await browser.newPage();
  page.setDefaultTimeout(240_000);
  return page;
}
