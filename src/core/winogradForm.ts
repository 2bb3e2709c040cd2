import type { DType } from "./dtype.js";

/** The shape of a convolution of 3 x 3 taps and stride 1. */
export interface WinogradShape {
  readonly images: number;
  readonly outHeight: number;
  readonly outWidth: number;
  readonly channels: number;
  readonly outputs: number;
}

/** What the forms of convolution have in common, for the whole output; of tensors of a graph. */
export interface WinogradCall<Tensor> {
  readonly reads: Readonly<Record<"x" | "weight", Tensor>> &
    Readonly<Record<"bias" | "channelBias" | "residual", Tensor | undefined>>;
  readonly y: Tensor;
  readonly shape: WinogradShape;
  readonly gather: Readonly<Record<"height" | "width" | "gatherHeight" | "gatherWidth" | "padTop" | "padLeft", number>>;
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
