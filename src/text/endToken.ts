import { invariant } from "../core/invariant.js";

/**
 * Where prompts end, as rows of all N * T tokens: that of the first end token of each, or of its largest id where no end
 * token is given (OpenAI's rule; in CLIP's vocabulary the end token is the largest).
 * @param ids N prompts of `length` ids, one after the other
 */
export function endRows(ids: ArrayLike<number>, length: number, endToken?: number): number[] {
  invariant(ids.length % length === 0, `${ids.length} ids are no prompts of ${length}`);
  return Array.from({ length: ids.length / length }, (_, prompt) => {
    const first = prompt * length;
    let end: number | undefined;
    for (let row = first; row < first + length && end === undefined; row++) if (ids[row] === endToken) end = row;
    if (endToken !== undefined) {
      invariant(end !== undefined, `prompt ${prompt}: has no end token ${endToken}`);
      return end;
    }
    let largest = first;
    for (let row = first; row < first + length; row++) if (ids[row]! > ids[largest]!) largest = row;
    return largest;
  });
}
