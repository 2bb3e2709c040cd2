"""Tasks of latent diffusion that diffusers has no pipeline for, run by the CompVis code: test/golden/tasks/ldm_NAME.*

    python3 bench/reference/compvis_tasks.py --reference FOLDER [--filter NAME] [--out FOLDER] [--compare]

Weights follow from the names `ldm.KEY`, KEY being the checkpoint's; buffers of the schedule are not random. Noise comes
from PyTorch's global stream, as in the original, seeded with `seeds.global` before the first draw.
"""

import contextlib
import importlib.util
import json
import os

import torch

import seeded
from compvis_sampler import recording
from recorder import Recorder
from task import Runner, Task


def unet(channels_in, channels_out, size, **more):
    return {
        "target": "ldm.modules.diffusionmodules.openaimodel.UNetModel",
        "params": {
            "image_size": size,
            "in_channels": channels_in,
            "out_channels": channels_out,
            "model_channels": 32,
            "num_res_blocks": 1,
            "channel_mult": [1, 2],
            **more,
        },
    }


def transformer(depth, width, **heads):
    return {
        "attention_resolutions": [2, 1],
        "use_spatial_transformer": True,
        "transformer_depth": depth,
        "context_dim": width,
        **heads,
    }


def first_stage(kind, channels, **more):
    return {
        "target": f"ldm.models.autoencoder.{kind}",
        "params": {
            "embed_dim": channels,
            **more,
            "ddconfig": {
                "double_z": kind == "AutoencoderKL",
                "z_channels": channels,
                "resolution": 32,
                "in_channels": 3,
                "out_ch": 3,
                "ch": 32,
                "ch_mult": [1, 1, 1],
                "num_res_blocks": 1,
                "attn_resolutions": [],
                "dropout": 0.0,
            },
            "lossconfig": {"target": "torch.nn.Identity"},
        },
    }


VQ = first_stage("VQModelInterface", 3, n_embed=64)
KL = first_stage("AutoencoderKL", 4)


class SamplingTask(Task):
    """A task done by LatentDiffusion and its DDIM sampler."""

    def __init__(self, name, dtype=torch.float32, device="cpu"):
        super().__init__(f"ldm_{name}", "CompVis/latent-diffusion", torch.float32, device)
        self.precision = dtype

    @contextlib.contextmanager
    def inference(self):
        """The original's way to half precision: weights stay float32, and autocast rounds."""
        kind = torch.device(self.device).type
        exact = self.precision == torch.float32
        with torch.no_grad(), contextlib.nullcontext() if exact else torch.autocast(kind, dtype=self.precision):
            yield

    def ldm(self, **params):
        from ldm.models.diffusion.ddpm import LatentDiffusion

        config = {"timesteps": 1000, "image_size": 8, "use_ema": False, **params}
        with contextlib.redirect_stdout(None):
            model = LatentDiffusion(**json.loads(json.dumps(config)))
        for key, parameter in model.named_parameters():
            parameter.requires_grad_(False).copy_(seeded.weight(f"ldm.{key}", *parameter.shape))
        whole = {"target": "ldm.models.diffusion.ddpm.LatentDiffusion", "params": config}
        return self.adopt("ldm", model.eval(), whole)

    @contextlib.contextmanager
    def sampling(self, model, seed, sampler_class=None, **arguments):
        """Gives the sampler; notes noise and arguments."""
        from ldm.models.diffusion.ddim import DDIMSampler

        torch.manual_seed(seed)
        self.record["seeds"] = {"global": seed}
        self.record["arguments"] = arguments
        recorder = Recorder({None: "global"}, self.dtype)
        sampler = recording(sampler_class or DDIMSampler)(model)
        quiet = contextlib.redirect_stdout(None), contextlib.redirect_stderr(None)
        with self.inference(), quiet[0], quiet[1], recorder.hear_noise():
            yield sampler
        self.record["noise"] = recorder.noise
        self.record["timesteps"] = sampler.timesteps
        self.outputs["out.steps"] = torch.stack(sampler.steps)

    def decode(self, model, latent):
        """What the CompVis code hands to the decoder is the latent over scale_factor; VQ models quantise it there."""
        with self.inference():
            self.outputs["out.decoder_input"] = latent / model.scale_factor
            self.outputs["out.image"] = model.decode_first_stage(latent)

    def sample(self, model, seed, latent, condition, negative=None, **arguments):
        """latent: shape without the batch. arguments: steps, eta, guidance."""
        with self.sampling(model, seed, latent=list(latent), **arguments) as sampler:
            last, _ = sampler.sample(
                S=arguments["steps"],
                batch_size=1,
                shape=latent,
                conditioning=condition,
                unconditional_conditioning=negative,
                unconditional_guidance_scale=arguments.get("guidance", 1.0),
                eta=arguments["eta"],
                verbose=False,
            )
        self.decode(model, last)


RUNNER = Runner(__doc__, ["latent-diffusion", "taming-transformers"], SamplingTask, double=False)
task = RUNNER.task

# Name of a category by its number, and its box: left, top, width, height, as parts of the picture.
BOXES = [
    (17, (0.05, 0.10, 0.40, 0.55), {}),
    (3, (0.50, 0.25, 0.45, 0.70), {"is_occluded": True}),
    (128, (0.00, 0.80, 1.00, 0.20), {"is_group_of": True, "is_inside": True}),
    (353, (0.333, 0.667, 0.2, 0.1), {"is_depiction": True}),
]


