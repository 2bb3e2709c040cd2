// Finds a Vulkan driver for Dawn in Node. A machine with a GPU is left as it is. Without one (Linux, x64) two software
// drivers can stand in: SwiftShader, which travels inside the npm package @sparticuz/chromium, and Mesa's lavapipe where
// the system has it. Environment variables for the dynamic loader count only from the start of a process, so whoever
// needs them spawns one: see `bin/webldm.mjs` and `scripts/test.mjs`.
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { tmpdir, userInfo } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { brotliDecompress } from "node:zlib";

/**
 * @typedef {object} Vulkan
 * @property {Record<string, string>} env variables to add to the environment of the real process; empty: nothing to do
 * @property {("gpu" | "swiftshader" | "lavapipe")[]} adapters those that the process will be able to open
 * @property {Record<string, string>} missing software adapters that are not there, and why
 */

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dataFolders = (process.env["XDG_DATA_DIRS"] || "/usr/local/share:/usr/share").split(":").filter(Boolean);
const icdFolders = ["/etc", "/run/opengl-driver/share", ...dataFolders].map((folder) =>
  join(folder, "vulkan", "icd.d"),
);

// SwiftShader answers the other way with an instruction a word of workgroup memory: some
// pipelines then take seconds to compile.
const zerosInCode = "disable-dawn-features=use_vulkan_zero_initialize_workgroup_memory_extension";
const softwareIcd = /^(lvp|lavapipe|vk_swiftshader|swiftshader)/;

/**
 * What the process that runs Dawn needs in its environment.
 * @param {NodeJS.ProcessEnv} [env]
 * @param {{ all?: boolean }} [options] `all`: list every software adapter (tests choose one by name); otherwise lavapipe,
 *   the faster one, becomes the default where it is installed
 * @returns {Promise<Vulkan>}
 */
export async function prepareVulkan(env = process.env, { all = false } = {}) {
  const chosen = env["VK_DRIVER_FILES"] || env["VK_ICD_FILENAMES"] || env["VK_ADD_DRIVER_FILES"];
  if (process.platform !== "linux" || process.arch !== "x64") return { env: {}, adapters: ["gpu"], missing: {} };
  if (!env["WEBLDM_SOFTWARE"] && !chosen && hasHardware()) return { env: {}, adapters: ["gpu"], missing: {} };

  /** @type {Vulkan} */
  const result = { env: {}, adapters: chosen ? adaptersOf(chosen) : [], missing: {} };
  if (chosen && hasLoader(env)) return result;
  /** @type {string | undefined} */
  let swiftshader;
  try {
    swiftshader = await unpackSwiftShader();
    if (!swiftshader) result.missing["swiftshader"] = "the npm package @sparticuz/chromium is not installed";
  } catch (error) {
    result.missing["swiftshader"] = `unpacking it failed: ${error instanceof Error ? error.message : error}`;
  }
  if (swiftshader && !hasLoader(env)) {
    result.env["LD_LIBRARY_PATH"] = [swiftshader, env["LD_LIBRARY_PATH"]].filter(Boolean).join(":");
  }
  if (chosen) return result;

  const lavapipe = findLavapipe();
  const icds = [];
  if (lavapipe.icd) icds.push(lavapipe.icd);
  else result.missing["lavapipe"] = lavapipe.reason;
  if (swiftshader) icds.push(join(swiftshader, "vk_swiftshader_icd.json"));
  if (icds.length) {
    result.env["VK_ICD_FILENAMES"] = icds.join(":");
    const flags = env["DAWN_GPU_FLAGS"] ?? "";
    if (!flags.includes("disable-dawn-features")) result.env["DAWN_GPU_FLAGS"] = `${flags} ${zerosInCode}`.trim();
  }
  if (lavapipe.icd && !all && !env["WEBLDM_ADAPTER"]) result.env["WEBLDM_ADAPTER"] = "llvmpipe";
  result.adapters = adaptersOf(icds.join(":"));
  return result;
}

