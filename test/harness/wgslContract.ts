import { join } from "node:path";
import { ResourceType, type VariableInfo, WgslReflect } from "wgsl_reflect/wgsl_reflect.module.js";
import type { Kernel } from "../../src/core/kernel.js";
import { filesBelow, root } from "./source.js";

/** The modules of src/ops by path. */
export async function opsModules(): Promise<{ file: string; module: Readonly<Record<string, unknown>> }[]> {
  return Promise.all(
    filesBelow("src/ops", ".ts").map(async (file) => ({
      file,
      module: (await import(/* @vite-ignore */ join(root, file))) as Readonly<Record<string, unknown>>,
    })),
  );
}

/** Exported kernels of a module: what has the shape that `defineKernel` gives. */
export function kernelsIn(module: Readonly<Record<string, unknown>>): Kernel[] {
  return Object.values(module).filter(isKernel);
}

function isKernel(value: unknown): value is Kernel {
  if (typeof value !== "object" || value === null) return false;
  return ["name", "code", "reads", "writes", "params", "consts"].every((key) => key in value);
}

/**
 * Where a kernel's declaration and its WGSL differ; empty when they agree. Only declarations are read: bodies of
 * functions are blanked, since the reflection does not know every extension. It parses, it does not validate.
 */
export function contractFaults(kernel: Kernel, code = String(kernel.code)): string[] {
  const faults: string[] = [];
  // Nor does it know types of matrices, which an alias may name.
  const declarations = blankBodies(
    code.replace(/\/\/[^\n]*/g, "").replace(/^alias \w+ = subgroup_matrix_[^;]*;/gm, ""),
  );
  const text = declarations.replace(/@workgroup_size\([^)]*\)/g, "@workgroup_size(1)"); // it reads no expressions there
  let reflected: WgslReflect;
  try {
    reflected = new WgslReflect(text);
  } catch (error) {
    return [`does not parse: ${error instanceof Error ? error.message : error}`];
  }
  const hasParams = Object.keys(kernel.params).length > 0;
  const expected = [
    ...kernel.reads.map((name) => ({ name, access: "storage, read" })),
    ...kernel.writes.map((name) => ({ name, access: "storage, read_write" })),
    ...(hasParams ? [{ name: "params", access: "uniform" }] : []),
  ];
  const bound = [...reflected.storage, ...reflected.uniforms, ...reflected.textures, ...reflected.samplers].sort(
    (a, b) => a.binding - b.binding,
  );
  for (let i = 0; i < Math.max(expected.length, bound.length); i++) {
    const want = expected[i] ? show(0, i, expected[i]!.name, expected[i]!.access) : "nothing";
    const got = bound[i] ? show(bound[i]!.group, bound[i]!.binding, bound[i]!.name, accessOf(bound[i]!)) : "nothing";
    if (want !== got) faults.push(`binding: the declaration says ${want}, the WGSL ${got}`);
  }

  const uniform = reflected.uniforms[0];
  if (hasParams && uniform) {
    const fields = (uniform.members ?? []).map((member) => `${member.name}: ${member.type.name}`);
    const wanted = Object.entries(kernel.params).map(([name, type]) => `${name}: ${type}`);
    if (uniform.type.name !== "Params")
      faults.push(`params: expected the struct Params, the WGSL has ${uniform.type.name}`);
    if (fields.join() !== wanted.join()) {
      faults.push(`params: the declaration says { ${wanted.join(", ")} }, the WGSL { ${fields.join(", ")} }`);
    }
  }

  for (const name of kernel.consts) {
    const count = text.match(new RegExp(`^(?:alias|const)\\s+${name}\\b`, "gm"))?.length ?? 0;
    if (count !== 1) faults.push(`consts: ${name} has ${count} top-level alias or const declarations, expected 1`);
  }
  const names = [...kernel.reads, ...kernel.writes, ...Object.keys(kernel.params), ...kernel.consts];
  for (const name of new Set(names.filter((n, i) => names.indexOf(n) !== i && kernel.reads.includes(n)))) {
    if (kernel.writes.includes(name) || kernel.reads.indexOf(name) !== kernel.reads.lastIndexOf(name)) {
      faults.push(`binding: ${name} is named twice`);
    }
  }
  if (!reflected.entry.compute.some((entry) => entry.name === "main"))
    faults.push("entry: there is no compute function main");
  return faults;
}

const show = (group: number, binding: number, name: string, access: string): string =>
  `@group(${group}) @binding(${binding}) var<${access}> ${name}`;

function accessOf(variable: VariableInfo): string {
  if (variable.resourceType === ResourceType.Uniform) return "uniform";
  if (variable.resourceType === ResourceType.Storage) return `storage, ${variable.access || "read"}`;
  return "texture or sampler";
}

/** Empties the bodies of functions, nothing else. */
export function blankBodies(code: string): string {
  let text = "";
  let at = 0;
  for (const match of code.matchAll(/\bfn\s+\w+\s*\(/g)) {
    if (match.index < at) continue;
    const open = bodyStart(code, match.index + match[0].length - 1);
    if (open < 0) break;
    text += `${code.slice(at, open)}{}`;
    at = closing(code, open) + 1;
  }
  return text + code.slice(at);
}

/** The brace after the parameters of a function, whose own attributes may hold brackets. */
function bodyStart(code: string, parameters: number): number {
  return code.indexOf("{", closing(code, parameters));
}

/** Where the bracket at a place closes. */
function closing(code: string, open: number): number {
  let depth = 0;
  for (let i = open; i < code.length; i++) {
    if ("({[".includes(code[i]!)) depth++;
    else if (")}]".includes(code[i]!) && --depth === 0) return i;
  }
  return code.length;
}

/** Shader files and kernels must pair up by name. */
export function pairingFaults(
  shaders: readonly string[],
  kernels: readonly { name: string; file: string }[],
): string[] {
  const faults: string[] = [];
  for (const shader of shaders) {
    const users = kernels.filter((kernel) => kernel.name === shader);
    if (users.length !== 1)
      faults.push(`shaders/${shader}.wgsl is used by ${users.length} kernels of its name, expected 1`);
  }
  for (const { name, file } of kernels) {
    if (!shaders.includes(name)) faults.push(`${file}: the kernel ${name} has no shaders/${name}.wgsl`);
  }
  return faults;
}
