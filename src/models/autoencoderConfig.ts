import { invariant, UnsupportedError } from "../core/invariant.js";
import { Fields } from "../core/json.js";

/**
 * A first stage of the paper (§3.1) as `vae/config.json` (AutoencoderKL) or `vqvae/config.json` (VQModel) describes it:
 * regularised by a KL term, or by a codebook in front of the decoder.
 */
export interface AutoencoderConfig {
  /** What regularises the latent: a KL term, or a codebook. */
  readonly kind: "kl" | "vq";
  /** Channels of the pictures that are encoded. */
  readonly inChannels: number;
  /** Channels of the pictures that are decoded. */
  readonly outChannels: number;
  /** Channels of each level, highest resolution first. */
  readonly channels: readonly number[];
  /** Whether a level of the encoder has attention after each residual block; highest resolution first. */
  readonly encoderAttention: readonly boolean[];
  /** The same of the decoder, highest resolution first as well. */
  readonly decoderAttention: readonly boolean[];
  /** Residual blocks a level in the encoder; one more in the decoder. */
  readonly layers: number;
  /** Channels of the latent, as the denoiser sees it. */
  readonly latentChannels: number;
  /** Channels between the network proper and the 1 x 1 convolution at the latent. */
  readonly innerChannels: number;
  /** Groups of every norm. */
  readonly groups: number;
  /** The denoiser sees (latent - shift) * scale. */
  readonly scalingFactor: number;
  /** Taken from the latent before it is scaled; mostly 0. */
  readonly shiftFactor: number;
  /** There is a 1 x 1 convolution after the encoder. */
  readonly quantConv: boolean;
  /** There is a 1 x 1 convolution before the decoder. */
  readonly postQuantConv: boolean;
  /** There is attention at the lowest resolution. */
  readonly midAttention: boolean;
  /** Entries of the codebook; 0 without one. */
  readonly codes: number;
}

/** @throws UnsupportedError for a feature that is not built yet, WebldmError for an impossible value; both name the field. */
export function parseAutoencoderConfig(json: unknown, file = "vae/config.json"): AutoencoderConfig {
  const f = new Fields(json, file);
  const channels = f.counts("block_out_channels");
  const expected: readonly [string, readonly unknown[]][] = [
    ["_class_name", ["AutoencoderKL", "VQModel"]],
    ["act_fn", ["silu", "swish"]],
    ["norm_type", ["group"]],
    ["lookup_from_codebook", [false]],
    ["latents_mean", []],
    ["latents_std", []],
  ];
  for (const [name, allowed] of expected) {
    const value = f.raw(name);
    if (value !== undefined && !allowed.includes(value)) {
      throw new UnsupportedError(`${file}: ${name} is ${JSON.stringify(value)}, which is not supported yet`);
    }
  }
  const encoderAttention = levelAttention(f, "down_block_types", "DownEncoderBlock2D", channels.length);
  const decoderAttention = levelAttention(f, "up_block_types", "UpDecoderBlock2D", channels.length).toReversed();
  const groups = f.count("norm_num_groups", 32);
  for (const c of channels) invariant(c % groups === 0, `${file}: ${c} channels do not split into ${groups} groups`);
  const shared = {
    inChannels: f.count("in_channels", 3),
    outChannels: f.count("out_channels", 3),
    channels,
    encoderAttention,
    decoderAttention,
    layers: f.count("layers_per_block", 1),
    groups,
    shiftFactor: f.number("shift_factor", 0),
    midAttention: f.boolean("mid_block_add_attention", true),
  };
  if (f.raw("_class_name") === "VQModel") {
    const innerChannels = f.count("latent_channels", 3);
    return {
      ...shared,
      kind: "vq",
      innerChannels,
      latentChannels: f.count("vq_embed_dim", innerChannels),
      // The class's default suits the Stable Diffusion models; published VQ models leave the field out and mean 1.
      scalingFactor: f.number("scaling_factor", 1),
      quantConv: true,
      postQuantConv: true,
      codes: f.count("num_vq_embeddings", 256),
    };
  }
  const latentChannels = f.count("latent_channels", 4);
  return {
    ...shared,
    kind: "kl",
    innerChannels: latentChannels,
    latentChannels,
    scalingFactor: f.number("scaling_factor", 0.18215),
    quantConv: f.boolean("use_quant_conv", true),
    postQuantConv: f.boolean("use_post_quant_conv", true),
    codes: 0,
  };
}

/** Which blocks have attention, in the file's order: `Attn` in front of the plain block's name. */
function levelAttention(f: Fields, name: string, plain: string, levels: number): boolean[] {
  const types = f.strings(name);
  const odd = types.find((type) => type !== plain && type !== `Attn${plain}`);
  if (odd) throw new UnsupportedError(`${f.file}: block type ${odd} is not supported yet, expected ${plain}`);
  invariant(types.length === levels, `${f.file}: ${name} has ${types.length} entries for ${levels} levels`);
  return types.map((type) => type !== plain);
}

/** Pixels per latent pixel along each side. */
export const downsampling = ({ channels }: { readonly channels: readonly number[] }): number =>
  2 ** (channels.length - 1);
