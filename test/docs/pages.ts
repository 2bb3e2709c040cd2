import { existsSync } from "node:fs";
import { join } from "node:path";
import { filesBelow, root } from "../harness/source.js";

const top = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "SECURITY.md"];

/** The pages people read, in Markdown, relative to the root. */
export const pages: readonly string[] = [
  ...top.filter((name) => existsSync(join(root, name))),
  ...filesBelow("docs", ".md"),
  ...filesBelow("bench", ".md"),
  ...filesBelow("test", ".md"),
  ...filesBelow("weights", ".md"),
];
