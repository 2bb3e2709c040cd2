/** Bindings and params that the forms of a linear map share. */
export const linearInterface = {
  reads: ["x", "weight", "bias", "channelBias", "residual"],
  writes: ["y"],
  params: { rows: "u32", outputs: "u32", inner: "u32", imageRows: "u32" },
} as const;

/** Constants of the forms whose options are folded when they compile. */
export const linearConsts = ["T", "W", "O", "ACT_IN", "ACT", "BIAS", "CHANNEL_BIAS", "RESIDUAL", "GATED"] as const;