def layout_tokens(t):
    from taming.data.conditional_builder.objects_bbox import ObjectsBoundingBoxConditionalBuilder
    from taming.data.helper_types import Annotation

    builder = ObjectsBoundingBoxConditionalBuilder(354, 30, 8192, True, True, True)
    annotations = [
        Annotation(
            **dict.fromkeys(("area", "image_id", "category_id", "id", "source", "confidence")),
            category_no=category,
            bbox=box,
            **{"is_group_of": False, "is_occluded": False, "is_depiction": False, "is_inside": False, **flags},
        )
        for category, box, flags in BOXES
    ]
    # `build` would shuffle them
    triples = builder._make_object_descriptors(annotations)
    tokens = [token for triple in triples for token in triple] + builder._crop_encoder((0.0, 0.0, 1.0, 1.0))
    t.record["inputs"]["boxes"] = {
        "categories": 354,
        "objects": 30,
        "tokens": 8192,
        "values": [{"category": category, "box": list(box), **flags} for category, box, flags in BOXES],
    }
    t.record["inputs"]["ids"] = {"shape": [1, len(tokens)], "values": tokens}
    return torch.tensor([tokens])


@task
def layout(t):
    model = t.ldm(
        linear_start=0.0015,
        linear_end=0.0205,
        cond_stage_key="coordinates_bbox",
        channels=3,
        conditioning_key="crossattn",
        cond_stage_trainable=True,
        unet_config=unet(3, 3, 8, **transformer(3, 16, num_head_channels=8)),
        first_stage_config=VQ,
        cond_stage_config={
            "target": "ldm.modules.encoders.modules.BERTEmbedder",
            "params": {"n_embed": 16, "n_layer": 2, "vocab_size": 8192, "max_seq_len": 92, "use_tokenizer": False},
        },
    )
    ids = layout_tokens(t).to(t.device)
    with t.inference():
        condition = model.get_learned_conditioning(ids)
    t.outputs["out.context"] = condition
    t.sample(model, 21, [3, 10, 8], condition, steps=5, eta=0.0)
    t.code_margin(model.first_stage_model)


@task
def retrieval(t):
    """One embedding of a text and three of neighbours; nothing is all zeros."""
    model = t.ldm(
        linear_start=0.0015,
        linear_end=0.015,
        cond_stage_key="nix",
        channels=4,
        conditioning_key="crossattn",
        scale_factor=0.22765929,
        unet_config=unet(4, 4, 8, **transformer(1, 16, num_head_channels=8)),
        first_stage_config=KL,
        cond_stage_config={"target": "torch.nn.Identity"},
    )
    condition = t.given("embeddings", "context", 1, 4, 16)
    condition = condition / condition.norm(dim=-1, keepdim=True)
    t.record["inputs"]["embeddings"]["then"] = "each of the 4 divided by its length"
    t.sample(model, 22, [4, 10, 8], condition, torch.zeros_like(condition), steps=5, eta=0.0, guidance=5.0)


@task
def semantic(t):
    """A map of classes, beyond the size that the model's configuration names, with eta 1."""
    model = t.ldm(
        linear_start=0.0015,
        linear_end=0.0205,
        cond_stage_key="segmentation",
        channels=3,
        concat_mode=True,
        cond_stage_trainable=True,
        unet_config=unet(6, 3, 8, attention_resolutions=[4], num_heads=8),
        first_stage_config=VQ,
        cond_stage_config={
            "target": "ldm.modules.encoders.modules.SpatialRescaler",
            "params": {"n_stages": 2, "in_channels": 12, "out_channels": 3},
        },
    )
    classes = t.given("classes", "tokens", 12, 1, 48, 64)
    t.record["inputs"]["classes"]["then"] = "one-hot, 12 channels"
    onehot = torch.nn.functional.one_hot(classes, 12).permute(0, 3, 1, 2).to(t.dtype)
    with t.inference():
        condition = model.get_learned_conditioning(onehot)
    t.outputs["out.concat"] = condition
    t.sample(model, 23, [3, 12, 16], condition, steps=5, eta=1.0)
    t.code_margin(model.first_stage_model)


@task
def image(t):
    """Image-to-image of the Stable Diffusion repository: `stochastic_encode`, then `decode` from there."""
    path = os.path.join(RUNNER.reference, "stable-diffusion/ldm/models/diffusion/ddim.py")
    spec = importlib.util.spec_from_file_location("stable_diffusion_ddim", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    model = t.ldm(
        linear_start=0.00085,
        linear_end=0.012,
        cond_stage_key="nix",
        channels=4,
        conditioning_key="crossattn",
        scale_factor=0.18215,
        unet_config=unet(4, 4, 8, **transformer(1, 16, num_heads=4, legacy=False)),
        first_stage_config=KL,
        cond_stage_config={"target": "torch.nn.Identity"},
    )
    condition = t.given("context", "context", 1, 7, 16)
    negative = t.given("negative_context", "context", 1, 7, 16)
    picture = t.given("image", "picture", 1, 3, 40, 32) * 2 - 1
    t.record["inputs"]["image"]["then"] = "2 x - 1"
    steps, strength, guidance = 6, 0.7, 4.0
    arguments = {"steps": steps, "strength": strength, "guidance": guidance, "eta": 0.0}
    with t.sampling(model, 24, module.DDIMSampler, **arguments) as sampler:
        sampler.make_schedule(steps, ddim_eta=0.0, verbose=False)
        latent = model.get_first_stage_encoding(model.encode_first_stage(picture))
        start = int(strength * steps)
        noisy = sampler.stochastic_encode(latent, torch.tensor([start], device=t.device))
        last = sampler.decode(
            noisy, condition, start, unconditional_guidance_scale=guidance, unconditional_conditioning=negative
        )
    t.outputs["out.start"] = noisy
    t.decode(model, last)


if __name__ == "__main__":
    RUNNER.main()
