// The denoiser of `src/models/unet.ts`, of the kind that Stable Diffusion 1 has, once more for engines in general. It takes
// the sinusoids of the timestep, which the engines would otherwise each compute in their own way.
import type { UNetConfig } from "../../src/models/unetConfig.js";
import type { Net, Value } from "./net.js";

export function unetNet<V>(
  net: Net<V>,
  { down, mid, up, groups, eps, timeWidth, outChannels }: UNetConfig,
  latent: Value<V>,
  waves: Value<V>,
  context: Value<V>,
): Value<V> {
  const hidden = net.silu(net.linear(waves, "time_embedding.linear_1", timeWidth, true));
  const time = net.silu(net.linear(hidden, "time_embedding.linear_2", timeWidth, true));

  const block = (name: string, x: Value<V>, out: number): Value<V> => {
    const a = net.silu(net.groupNorm(x, `${name}.norm1`, groups, eps));
    const h = net.addChannels(
      net.conv(a, `${name}.conv1`, { out }),
      net.linear(time, `${name}.time_emb_proj`, out, true),
    );
    const b = net.conv(net.silu(net.groupNorm(h, `${name}.norm2`, groups, eps)), `${name}.conv2`, { out });
    return net.add(b, x.shape[3] === out ? x : net.conv(x, `${name}.conv_shortcut`, { out, kernel: 1 }));
  };

  const attend = (name: string, x: Value<V>, to: Value<V>, residual: Value<V>, heads: number): Value<V> => {
    const width = x.shape[2]!;
    const [q, k, v] = ["to_q", "to_k", "to_v"].map((part, i) =>
      net.linear(i === 0 ? x : to, `${name}.${part}`, width, false),
    );
    return net.add(net.linear(net.attention(q!, k!, v!, heads), `${name}.to_out.0`, width, true), residual);
  };

  const transformer = (name: string, x: Value<V>, heads: number, depth: number): Value<V> => {
    const [, height, width, out] = x.shape as readonly [number, number, number, number];
    const normed = net.groupNorm(x, `${name}.norm`, groups, 1e-6);
    let h = net.tokens(net.conv(normed, `${name}.proj_in`, { out, kernel: 1 }));
    for (let i = 0; i < depth; i++) {
      const at = `${name}.transformer_blocks.${i}`;
      const first = net.layerNorm(h, `${at}.norm1`, 1e-5);
      const a = attend(`${at}.attn1`, first, first, h, heads);
      const b = attend(`${at}.attn2`, net.layerNorm(a, `${at}.norm2`, 1e-5), context, a, heads);
      const wide = net.linear(net.layerNorm(b, `${at}.norm3`, 1e-5), `${at}.ff.net.0.proj`, 8 * out, true);
      h = net.add(net.linear(net.geglu(wide), `${at}.ff.net.2`, out, true), b);
    }
    return net.add(net.conv(net.picture(h, height, width), `${name}.proj_out`, { out, kernel: 1 }), x);
  };

  const follow = (name: string, x: Value<V>, attention: UNetConfig["mid"]["attention"]): Value<V> =>
    attention?.kind === "transformer" ? transformer(name, x, attention.heads, attention.depth) : x;

  let h = net.conv(latent, "conv_in", { out: down[0]!.channels });
  const skips = [h];
  for (const [level, { channels, blocks, attention, resampler }] of down.entries()) {
    const at = `down_blocks.${level}`;
    for (let i = 0; i < blocks; i++) {
      h = follow(`${at}.attentions.${i}`, block(`${at}.resnets.${i}`, h, channels), attention);
      skips.push(h);
    }
    if (!resampler) continue;
    h = net.conv(h, `${at}.downsamplers.0.conv`, { out: channels, stride: 2 });
    skips.push(h);
  }
  for (let i = 0; i < mid.blocks; i++) {
    h = block(`mid_block.resnets.${i}`, h, mid.channels);
    if (i === 0) h = follow("mid_block.attentions.0", h, mid.attention);
  }
  for (const [level, { channels, blocks, attention, resampler }] of up.entries()) {
    const at = `up_blocks.${level}`;
    for (let i = 0; i < blocks; i++) {
      const joined = net.concat(h, skips.pop()!);
      h = follow(`${at}.attentions.${i}`, block(`${at}.resnets.${i}`, joined, channels), attention);
    }
    if (resampler) h = net.conv(net.upsample(h), `${at}.upsamplers.0.conv`, { out: channels });
  }
  return net.conv(net.silu(net.groupNorm(h, "conv_norm_out", groups, eps)), "conv_out", { out: outChannels });
}
