import { existsSync, statSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { invariant } from "../core/invariant.js";
import { findComponent } from "../weights/checkpoint.js";
import type { Component, Translation } from "../weights/component.js";
import { folderFromPath, fromFile } from "../weights/node.js";
import { openWeights } from "../weights/openWeights.js";
import { filesBelow, isWeights } from "./modelFiles.js";

/** A model to be converted. Only headers of its weights have been read. */
export interface ModelInput {
  readonly components: readonly Component[];
  /** Files that go along as they are, by their path in the model. */
  readonly copies: ReadonlyMap<string, string>;
  /** Files that do not go along: other forms of the same weights, and what no model needs. */
  readonly leftOut: readonly string[];
}

/** Configurations, vocabularies and what people are to read. */
const isText = (path: string): boolean => /\.(json|txt|model|md|ya?ml|jinja)$|(^|\/)[^./]+$/i.test(path);
const isIndex = (path: string): boolean => /\.index(\.\w+)?\.json$/.test(path);

/** A model in diffusers layout, or a single file of weights, which `translate` may know how to take apart. */
export async function openModel(path: string, translate?: Translation, signal?: AbortSignal): Promise<ModelInput> {
  invariant(existsSync(path), `${path}: expected a file of weights or a folder, it does not exist`);
  if (statSync(path).isDirectory()) return openModelFolder(path);
  const weights = await openWeights(await fromFile(path), signal);
  invariant(weights.tensors.size > 0, `${path}: expected a file of weights, it holds no tensors`);
  const translated = await translate?.(weights, signal);
  const { tensors, metadata } = weights;
  return { components: translated ?? [{ path: "", tensors, metadata }], copies: new Map(), leftOut: [] };
}

async function openModelFolder(path: string): Promise<ModelInput> {
  const folder = await folderFromPath(path);
  const files = (await filesBelow(path)).map((file) => relative(path, file).split(sep).join("/"));
  const places = new Set(files.filter((file) => isWeights(file) || isIndex(file)).map(folderOf));
  const components: Component[] = [];
  const used = new Set<string>();
  for (const place of places) {
    const found = await findComponent(folder, place);
    if (!found) continue;
    components.push({ path: place, ...found });
    for (const { source } of found.tensors.values()) used.add(source.name);
  }
  invariant(
    components.length > 0,
    `${path}: expected a model in diffusers layout, it holds no weights under the names of diffusers or transformers`,
  );
  const copies = new Map<string, string>();
  const leftOut: string[] = [];
  for (const file of files) {
    const at = join(path, file);
    if (isIndex(file) || used.has(at)) continue;
    if (isText(file)) copies.set(file, at);
    else leftOut.push(file);
  }
  return { components, copies, leftOut };
}

const folderOf = (file: string): string => (file.includes("/") ? dirname(file) : "");