/**
 * The test adapters behind a list of driver files.
 * @param {string} icds
 * @returns {Vulkan["adapters"]}
 */
function adaptersOf(icds) {
  const names = icds
    .split(":")
    .filter(Boolean)
    .map((file) => basename(file));
  /** @type {Vulkan["adapters"]} */
  const adapters = [];
  if (names.some((name) => name.includes("swiftshader"))) adapters.push("swiftshader");
  if (names.some((name) => name.startsWith("lvp"))) adapters.push("lavapipe");
  if (names.some((name) => !softwareIcd.test(name))) adapters.push("gpu");
  return adapters;
}

/** A driver file alone proves nothing (Mesa installs those of every vendor); a device node must be there as well. */
function hasHardware() {
  const device =
    existsSync("/dev/nvidiactl") ||
    existsSync("/dev/nvidia0") ||
    list("/dev/dri").some((name) => name.startsWith("renderD"));
  return (
    device &&
    icdFolders.some((folder) => list(folder).some((name) => name.endsWith(".json") && !softwareIcd.test(name)))
  );
}

/**
 * Whether the dynamic loader finds libvulkan.so.1 without help.
 * @param {NodeJS.ProcessEnv} env
 */
function hasLoader(env) {
  const name = "libvulkan.so.1";
  const folders = [
    ...(env["LD_LIBRARY_PATH"] ?? "").split(":").filter(Boolean),
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
  ];
  if (folders.some((folder) => existsSync(join(folder, name)))) return true;
  try {
    const cached = readFileSync("/etc/ld.so.cache", "latin1").match(/\/[\w./+-]*\/libvulkan\.so\.1(?=\0)/g) ?? [];
    return cached.some((file) => existsSync(file));
  } catch {
    return existsSync(`/usr/lib/x86_64-linux-gnu/${name}`);
  }
}

/** Mesa's software driver. Dawn takes it from Mesa 25 (Vulkan 1.4) on; it refuses the one of Debian 12 itself (22.3). */
function findLavapipe() {
  for (const folder of icdFolders) {
    for (const name of list(folder)) {
      if (!name.startsWith("lvp") || !name.endsWith(".json")) continue;
      const icd = join(folder, name);
      try {
        const version = String(JSON.parse(readFileSync(icd, "utf8")).ICD.api_version);
        const [major = 0, minor = 0] = version.split(".").map(Number);
        if (major > 1 || minor >= 4) return { icd, reason: "" };
        return { icd: undefined, reason: `the system's lavapipe speaks Vulkan ${version}, Dawn needs 1.4 (Mesa 25)` };
      } catch {
        return { icd: undefined, reason: `${icd} cannot be read` };
      }
    }
  }
  return {
    icd: undefined,
    reason: "lavapipe is not installed (Debian: mesa-vulkan-drivers 25 from bookworm-backports)",
  };
}

