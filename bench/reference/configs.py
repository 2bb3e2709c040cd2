"""Configurations of the full-size models, and small ones of the same form to try the script with."""


def config_of(model):
    """The configuration of a model of diffusers as its config.json has it."""
    fields = {key: value for key, value in dict(model.config).items() if not key.startswith("_")}
    return {"_class_name": type(model).__name__, **fields}


_SD_UNET = {
    "sample_size": 64,
    "in_channels": 4,
    "out_channels": 4,
    "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
    "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
    "block_out_channels": [320, 640, 1280, 1280],
    "layers_per_block": 2,
    "attention_head_dim": 8,  # by its name in diffusers; it is the number of heads
    "cross_attention_dim": 768,
}
_SD2_UNET = {
    **_SD_UNET,
    "sample_size": 96,
    "attention_head_dim": [5, 10, 20, 20],
    "cross_attention_dim": 1024,
    "use_linear_projection": True,
    "upcast_attention": True,
}
_KL_F8 = {
    "sample_size": 512,
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
    "block_out_channels": [128, 256, 512, 512],
    "layers_per_block": 2,
    "latent_channels": 4,
    "scaling_factor": 0.18215,
}
_SCHEDULER = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}
_TEXT = {
    "vocab_size": 49408,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "max_position_embeddings": 77,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-05,
}
_TEXT2 = {
    **_TEXT,
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "num_hidden_layers": 23,
    "num_attention_heads": 16,
    "hidden_act": "gelu",
}

# Small, but with levels, groups of 32 and heads like the large ones. The lowest level has 2 x 2 pixels: with one, a norm
# over two values would give 1 and -1 whatever they are, and rounding alone could swap those.
_TINY_UNET = {"sample_size": 16, "block_out_channels": [32, 64, 64, 64], "layers_per_block": 1}
_TINY_KL = {"sample_size": 64, "block_out_channels": [32, 32, 64, 64], "layers_per_block": 1}
_TINY_TEXT = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}

DIFFUSERS = {
    "sd15": {
        "full": {"unet": _SD_UNET, "vae": _KL_F8, "text_encoder": _TEXT, "scheduler": _SCHEDULER},
        "tiny": {
            "unet": {**_SD_UNET, **_TINY_UNET, "attention_head_dim": 4, "cross_attention_dim": 32},
            "vae": {**_KL_F8, **_TINY_KL},
            "text_encoder": {**_TEXT, **_TINY_TEXT},
            "scheduler": _SCHEDULER,
        },
    },
    "sd21": {
        "full": {
            "unet": _SD2_UNET,
            "vae": {**_KL_F8, "sample_size": 768},
            "text_encoder": _TEXT2,
            "scheduler": {**_SCHEDULER, "prediction_type": "v_prediction"},
        },
        "tiny": {
            "unet": {**_SD2_UNET, **_TINY_UNET, "attention_head_dim": [2, 4, 4, 4], "cross_attention_dim": 32},
            "vae": {**_KL_F8, **_TINY_KL},
            "text_encoder": {**_TEXT2, **_TINY_TEXT},
            "scheduler": {**_SCHEDULER, "prediction_type": "v_prediction"},
        },
    },
}
AUTOENCODERS = {"kl-f8": {"full": _KL_F8, "tiny": {**_KL_F8, **_TINY_KL}}}


def _first_stage(kind, channels, ch, ch_mult, blocks, resolution, **more):
    return {
        "target": f"ldm.models.autoencoder.{kind}",
        "params": {
            "embed_dim": channels,
            **more,
            "ddconfig": {
                "double_z": kind == "AutoencoderKL",
                "z_channels": channels,
                "resolution": resolution,
                "in_channels": 3,
                "out_ch": 3,
                "ch": ch,
                "ch_mult": ch_mult,
                "num_res_blocks": blocks,
                "attn_resolutions": [],
                "dropout": 0.0,
            },
            "lossconfig": {"target": "torch.nn.Identity"},
        },
    }


def _txt2img(size, ch, blocks, context, text_layers, vocabulary, first_ch, resolution):
    return {
        "linear_start": 0.00085,
        "linear_end": 0.012,
        "timesteps": 1000,
        "cond_stage_key": "caption",
        "image_size": size,
        "channels": 4,
        "cond_stage_trainable": True,
        "conditioning_key": "crossattn",
        "scale_factor": 0.18215,
        "use_ema": False,
        "unet_config": {
            "target": "ldm.modules.diffusionmodules.openaimodel.UNetModel",
            "params": {
                "image_size": size,
                "in_channels": 4,
                "out_channels": 4,
                "model_channels": ch,
                "attention_resolutions": [4, 2, 1],
                "num_res_blocks": blocks,
                "channel_mult": [1, 2, 4, 4],
                "num_heads": 8,
                "use_spatial_transformer": True,
                "transformer_depth": 1,
                "context_dim": context,
                "legacy": False,
            },
        },
        "first_stage_config": _first_stage("AutoencoderKL", 4, first_ch, [1, 2, 4, 4], blocks, resolution),
        "cond_stage_config": {
            "target": "ldm.modules.encoders.modules.BERTEmbedder",
            # token ids are given: the tokenizer's files would have to be fetched
            "params": {"n_embed": context, "n_layer": text_layers, "vocab_size": vocabulary, "use_tokenizer": False},
        },
    }


def _cin(size, ch, blocks, context, codes, first_ch, resolution):
    return {
        "linear_start": 0.0015,
        "linear_end": 0.0195,
        "timesteps": 1000,
        "cond_stage_key": "class_label",
        "image_size": size,
        "channels": 3,
        "cond_stage_trainable": True,
        "conditioning_key": "crossattn",
        "use_ema": False,
        "unet_config": {
            "target": "ldm.modules.diffusionmodules.openaimodel.UNetModel",
            "params": {
                "image_size": size,
                "in_channels": 3,
                "out_channels": 3,
                "model_channels": ch,
                "attention_resolutions": [8, 4, 2],
                "num_res_blocks": blocks,
                "channel_mult": [1, 2, 3, 5],
                "num_heads": 1,
                "use_spatial_transformer": True,
                "transformer_depth": 1,
                "context_dim": context,
            },
        },
        "first_stage_config": _first_stage(
            "VQModelInterface", 3, first_ch, [1, 2, 4], blocks, resolution, n_embed=codes
        ),
        "cond_stage_config": {
            "target": "ldm.modules.encoders.modules.ClassEmbedder",
            "params": {"n_classes": 1001, "embed_dim": context, "key": "class_label"},
        },
    }


COMPVIS = {
    "txt2img-1p4B": {
        "full": _txt2img(32, 320, 2, 1280, 32, 30522, 128, 256),
        "tiny": _txt2img(16, 32, 1, 64, 2, 30522, 32, 128),
    },
    "cin256-v2": {"full": _cin(64, 192, 2, 512, 8192, 128, 256), "tiny": _cin(16, 32, 1, 64, 8192, 32, 64)},
}
GUIDANCE = {"sd15": 7.5, "sd21": 7.5, "txt2img-1p4B": 5.0, "cin256-v2": 3.0}
