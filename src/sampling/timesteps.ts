import { linspace, roundHalfEven, type SchedulerConfig } from "./schedule.js";

/** The timesteps that diffusers' DDIM, DDPM and PNDM visit, in falling order. */
export function timesteps(
  { spacing, stepsOffset, trainSteps }: Pick<SchedulerConfig, "spacing" | "stepsOffset" | "trainSteps">,
  steps: number,
): number[] {
  switch (spacing) {
    case "leading": {
      const stride = Math.floor(trainSteps / steps);
      return Array.from({ length: steps }, (_, i) => (steps - 1 - i) * stride + stepsOffset);
    }
    case "trailing": {
      const stride = trainSteps / steps;
      return Array.from({ length: steps }, (_, i) => roundHalfEven(trainSteps - i * stride) - 1);
    }
    case "linspace":
      return linspace(0, trainSteps - 1, steps)
        .map(roundHalfEven)
        .reverse();
  }
}

/** Timesteps of the original code in rising order: "uniform" may give more than asked for, "quad" may repeat some. */
export function compvisTimesteps(method: "uniform" | "quad", steps: number, trainSteps = 1000): number[] {
  if (method === "uniform") {
    const stride = Math.floor(trainSteps / steps);
    return Array.from({ length: Math.ceil(trainSteps / stride) }, (_, i) => i * stride + 1);
  }
  return linspace(0, Math.sqrt(trainSteps * 0.8), steps).map((root) => Math.floor(root * root) + 1);
}
