import type { Plugin } from "esbuild";

export function wgslPlugin(): Plugin;
export function minifyWgsl(code: string): string;