/** @param {string} folder */
function list(folder) {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** The folder of SwiftShader's driver and of a Vulkan loader, unpacked from @sparticuz/chromium if that is installed. */
export async function unpackSwiftShader() {
  return unpack("swiftshader", [{ archive: "swiftshader.tar.br" }]);
}

/**
 * The browser of @sparticuz/chromium with everything it needs on a bare machine.
 * @returns {Promise<{ executable: string, env: Record<string, string> } | undefined>}
 */
export async function unpackChromium() {
  const folder = await unpack("chromium", [
    { archive: "swiftshader.tar.br" },
    { archive: "al2023.tar.br" },
    { archive: "fonts.tar.br" },
    { archive: "chromium.br", file: "chromium" },
  ]);
  if (!folder) return undefined;
  return {
    executable: join(folder, "chromium"),
    env: {
      LD_LIBRARY_PATH: [join(folder, "lib"), folder, process.env["LD_LIBRARY_PATH"]].filter(Boolean).join(":"),
      ...(existsSync("/etc/fonts/fonts.conf") ? {} : { FONTCONFIG_PATH: folder }),
    },
  };
}

/**
 * Unpacks archives of @sparticuz/chromium, once, into a folder that appears complete or not at all, so that processes
 * which start together do not meet half a library.
 * @param {string} name
 * @param {{ archive: string, file?: string }[]} parts
 * @returns {Promise<string | undefined>} the folder, undefined when the package is not installed
 */
async function unpack(name, parts) {
  const source = findPackage();
  if (!source) return undefined;
  const version = JSON.parse(readFileSync(join(source, "package.json"), "utf8")).version;
  const cache = cacheFolder();
  const folder = join(cache, `${name}-${version}`);
  if (existsSync(folder)) return folder;
  const partial = `${folder}.${process.pid}.${Date.now()}`;
  try {
    for (const { archive, file } of parts) {
      const bytes = await promisify(brotliDecompress)(readFileSync(join(source, "bin", archive)));
      const entries = file ? [{ path: file, mode: 0o755, bytes }] : untar(bytes);
      for (const entry of entries) {
        const path = join(partial, entry.path);
        mkdirSync(dirname(path), { recursive: true });
        writeFileSync(path, entry.bytes);
        chmodSync(path, entry.mode);
      }
    }
    if (name === "chromium") useFontsOf(partial, folder);
    renameSync(partial, folder);
  } catch (error) {
    rmSync(partial, { recursive: true, force: true });
    if (!existsSync(folder)) throw error; // another process was faster otherwise
  }
  return folder;
}

/**
 * The package's font configuration names the folder it expects to be unpacked to; ours is another.
 * @param {string} partial
 * @param {string} folder
 */
function useFontsOf(partial, folder) {
  const lines = ['<?xml version="1.0"?>', '<!DOCTYPE fontconfig SYSTEM "fonts.dtd">', "<fontconfig>"];
  lines.push(
    `  <dir>${join(folder, "fonts")}</dir>`,
    `  <cachedir>${join(folder, "fontCache")}</cachedir>`,
    "</fontconfig>",
  );
  writeFileSync(join(partial, "fonts.conf"), `${lines.join("\n")}\n`);
}

/** @returns {string | undefined} */
function findPackage() {
  try {
    let folder = dirname(createRequire(import.meta.url).resolve("@sparticuz/chromium"));
    while (!existsSync(join(folder, "bin", "swiftshader.tar.br"))) {
      if (folder === dirname(folder)) return undefined;
      folder = dirname(folder);
    }
    return folder;
  } catch {
    return undefined;
  }
}

/** Beside the packages where that can be written; else a folder of this user's own among the temporary ones. */
function cacheFolder() {
  const local = join(root, "node_modules", ".cache", "webldm");
  try {
    mkdirSync(local, { recursive: true });
    return local;
  } catch {
    const own = join(tmpdir(), `webldm-${userInfo().uid}`);
    mkdirSync(own, { recursive: true, mode: 0o700 });
    return own;
  }
}

/**
 * The files of a tar archive.
 * @param {Buffer} bytes
 */
function* untar(bytes) {
  /** @param {number} start @param {number} length */
  const text = (start, length) => bytes.toString("utf8", start, start + length).replace(/\0.*$/s, "");
  for (let at = 0; at + 512 <= bytes.length && bytes[at] !== 0; ) {
    const size = Number.parseInt(text(at + 124, 12), 8) || 0;
    const type = text(at + 156, 1);
    if (type === "0" || type === "") {
      const prefix = text(at + 257, 5) === "ustar" ? text(at + 345, 155) : "";
      const path = join(prefix, text(at, 100));
      const mode = Number.parseInt(text(at + 100, 8), 8) & 0o777;
      yield { path, mode, bytes: bytes.subarray(at + 512, at + 512 + size) };
    }
    at += 512 + Math.ceil(size / 512) * 512;
  }
}
