import code from "../../shaders/conv2dReference.wgsl";
import { defineKernel } from "../core/kernel.js";
import { conv2dConsts, conv2dInterface } from "./conv2dInterface.js";

/** The simplest correct form of `conv2d`, to compare the others with: given as its variant, and never chosen by itself. */
export const conv2dReferenceKernel = defineKernel({
  name: "conv2dReference",
  code,
  ...conv2dInterface,
  consts: conv2dConsts,
});
