export interface Vulkan {
  /** Variables to add to the environment of the real process; empty: nothing to do. */
  readonly env: Record<string, string>;
  /** Adapters that the process will be able to open. */
  readonly adapters: ("gpu" | "swiftshader" | "lavapipe")[];
  /** Software adapters that are not there, and why. */
  readonly missing: Record<string, string>;
}

export function prepareVulkan(env?: NodeJS.ProcessEnv, options?: { all?: boolean }): Promise<Vulkan>;
export function unpackSwiftShader(): Promise<string | undefined>;
export function unpackChromium(): Promise<{ executable: string; env: Record<string, string> } | undefined>;
