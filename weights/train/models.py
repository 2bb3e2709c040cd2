"""The networks, with the names and configurations of diffusers and transformers, so that weights move freely."""
import json
import math
import os

import torch
import torch.nn as nn
import torch.nn.functional as F

import files

UNET = dict(
    _class_name="UNet2DConditionModel", sample_size=16, in_channels=8, out_channels=8, center_input_sample=False,
    flip_sin_to_cos=True, freq_shift=0, down_block_types=["CrossAttnDownBlock2D"] * 3,
    mid_block_type="UNetMidBlock2DCrossAttn", up_block_types=["CrossAttnUpBlock2D"] * 3,
    block_out_channels=[128, 160, 160], layers_per_block=1, act_fn="silu", norm_num_groups=32, norm_eps=1e-5,
    cross_attention_dim=256, transformer_layers_per_block=1, attention_head_dim=4, use_linear_projection=False,
)
VAE = dict(
    _class_name="AutoencoderKL", in_channels=3, out_channels=3, down_block_types=["DownEncoderBlock2D"] * 4,
    up_block_types=["UpDecoderBlock2D"] * 4, block_out_channels=[48, 64, 96, 128], layers_per_block=1, act_fn="silu",
    latent_channels=8, norm_num_groups=16, sample_size=128, scaling_factor=1.0, use_quant_conv=True,
    use_post_quant_conv=True, mid_block_add_attention=True, force_upcast=True,
)
VQ = {**{k: v for k, v in VAE.items() if k not in ("use_quant_conv", "use_post_quant_conv", "force_upcast")},
      "_class_name": "VQModel", "num_vq_embeddings": 4096, "vq_embed_dim": 8, "lookup_from_codebook": False}
TEXT = dict(
    architectures=["CLIPTextModel"], model_type="clip_text_model", torch_dtype="float16", attention_dropout=0.0,
    bos_token_id=3070, eos_token_id=3071, pad_token_id=3071, vocab_size=3072, hidden_act="quick_gelu", hidden_size=256,
    intermediate_size=512, layer_norm_eps=1e-5, max_position_embeddings=32, num_attention_heads=4, num_hidden_layers=4,
    projection_dim=256, initializer_factor=1.0, initializer_range=0.02,
)


