import { ceilDiv } from "../core/shape.js";

/** Workgroups that a large GPU wants before it pays to make each of them bigger. */
const enough = 256;

/** Side of the output block of a workgroup: large blocks read less, small ones spread small products over more cores. */
export function chooseTile(rows: number, outputs: number): 16 | 32 | 64 {
  const groups = (tile: number) => ceilDiv(rows, tile) * ceilDiv(outputs, tile);
  if (groups(64) >= enough) return 64;
  return groups(32) >= enough / 8 ? 32 : 16;
}
