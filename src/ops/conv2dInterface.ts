/** Bindings and params that all forms of convolution share. */
export const conv2dInterface = {
  reads: ["x", "weight", "bias", "channelBias", "residual"],
  writes: ["y"],
  params: {
    rows: "u32",
    outputs: "u32",
    inner: "u32",
    channels: "u32",
    kernelWidth: "u32",
    height: "u32",
    width: "u32",
    gatherHeight: "u32",
    gatherWidth: "u32",
    outHeight: "u32",
    outWidth: "u32",
    stride: "u32",
    padTop: "i32",
    padLeft: "i32",
    firstRow: "u32",
    firstSource: "u32",
  },
} as const;

/** Constants of the forms whose options are folded when they compile. */
export const conv2dConsts = ["T", "W", "O", "RESIZE", "ACT_IN", "ACT", "BIAS", "CHANNEL_BIAS", "RESIDUAL"] as const;
