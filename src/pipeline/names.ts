import type { StoredTensor } from "../weights/safetensors.js";

/** Names that diffusers gave to the autoencoder's attention before it had one attention class, and those it has now. */
const attentionNames: Readonly<Record<string, string>> = {
  query: "to_q",
  key: "to_k",
  value: "to_v",
  proj_attn: "to_out.0",
};

/**
 * Tensors of an autoencoder, or of a UNet without context, under today's names. Most published Stable Diffusion checkpoints have the old ones in
 * `attentions.N.{query,key,value,proj_attn}`, some of them as 1 x 1 convolutions.
 */
export function modernNames(stored: ReadonlyMap<string, StoredTensor>): Map<string, StoredTensor> {
  const rename = (name: string) =>
    name.replace(
      /(\.attentions\.\d+\.)(query|key|value|proj_attn)(\.weight|\.bias)$/,
      (_all, before: string, part: string, after: string) => before + attentionNames[part] + after,
    );
  return new Map([...stored].map(([name, tensor]) => [rename(name), { ...tensor, name: rename(name) }]));
}
