import type { DType } from "./dtype.js";

/** The shape of a convolution of 3 x 3 taps and stride 1. */
export interface WinogradShape {
  /** Images, N. */
  readonly images: number;
  /** Height of the output. */
  readonly outHeight: number;
  /** Width of the output. */
  readonly outWidth: number;
  /** Channels of the input. */
  readonly channels: number;
  /** Channels of the output. */
  readonly outputs: number;
}

/** What the forms of convolution have in common, for the whole output; of tensors of a graph. */
export interface WinogradCall<Tensor> {
  /** What the convolution reads: the input, the weight, and what is added to the result. */
  readonly reads: Readonly<Record<"x" | "weight", Tensor>> &
    Readonly<Record<"bias" | "channelBias" | "residual", Tensor | undefined>>;
  /** Where the result goes. */
  readonly y: Tensor;
  /** Its shape. */
  readonly shape: WinogradShape;
  /** Size of the input, the size it is read as if resized to, and zeros before its first row and column. */
  readonly gather: Readonly<Record<"height" | "width" | "gatherHeight" | "gatherWidth" | "padTop" | "padLeft", number>>;
  /** Types, and codes of what is fused with the convolution. */
  readonly consts: Readonly<Record<"T" | "W" | "O", DType>> &
    Readonly<Record<"RESIZE" | "ACT_IN" | "ACT" | "BIAS" | "CHANNEL_BIAS" | "RESIDUAL", number>>;
}

/** Winograd's form of convolution, `ops/conv2dWinograd.ts`: fetched for devices that may take it, GPUs without matrix units. */
export interface WinogradForm<Tensor> {
  /** Whether a convolution can be computed so. */
  takes(x: Tensor, shape: WinogradShape): boolean;
  /** Whether that is likely to be the faster way, by a margin. */
  prefers(x: Tensor, shape: WinogradShape): boolean;
  /** Records it. */
  emit(call: WinogradCall<Tensor>): void;
}
