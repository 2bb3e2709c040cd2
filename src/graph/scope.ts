import type { DType } from "../core/dtype.js";
import type { Shape } from "../core/shape.js";
import type { Graph, Tensor } from "./graph.js";

/**
 * A place in a checkpoint's name tree. Models walk it with the published names; what they ask for, with the shape that
 * the configuration implies, is collected by the graph and compared with the file before anything is uploaded.
 */
export class Scope {
  constructor(
    /** Where weights are asked for. */
    readonly graph: Graph,
    /** Names so far, joined by dots; "" at the top. */
    readonly path: string = "",
  ) {}

  /** A place further down: `w.at("down_blocks", 0)` is `down_blocks.0`. */
  at(...names: (string | number)[]): Scope {
    return new Scope(this.graph, [this.path, ...names].filter((name) => name !== "").join("."));
  }

  /** A matrix [O, I] or an embedding table, in the graph's element type. */
  matrix(name: string, shape: Shape): Tensor {
    return this.get(name, shape, "plain", this.graph.dtype);
  }

  /** A convolution's weight, [O, I, KH, KW] in the file and [O, KH, KW, I] on the device. */
  conv(name: string, shape: Shape): Tensor {
    return this.get(name, shape, "conv", this.graph.dtype);
  }

  /** A bias, or the scale of a norm: always float32, for it is small and exactness is cheap. */
  vector(name: string, length: number): Tensor {
    return this.get(name, [length], "plain", "f32");
  }

  private get(name: string, shape: Shape, layout: "plain" | "conv", dtype: DType): Tensor {
    return this.graph.weight({ name: this.at(name).path, shape, layout, dtype });
  }
}
