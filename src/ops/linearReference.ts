import code from "../../shaders/linearReference.wgsl";
import { defineKernel } from "../core/kernel.js";
import { linearConsts, linearInterface } from "./linearInterface.js";

/** The simplest correct form of `linear`, to compare the others with: given as its variant, and never chosen by itself. */
export const linearReferenceKernel = defineKernel({
  name: "linearReference",
  code,
  ...linearInterface,
  consts: linearConsts,
});
