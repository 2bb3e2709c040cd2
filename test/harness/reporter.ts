import { writeFileSync } from "node:fs";
import type { Reporter, SerializedError, TestCase, TestModule, TestSuite } from "vitest/node";

/** What `scripts/test.mjs` prints after a run. */
export interface Report {
  passed: number;
  failed: number;
  skipped: { file: string; name: string; reason: string }[];
  /** Files that could not be read or set up, and errors outside of any test. */
  errors: string[];
}

/** Counts the tests and collects why some were skipped. */
export default class CountingReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    const report: Report = { passed: 0, failed: 0, skipped: [], errors: [] };
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const result = test.result();
        if (result.state === "passed") report.passed++;
        else if (result.state === "failed") report.failed++;
        else report.skipped.push({ file: module.moduleId, name: test.fullName, reason: reasonOf(test) });
      }
      const suites = [module, ...module.children.allSuites()];
      const errors = suites.flatMap((suite) => suite.errors());
      for (const error of errors) report.errors.push(`${module.moduleId}: ${error.message}`);
    }
    for (const error of unhandled) report.errors.push(`outside of the tests: ${error.message}`);
    const path = process.env["WEBLDM_REPORT"];
    if (path) writeFileSync(path, JSON.stringify(report));
  }
}

/** The note given to `skip(note)`, or the part in brackets of a suite's title: `describe.skip("lavapipe [not installed]")`. */
function reasonOf(test: TestCase): string {
  const result = test.result();
  if (result.state === "skipped" && result.note) return result.note;
  for (let at: TestCase | TestSuite | TestModule = test; at.type !== "module"; at = at.parent) {
    const reason = /\[(.+)\]$/.exec(at.name)?.[1];
    if (reason) return reason;
  }
  return result.state === "pending" ? "did not run" : "no reason given";
}
