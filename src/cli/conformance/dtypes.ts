import { dirname, join } from "node:path";
import { toFloat32 } from "../../weights/decode.js";
import type { Case } from "./case.js";
import { type Check, compareExactly } from "./compare.js";
import { GoldenFile } from "./goldenFile.js";

/** `dtypes.safetensors`: tensors of every stored type; `X_as_f32` is what X decodes to. */
export function dtypesCase(path: string, name: string): Case {
  return {
    name,
    kind: "dtypes",
    async run() {
      const file = await GoldenFile.open(path);
      const checks: Check[] = [];
      for (const [tensor, { shape, dtype }] of file.tensors) {
        const decoded = await file.values(tensor); // every type decodes, to as many numbers as the shape says
        checks.push(
          compareExactly(
            `${tensor} size`,
            { shape: [1], data: [decoded.data.length] },
            { shape: [1], data: [shape.reduce((a, b) => a * b, 1)] },
          ),
        );
        if (file.has(`${tensor}_as_f32`))
          checks.push(compareExactly(`${tensor} (${dtype})`, decoded, await file.values(`${tensor}_as_f32`)));
      }
      if (file.has("f64") && file.has("f32")) {
        const { source, begin, end } = file.stored("f64");
        const rounded = { shape: file.stored("f64").shape, data: toFloat32(await source.read(begin, end), "F64") };
        checks.push(compareExactly("f64", rounded, await file.values("f32")));
      }
      return checks;
    },
  };
}

/** `pickle_NAME.ckpt`, as torch.save wrote it: its tensors are those of `pickle_expected.safetensors` beside it. */
export function pickleCase(path: string, name: string): Case {
  return {
    name,
    kind: "pickle",
    async run() {
      const expected = await GoldenFile.open(join(dirname(path), "pickle_expected.safetensors"));
      const actual = await GoldenFile.open(path);
      const checks = [
        compareExactly(
          "number of tensors",
          { shape: [1], data: [actual.tensors.size] },
          { shape: [1], data: [expected.tensors.size] },
        ),
      ];
      for (const [tensor, { dtype }] of expected.tensors) {
        const as = `${tensor} (${dtype})`;
        const known = actual.has(tensor) && actual.stored(tensor).dtype === dtype;
        checks.push(
          known
            ? compareExactly(as, await actual.values(tensor), await expected.values(tensor))
            : { tensor: as, metric: "exact", value: Number.NaN, limit: 0, reason: "missing, or of another type" },
        );
      }
      return checks;
    },
  };
}
