import code from "../../shaders/attentionReference.wgsl";
import { defineKernel } from "../core/kernel.js";

/** The simplest correct form of `attention`, to compare the others with: given as its variant, and never chosen by itself. */
export const attentionReferenceKernel = defineKernel({
  name: "attentionReference",
  code,
  reads: ["q", "k", "v"],
  writes: ["y"],
  params: { queries: "u32", keys: "u32", headSize: "u32", scale: "f32", heads: "u32", count: "u32" },
  consts: ["T", "CAUSAL"],
});