def attend(q, k, v, heads, causal=False):
    """Attention of [B, T, C] tensors; PyTorch 1.13 has no fused form."""
    b, t, c = q.shape
    q, k, v = (x.reshape(b, -1, heads, c // heads).transpose(1, 2) for x in (q, k, v))
    if hasattr(F, "scaled_dot_product_attention"):
        o = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
    else:
        w = q @ k.transpose(-1, -2) / math.sqrt(c // heads)
        if causal:
            w = w + torch.full((t, t), -math.inf).triu(1)
        o = w.softmax(-1) @ v
    return o.transpose(1, 2).reshape(b, t, c)


class Norm(nn.GroupNorm):
    """Group norm followed by SiLU."""
    def forward(self, x):
        return F.silu(super().forward(x))


class Resnet(nn.Module):
    def __init__(self, cin, cout, groups, eps, temb=None):
        super().__init__()
        self.norm1, self.conv1 = Norm(groups, cin, eps), nn.Conv2d(cin, cout, 3, padding=1)
        self.norm2, self.conv2 = Norm(groups, cout, eps), nn.Conv2d(cout, cout, 3, padding=1)
        if temb:
            self.time_emb_proj = nn.Linear(temb, cout)
        if cin != cout:
            self.conv_shortcut = nn.Conv2d(cin, cout, 1)

    def forward(self, x, temb=None):
        h = self.conv1(self.norm1(x))
        if temb is not None:
            h = h + self.time_emb_proj(temb)[:, :, None, None]
        h = self.conv2(self.norm2(h))
        return h + (self.conv_shortcut(x) if hasattr(self, "conv_shortcut") else x)


class Down(nn.Module):
    def __init__(self, c, asymmetric=False):
        super().__init__()
        self.asymmetric, self.conv = asymmetric, nn.Conv2d(c, c, 3, 2, 0 if asymmetric else 1)

    def forward(self, x):
        return self.conv(F.pad(x, (0, 1, 0, 1)) if self.asymmetric else x)


class Up(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv = nn.Conv2d(c, c, 3, padding=1)

    def forward(self, x):
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Attention(nn.Module):
    def __init__(self, c, heads, context=None, bias=False):
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(c, c, bias)
        self.to_k, self.to_v = nn.Linear(context or c, c, bias), nn.Linear(context or c, c, bias)
        self.to_out = nn.ModuleList([nn.Linear(c, c)])

    def forward(self, x, context=None):
        y = x if context is None else context
        return self.to_out[0](attend(self.to_q(x), self.to_k(y), self.to_v(y), self.heads))


class GEGLU(nn.Module):
    def __init__(self, c, inner):
        super().__init__()
        self.proj = nn.Linear(c, inner * 2)

    def forward(self, x):
        a, gate = self.proj(x).chunk(2, -1)
        return a * F.gelu(gate)


class FeedForward(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.net = nn.Sequential(GEGLU(c, c * 4), nn.Identity(), nn.Linear(c * 4, c))

    def forward(self, x):
        return self.net(x)


class TransformerBlock(nn.Module):
    def __init__(self, c, heads, context):
        super().__init__()
        self.norm1, self.attn1 = nn.LayerNorm(c), Attention(c, heads)
        self.norm2, self.attn2 = nn.LayerNorm(c), Attention(c, heads, context)
        self.norm3, self.ff = nn.LayerNorm(c), FeedForward(c)

    def forward(self, x, context):
        x = x + self.attn1(self.norm1(x))
        x = x + self.attn2(self.norm2(x), context)
        return x + self.ff(self.norm3(x))


class Transformer(nn.Module):
    def __init__(self, c, heads, context, groups):
        super().__init__()
        self.norm, self.proj_in = nn.GroupNorm(groups, c, 1e-6), nn.Conv2d(c, c, 1)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(c, heads, context)])
        self.proj_out = nn.Conv2d(c, c, 1)

    def forward(self, x, context):
        b, c, h, w = x.shape
        y = self.proj_in(self.norm(x)).permute(0, 2, 3, 1).reshape(b, h * w, c)
        for block in self.transformer_blocks:
            y = block(y, context)
        return x + self.proj_out(y.reshape(b, h, w, c).permute(0, 3, 1, 2))


class Block(nn.Module):
    """A level of a network: residual layers, attention after each where asked for, a change of resolution at its end."""
    def __init__(self, widths, groups, eps, temb=None, attention=None, down=None, up=None):
        super().__init__()
        self.resnets = nn.ModuleList([Resnet(a, b, groups, eps, temb) for a, b in widths])
        if attention:
            self.attentions = nn.ModuleList([Transformer(b, *attention, groups) for _, b in widths])
        if down:
            self.downsamplers = nn.ModuleList([down])
        if up:
            self.upsamplers = nn.ModuleList([up])


class UNet(nn.Module):
    def __init__(self, config=UNET):
        super().__init__()
        c = self.config = {**UNET, **config}
        w, n, g, eps = c["block_out_channels"], c["layers_per_block"], c["norm_num_groups"], c["norm_eps"]
        temb, context, heads = w[0] * 4, c["cross_attention_dim"], c["attention_head_dim"]
        attn = lambda kind: (heads, context) if "CrossAttn" in kind else None
        self.time_embedding = nn.Module()
        self.time_embedding.linear_1, self.time_embedding.linear_2 = nn.Linear(w[0], temb), nn.Linear(temb, temb)
        self.conv_in = nn.Conv2d(c["in_channels"], w[0], 3, padding=1)
        self.down_blocks, self.up_blocks, skips, last = nn.ModuleList(), nn.ModuleList(), [w[0]], w[0]
        for i, (b, kind) in enumerate(zip(w, c["down_block_types"])):
            end = i == len(w) - 1
            self.down_blocks.append(Block([(last if j == 0 else b, b) for j in range(n)], g, eps, temb, attn(kind),
                                          down=None if end else Down(b)))
            skips += [b] * (n if end else n + 1)
            last = b
        self.mid_block = Block([(last, last)] * 2, g, eps, temb)
        self.mid_block.attentions = nn.ModuleList([Transformer(last, heads, context, g)])
        for i, (b, kind) in enumerate(zip(reversed(w), c["up_block_types"])):
            widths = []
            for _ in range(n + 1):
                widths.append((last + skips.pop(), b))
                last = b
            self.up_blocks.append(Block(widths, g, eps, temb, attn(kind), up=None if i == len(w) - 1 else Up(b)))
        self.conv_norm_out, self.conv_out = Norm(g, w[0], eps), nn.Conv2d(w[0], c["out_channels"], 3, padding=1)
        half = w[0] // 2
        self.register_buffer("frequencies", torch.exp(-math.log(10000) * torch.arange(half) / half), persistent=False)

    def forward(self, x, t, context):
        a = t.float()[:, None] * self.frequencies[None]
        temb = torch.cat([a.cos(), a.sin()], 1).to(self.conv_in.weight.dtype)
        temb = F.silu(self.time_embedding.linear_2(F.silu(self.time_embedding.linear_1(temb))))
        x = self.conv_in(x)
        skips = [x]
        for block in self.down_blocks:
            for i, layer in enumerate(block.resnets):
                x = layer(x, temb)
                x = block.attentions[i](x, context) if hasattr(block, "attentions") else x
                skips.append(x)
            if hasattr(block, "downsamplers"):
                x = block.downsamplers[0](x)
                skips.append(x)
        x = self.mid_block.attentions[0](self.mid_block.resnets[0](x, temb), context)
        x = self.mid_block.resnets[1](x, temb)
        for block in self.up_blocks:
            for i, layer in enumerate(block.resnets):
                x = layer(torch.cat([x, skips.pop()], 1), temb)
                x = block.attentions[i](x, context) if hasattr(block, "attentions") else x
            if hasattr(block, "upsamplers"):
                x = block.upsamplers[0](x)
        return self.conv_out(self.conv_norm_out(x))


class VaeAttention(Attention):
    def __init__(self, c, groups):
        super().__init__(c, 1, bias=True)
        self.group_norm = nn.GroupNorm(groups, c, 1e-6)

    def forward(self, x):
        b, c, h, w = x.shape
        y = super().forward(self.group_norm(x).permute(0, 2, 3, 1).reshape(b, h * w, c))
        return x + y.reshape(b, h, w, c).permute(0, 3, 1, 2)


class Coder(nn.Module):
    """Encoder or decoder of an autoencoder."""
    def __init__(self, c, encode):
        super().__init__()
        w, n, g = c["block_out_channels"], c["layers_per_block"], c["norm_num_groups"]
        z = c["latent_channels"] * (2 if encode and c["_class_name"] == "AutoencoderKL" else 1)
        self.encode, blocks, order = encode, nn.ModuleList(), list(w) if encode else list(reversed(w))
        self.conv_in, last = nn.Conv2d(c["in_channels"] if encode else z, order[0], 3, padding=1), order[0]
        for i, b in enumerate(order):
            more = i < len(w) - 1
            blocks.append(Block([(last if j == 0 else b, b) for j in range(n if encode else n + 1)], g, 1e-6,
                                down=Down(b, True) if encode and more else None, up=Up(b) if not encode and more else None))
            last = b
        setattr(self, "down_blocks" if encode else "up_blocks", blocks)
        self.mid_block = Block([(w[-1], w[-1])] * 2, g, 1e-6)
        self.mid_block.attentions = nn.ModuleList([VaeAttention(w[-1], g)])
        self.conv_norm_out = Norm(g, last, 1e-6)
        self.conv_out = nn.Conv2d(last, z if encode else c["out_channels"], 3, padding=1)

    def middle(self, x):
        m = self.mid_block
        return m.resnets[1](m.attentions[0](m.resnets[0](x)))

    def forward(self, x):
        x = self.conv_in(x)
        if not self.encode:
            x = self.middle(x)
        for block in self.down_blocks if self.encode else self.up_blocks:
            for layer in block.resnets:
                x = layer(x)
            if hasattr(block, "downsamplers"):
                x = block.downsamplers[0](x)
            if hasattr(block, "upsamplers"):
                x = block.upsamplers[0](x)
        return self.conv_out(self.conv_norm_out(self.middle(x) if self.encode else x))


class Autoencoder(nn.Module):
    """KL: `moments` gives mean and log variance. Latents are those of the network, before scaling_factor."""
    def __init__(self, config=VAE):
        super().__init__()
        c = self.config = {**VAE, **config}
        z = c["latent_channels"]
        self.encoder, self.decoder = Coder(c, True), Coder(c, False)
        self.quant_conv, self.post_quant_conv = nn.Conv2d(2 * z, 2 * z, 1), nn.Conv2d(z, z, 1)

    def moments(self, x):
        mean, logvar = self.quant_conv(self.encoder(x)).chunk(2, 1)
        return mean, logvar.clamp(-30, 20)

    def encode(self, x):
        return self.moments(x)[0]

    def decode(self, z):
        return self.decoder(self.post_quant_conv(z))


class VQAutoencoder(nn.Module):
    """The twin with a codebook. `encode` gives the vector before quantisation, `decode` quantises it."""
    def __init__(self, config=VQ):
        super().__init__()
        c = self.config = {**VQ, **config}
        z, e = c["latent_channels"], c["vq_embed_dim"]
        self.encoder, self.decoder = Coder(c, True), Coder(c, False)
        self.quant_conv, self.post_quant_conv = nn.Conv2d(z, e, 1), nn.Conv2d(e, z, 1)
        self.quantize = nn.Module()
        self.quantize.embedding = nn.Embedding(c["num_vq_embeddings"], e)
        nn.init.uniform_(self.quantize.embedding.weight, -1 / c["num_vq_embeddings"], 1 / c["num_vq_embeddings"])

    def encode(self, x):
        return self.quant_conv(self.encoder(x))

    def quantise(self, z):
        """The nearest code words and their indices."""
        book = self.quantize.embedding.weight.float()
        flat = z.permute(0, 2, 3, 1).reshape(-1, z.shape[1]).float()
        index = (book.pow(2).sum(1)[None] - 2 * flat @ book.t()).argmin(1)
        b, c, h, w = z.shape
        return book[index].reshape(b, h, w, c).permute(0, 3, 1, 2), index

    def decode(self, z, quantised=False):
        return self.decoder(self.post_quant_conv(z if quantised else self.quantise(z)[0].to(z.dtype)))


class TextLayer(nn.Module):
    def __init__(self, c):
        super().__init__()
        d, self.heads = c["hidden_size"], c["num_attention_heads"]
        self.self_attn, self.mlp = nn.Module(), nn.Module()
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            setattr(self.self_attn, name, nn.Linear(d, d))
        self.layer_norm1, self.layer_norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.mlp.fc1, self.mlp.fc2 = nn.Linear(d, c["intermediate_size"]), nn.Linear(c["intermediate_size"], d)

    def forward(self, x):
        a, y = self.self_attn, self.layer_norm1(x)
        x = x + a.out_proj(attend(a.q_proj(y), a.k_proj(y), a.v_proj(y), self.heads, causal=True))
        y = self.mlp.fc1(self.layer_norm2(x))
        return x + self.mlp.fc2(y * torch.sigmoid(1.702 * y))


class TextModel(nn.Module):
    def __init__(self, config=TEXT):
        super().__init__()
        c = self.config = {**TEXT, **config}
        t = self.text_model = nn.Module()
        t.embeddings, t.encoder = nn.Module(), nn.Module()
        t.embeddings.token_embedding = nn.Embedding(c["vocab_size"], c["hidden_size"])
        t.embeddings.position_embedding = nn.Embedding(c["max_position_embeddings"], c["hidden_size"])
        t.encoder.layers = nn.ModuleList([TextLayer(c) for _ in range(c["num_hidden_layers"])])
        t.final_layer_norm = nn.LayerNorm(c["hidden_size"])
        for name, p in self.named_parameters():
            if p.dim() == 2:
                std = 0.02 if "embedding" in name else c["hidden_size"] ** -0.5 * (0.35 if "out_proj" in name or "fc2" in name else 1)
                nn.init.normal_(p, std=std)
            elif name.endswith("bias"):
                nn.init.zeros_(p)

    def forward(self, ids):
        t = self.text_model
        x = t.embeddings.token_embedding(ids) + t.embeddings.position_embedding.weight[None, : ids.shape[1]]
        for layer in t.encoder.layers:
            x = layer(x)
        return t.final_layer_norm(x)


CLASSES = {"UNet2DConditionModel": UNet, "AutoencoderKL": Autoencoder, "VQModel": VQAutoencoder, "CLIPTextModel": TextModel}


def load(folder, device="cpu"):
    """A network from a folder in diffusers layout, in float32."""
    config = json.load(open(os.path.join(folder, "config.json")))
    net = CLASSES[config.get("_class_name") or config["architectures"][0]](config)
    net.load_state_dict({k: v.float() for k, v in files.load_folder(folder).items() if "position_ids" not in k})
    return net.to(device).eval()


def save(net, folder, **changes):
    """Writes configuration and float16 weights in shards of at most 15 MB."""
    os.makedirs(folder, exist_ok=True)
    config = {**net.config, **changes}
    if "_class_name" in config:
        config["_diffusers_version"] = "0.40.0.dev0"
    files.write_json(os.path.join(folder, "config.json"), config)
    stem = "model" if isinstance(net, TextModel) else "diffusion_pytorch_model"
    files.save_sharded({k: v.detach().half() for k, v in net.state_dict().items()}, folder, stem)


def count(net):
    return sum(p.numel() for p in net.parameters())


def macs(net, *inputs):
    """Multiply-accumulates of a forward pass in convolutions, matrices and attention, counted by hooks."""
    total, handles = [0], []

    def hook(m, i, o):
        if isinstance(m, nn.Conv2d):
            total[0] += o.numel() * m.weight[0].numel()
        elif isinstance(m, nn.Linear):
            total[0] += o.numel() * m.in_features
        else:
            k = i[1].shape[1] if len(i) > 1 and i[1] is not None else i[0].shape[1]
            total[0] += 2 * i[0].shape[0] * i[0].shape[1] * k * m.to_q.out_features

    for m in net.modules():
        if isinstance(m, (nn.Conv2d, nn.Linear)) or type(m) is Attention:
            handles.append(m.register_forward_hook(hook))
    with torch.no_grad():
        net(*inputs)
    for h in handles:
        h.remove()
    return total[0]
