import { studio } from "./engine.js";
import { adapter, drawing, shown, technical, trouble } from "./state.js";
import { troubleOf } from "./trouble.js";

/** Times the kernels of a step like those of the last picture, for the technical drawer. */
export async function profileStep(): Promise<void> {
  if (!adapter.value?.timestamps || !shown.value || drawing.value) return;
  try {
    technical.kernels.value = await studio().profile();
  } catch (error) {
    trouble.value = troubleOf(error, "drawing");
  }
}
