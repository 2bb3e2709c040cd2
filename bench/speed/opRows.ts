import { dtypeBytes } from "../../src/core/dtype.js";
import type { Device } from "../../src/gpu/device.js";
import { replay, type TimingOptions, timed } from "./clock.js";
import { elementsOf, type OpCase } from "./opCases.js";
import { planOf } from "./opPlan.js";
import type { Row } from "./row.js";

/** Times and errors of operators, one after the other. */
export async function opRows(
  device: Device,
  dtype: "f32" | "f16",
  cases: readonly OpCase[],
  options: TimingOptions = {},
): Promise<Row[]> {
  const rows: Row[] = [];
  for (const item of cases) {
    const op = await planOf(device, dtype, item);
    try {
      const time = await timed(device, replay(op.plan, "step"), options);
      const error = await op.error();
      const bytes = elementsOf(item) * dtypeBytes[dtype];
      rows.push({ id: item.id, time, flops: item.flops, bytes, error });
    } finally {
      op.dispose();
    }
  }
  return rows;
}
