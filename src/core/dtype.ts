/** Element types of tensors on the device. Weights of any other storage type are converted while they are uploaded. */
export type DType = "f32" | "f16" | "u32";

/** Bytes an element takes. */
export const dtypeBytes: Readonly<Record<DType, number>> = { f32: 4, f16: 2, u32: 4 };
