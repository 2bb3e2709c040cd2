import { defineKernel } from "../core/kernel.js";
import { conv2dConsts, conv2dInterface } from "./conv2dInterface.js";

/** The simplest correct form of `conv2d`: to compare the others with, and for odd channels on adapters that run on a CPU. */
export const conv2dReferenceKernel = defineKernel({
  name: "conv2dReference",
  code: () => import("../../shaders/conv2dReference.wgsl"),
  ...conv2dInterface,
  consts: conv2dConsts,
});
