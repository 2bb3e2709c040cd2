// The part of the Chrome bench that runs in the page.
import { createEngine } from "../src/pipeline/engine.js";
import { folderFromUrl } from "../src/weights/folder.js";
import { runSuite, type SuiteOptions, type SuiteResult } from "./suite.js";

declare global {
  var webldmBench: (model: string, dtype: "f32" | "f16" | undefined, options: SuiteOptions) => Promise<SuiteResult>;
}

globalThis.webldmBench = async (model, dtype, options) => {
  const engine = await createEngine(dtype ? { dtype } : {});
  const { result } = await runSuite(engine, folderFromUrl(new URL(model, location.href).href), options);
  engine.dispose();
  return result;
};
