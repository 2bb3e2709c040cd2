import { unet } from "../../models/unet.js";
import { parseUNetConfig } from "../../models/unetConfig.js";
import { affine } from "../../ops/affine.js";
import { concat } from "../../ops/concat.js";
import { type PredictionType, samplerStep, scalarCount } from "../../ops/samplerStep.js";
import type { Part } from "../../pipeline/compvis/translate.js";
import { type SamplerPath, stepScalars } from "../../sampling/sampler.js";
import type { Lab, Recorder } from "./lab.js";
import type { Values } from "./values.js";

/** What a denoiser is told; pictures are [N, H, W, C]. */
interface Given {
  /** Joined to the latent's channels. */
  readonly joined?: Values;
  readonly context?: Values;
  readonly labels?: Values;
}

/** One evaluation of a UNet in diffusers' form. */
export async function evaluate(
  lab: Lab,
  { config: json, tensors: weights }: Part,
  given: Given & { readonly x: Values; readonly t: Values },
): Promise<Values> {
  const config = parseUNetConfig(json);
  const { x, t, joined, context, labels } = given;
  const { eps } = await lab.run({ weights, component: "unet" }, ({ scope, graph, input }) => {
    const conditions = {
      ...(context ? { context: input(context, graph.dtype) } : {}),
      ...(labels ? { labels: input(labels, "u32") } : {}),
    };
    const whole = joined ? concat(input(x), input(joined)) : input(x);
    return { eps: unet(scope, whole, input(t), conditions, config) };
  });
  return eps;
}

export interface Denoising extends Given {
  /** The first latent. */
  readonly start: Values;
  readonly path: SamplerPath;
  readonly prediction: PredictionType;
  readonly guidance: number;
  /** The context of the unconditional half. */
  readonly unconditional?: Values;
}

/** A whole denoising loop without noise on the way: the last latent. */
export async function denoise(lab: Lab, part: Part, denoising: Denoising): Promise<Values> {
  const { start, path, guidance } = denoising;
  const config = parseUNetConfig(part.config);
  const guided = guidance !== 1;
  const count = start.shape[0]! * (guided ? 2 : 1);
  const record = ({ scope, graph, input }: Recorder) => {
    const { joined, context, unconditional, prediction } = denoising;
    const x = graph.state("x", start.shape);
    const doubled = guided ? affine(x, { repeat: 2 }) : x;
    const condition = joined && (guided ? affine(input(joined), { repeat: 2 }) : input(joined));
    const contexts = guided && context && unconditional ? batch(unconditional, context) : context;
    const t = input({ shape: [count], data: new Float32Array(count) });
    const scalars = input({ shape: [scalarCount], data: new Float32Array(scalarCount) });
    const conditions = contexts ? { context: input(contexts, graph.dtype) } : {};
    const output = unet(scope, condition ? concat(doubled, condition) : doubled, t, conditions, config);
    const registers = path.registers > 0 ? graph.state("registers", [path.registers, ...start.shape]) : undefined;
    const x0 = samplerStep(x, output, scalars, { prediction, ...(registers ? { registers } : {}) });
    return { x, t, scalars, x0 };
  };
  const session = await lab.open({ weights: part.tensors, component: "unet" }, record);
  try {
    const { x, t, scalars } = session.tensors;
    session.write(x, start);
    session.run("prompt");
    for (const step of path.steps) {
      session.write(t, { shape: [count], data: new Float32Array(count).fill(step.timestep) });
      session.write(scalars, { shape: [scalarCount], data: stepScalars(step, guidance) });
      session.run("step");
    }
    return await session.read(x);
  } finally {
    session.dispose();
  }
}

/** Two tensors, one after the other along the first axis. */
function batch(a: Values, b: Values): Values {
  const [n, ...rest] = a.shape as [number, ...number[]];
  return { shape: [n + b.shape[0]!, ...rest], data: [...Array.from(a.data), ...Array.from(b.data)] };
}
