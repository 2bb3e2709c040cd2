"""Runs diffusers' pipelines on tiny random models and stores what they give: test/golden/tasks/NAME.*

    python3 bench/reference/tasks.py --reference FOLDER [--filter NAME] [--out FOLDER]
    python3 bench/reference/tasks.py --reference FOLDER --compare --dtype float16 [--note]

The first form writes the files, and notes how far a float64 run of the same code is from them. The second runs the
reference again in another type, or another version of it, and prints the PSNR against the files (`--note` keeps it).

Weights and inputs follow the rule of seeded.py and are not stored. The JSON says everything needed to repeat a task:
configurations, arguments, the inputs' rules, and each noise tensor in the order in which the pipeline drew it.
"""

import inspect

import torch

import seeded
from configs import config_of
from recorder import Recorder
from task import Runner, Task

# 10 x 8 in the latent space of factor 4: not square, and even at both levels of the denoiser.
HEIGHT, WIDTH = 40, 32
TOKENS, CONTEXT = 7, 16


# --- models -------------------------------------------------------------------------------------------------------

UNET = {
    "sample_size": 12,
    "in_channels": 4,
    "out_channels": 4,
    "down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"],
    "block_out_channels": [32, 64],
    "layers_per_block": 1,
    "norm_num_groups": 8,
    "attention_head_dim": 4,
    "cross_attention_dim": CONTEXT,
}
VAE = {
    "sample_size": HEIGHT,
    "down_block_types": ["DownEncoderBlock2D"] * 3,
    "up_block_types": ["UpDecoderBlock2D"] * 3,
    "block_out_channels": [16, 16, 32],
    "layers_per_block": 1,
    "norm_num_groups": 8,
    "latent_channels": 4,
    "scaling_factor": 0.18215,
}
VQ = {
    "down_block_types": ["DownEncoderBlock2D"] * 3,
    "up_block_types": ["UpDecoderBlock2D"] * 3,
    "block_out_channels": [16, 16, 32],
    "layers_per_block": 1,
    "norm_num_groups": 8,
    "latent_channels": 3,
    "num_vq_embeddings": 64,
    "scaling_factor": 1.0,
}
PLAIN_UNET = {
    "sample_size": 12,
    "in_channels": 3,
    "out_channels": 3,
    "down_block_types": ["DownBlock2D", "AttnDownBlock2D"],
    "up_block_types": ["AttnUpBlock2D", "UpBlock2D"],
    "block_out_channels": [32, 64],
    "layers_per_block": 1,
    "norm_num_groups": 8,
    "attention_head_dim": 8,
}
SD_BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
DDIM = {**SD_BETAS, "clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1}
DPM = {**SD_BETAS, "steps_offset": 1}
DDPM = {**SD_BETAS, "steps_offset": 1, "clip_sample": False}
PNDM = {**SD_BETAS, "skip_prk_steps": True, "set_alpha_to_one": False, "steps_offset": 1}


# --- one task -----------------------------------------------------------------------------------------------------


class PipelineTask(Task):
    """A task that one of diffusers' pipelines does."""

    def __init__(self, name, dtype=torch.float32, device="cpu"):
        import diffusers

        diffusers.utils.logging.set_verbosity_error()
        super().__init__(name, f"diffusers {diffusers.__version__}", dtype, device)
        self.diffusers = diffusers

    def model(self, role, class_name, config):
        model = seeded.fill(getattr(self.diffusers, class_name)(**config), role)
        return self.adopt(role, model, config_of(model))

    def scheduler(self, class_name, config, role="scheduler"):
        scheduler = getattr(self.diffusers, class_name)(**config)
        self.record[role] = config_of(scheduler)
        return scheduler

    def mask(self, rows, columns):
        """1 where the picture is to be made anew."""
        mask = torch.zeros(1, 1, HEIGHT, WIDTH)
        mask[:, :, rows[0] : rows[1], columns[0] : columns[1]] = 1
        self.record["inputs"]["mask"] = {
            "rule": "1 in rows [begin, end) and columns [begin, end), else 0",
            "shape": list(mask.shape),
            "rows": rows,
            "columns": columns,
        }
        return self.like_models(mask)

    def prompts(self, batch=1):
        return {
            "prompt_embeds": self.given("prompt_embeds", "context", batch, TOKENS, CONTEXT),
            "negative_prompt_embeds": self.given("negative_prompt_embeds", "context", batch, TOKENS, CONTEXT),
        }

    def run(self, pipeline, scheduler, autoencoder, seed, global_seed=None, tensors=None, call=None, **arguments):
        """tensors: arguments that are inputs, not recorded by value; call: the same for anything else."""
        generator = torch.Generator().manual_seed(seed)
        streams = {id(generator): "generator"}
        self.record["pipeline"] = type(pipeline).__name__
        self.record["arguments"] = arguments
        self.record["seeds"] = {"generator": seed}
        if global_seed is not None:
            torch.manual_seed(global_seed)
            streams[None] = "global"
            self.record["seeds"]["global"] = global_seed
        recorder = Recorder(streams, self.dtype)
        pipeline.set_progress_bar_config(disable=True)
        with recorder.listen(scheduler, autoencoder):
            given = {**(tensors or {}), **(call or {}), **arguments}
            pipeline(generator=generator, output_type="np", **given)
        self.record["noise"] = recorder.noise
        self.record["timesteps"] = recorder.timesteps
        self.outputs["out.steps"] = torch.stack(recorder.steps)
        self.outputs["out.decoder_input"] = recorder.decoded_from
        self.outputs["out.image"] = recorder.decoded


RUNNER = Runner(__doc__, ["diffusers/src"], PipelineTask)
task = RUNNER.task

# --- the tasks ----------------------------------------------------------------------------------------------------

def stable_diffusion(t, pipeline, unet=None, vae=None, scheduler=("DDIMScheduler", DDIM), **more):
    """A pipeline of the Stable Diffusion family without text encoder and safety checker."""
    scheduler = t.scheduler(*scheduler)
    parts = {
        "unet": t.model("unet", "UNet2DConditionModel", {**UNET, **(unet or {})}),
        "vae": t.model("vae", "AutoencoderKL", {**VAE, **(vae or {})}),
        "scheduler": scheduler,
        "text_encoder": None,
        "tokenizer": None,
        **more,
    }
    made = getattr(t.diffusers, pipeline)
    if "safety_checker" in inspect.signature(made.__init__).parameters and pipeline != "StableDiffusionUpscalePipeline":
        parts.update(safety_checker=None, feature_extractor=None, requires_safety_checker=False)
    return made(**parts), scheduler, parts["vae"]


def text_to_image(t, scheduler, config, batch=1, seed=11, unet=None, vae=None, size=(HEIGHT, WIDTH), **arguments):
    pipeline, scheduler, vae = stable_diffusion(
        t, "StableDiffusionPipeline", unet=unet, vae=vae, scheduler=(scheduler, config)
    )
    arguments = {"num_inference_steps": 5, "guidance_scale": 4.0, "height": size[0], "width": size[1], **arguments}
    t.run(pipeline, scheduler, vae, seed, tensors=t.prompts(batch), **arguments)


@task
def text_ddim(t):
    text_to_image(t, "DDIMScheduler", DDIM)


@task
def text_ddim_eta(t):
    text_to_image(t, "DDIMScheduler", DDIM, eta=0.7)


@task
def text_rescale(t):
    text_to_image(t, "DDIMScheduler", DDIM, guidance_scale=7.5, guidance_rescale=0.7)


@task
def text_zero_snr(t):
    config = {
        **DDIM,
        "prediction_type": "v_prediction",
        "timestep_spacing": "trailing",
        "rescale_betas_zero_snr": True,
    }
    # heads by level and linear projections, as in Stable Diffusion 2
    unet = {"attention_head_dim": [4, 8], "use_linear_projection": True}
    text_to_image(t, "DDIMScheduler", config, unet=unet, guidance_rescale=0.7)


@task
def text_pndm(t):
    text_to_image(t, "PNDMScheduler", PNDM, num_inference_steps=6)


@task
def text_dpm(t):
    text_to_image(t, "DPMSolverMultistepScheduler", DPM, num_inference_steps=6)


@task
def text_ddpm(t):
    text_to_image(t, "DDPMScheduler", DDPM)


@task
def text_batch(t):
    text_to_image(t, "DDIMScheduler", DDIM, batch=2, num_inference_steps=4)


@task
def text_factor8(t):
    vae = {
        "down_block_types": ["DownEncoderBlock2D"] * 4,
        "up_block_types": ["UpDecoderBlock2D"] * 4,
        "block_out_channels": [16, 16, 32, 32],
    }
    text_to_image(t, "DDIMScheduler", DDIM, vae=vae, size=(64, 48), guidance_scale=1.0)


def image_to_image(t, scheduler, config, **arguments):
    pipeline, scheduler, vae = stable_diffusion(t, "StableDiffusionImg2ImgPipeline", scheduler=(scheduler, config))
    tensors = {"image": t.given("image", "picture", 1, 3, HEIGHT, WIDTH), **t.prompts()}
    arguments = {"num_inference_steps": 6, "guidance_scale": 4.0, "strength": 0.6, **arguments}
    t.run(pipeline, scheduler, vae, 12, tensors=tensors, **arguments)


@task
def image_ddim(t):
    image_to_image(t, "DDIMScheduler", DDIM)


@task
def image_pndm(t):
    image_to_image(t, "PNDMScheduler", PNDM, num_inference_steps=8)


@task
def image_dpm(t):
    image_to_image(t, "DPMSolverMultistepScheduler", DPM, num_inference_steps=8)


def inpainting(t, channels, strength, scheduler="DDIMScheduler", config=None):
    pipeline, scheduler, vae = stable_diffusion(
        t,
        "StableDiffusionInpaintPipeline",
        unet={"in_channels": channels},
        scheduler=(scheduler, config or DDIM),
    )
    tensors = {
        "image": t.given("image", "picture", 1, 3, HEIGHT, WIDTH),
        "mask_image": t.mask([9, 30], [7, 23]),
        **t.prompts(),
    }
    arguments = {"num_inference_steps": 6, "guidance_scale": 4.0, "strength": strength}
    t.run(pipeline, scheduler, vae, 13, tensors=tensors, height=HEIGHT, width=WIDTH, **arguments)


@task
def inpaint9_full(t):
    inpainting(t, 9, 1.0)


@task
def inpaint9_part(t):
    inpainting(t, 9, 0.7)


@task
def inpaint4_full(t):
    inpainting(t, 4, 1.0)


@task
def inpaint4_part(t):
    inpainting(t, 4, 0.7, "PNDMScheduler", PNDM)


@task
def depth(t):
    pipeline, scheduler, vae = stable_diffusion(
        t,
        "StableDiffusionDepth2ImgPipeline",
        unet={"in_channels": 5},
        depth_estimator=None,
        feature_extractor=None,
    )
    tensors = {
        "image": t.given("image", "picture", 1, 3, HEIGHT, WIDTH),
        "depth_map": t.given("depth_map", "normal", 1, 30, 26),
        **t.prompts(),
    }
    arguments = {"num_inference_steps": 6, "guidance_scale": 4.0, "strength": 0.8}
    t.run(pipeline, scheduler, vae, 14, tensors=tensors, **arguments)


@task
def upscale(t):
    betas = {"beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "scaled_linear"}
    low = t.scheduler("DDPMScheduler", betas, role="low_res_scheduler")
    config = {**DDIM, **betas, "prediction_type": "v_prediction"}
    unet = {
        "in_channels": 7,
        "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
        "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
        "num_class_embeds": 100,
        "only_cross_attention": [True, False],
        "use_linear_projection": True,
    }
    pipeline, scheduler, vae = stable_diffusion(
        t,
        "StableDiffusionUpscalePipeline",
        unet=unet,
        vae={"scaling_factor": 0.08333},
        scheduler=("DDIMScheduler", config),
        low_res_scheduler=low,
        max_noise_level=99,
    )
    tensors = {"image": t.given("image", "picture", 1, 3, 12, 8), **t.prompts()}
    arguments = {"num_inference_steps": 5, "guidance_scale": 4.0, "noise_level": 20}
    t.run(pipeline, scheduler, vae, 15, tensors=tensors, **arguments)


@task
def tiled(t):
    """Tiles of 32 pixels, 8 in the latent, over a picture that they do not divide."""
    vae = t.model("vae", "AutoencoderKL", {**VAE, "sample_size": 32})
    vae.enable_tiling()
    t.record["tiling"] = {
        key: getattr(vae, key) for key in ("tile_sample_min_size", "tile_latent_min_size", "tile_overlap_factor")
    }
    image = t.given("image", "picture", 1, 3, 76, 60) * 2 - 1
    latent = t.given("latent", "normal", 1, 4, 19, 15)
    t.record["inputs"]["image"]["then"] = "2 x - 1"
    with torch.no_grad():
        moments = vae.encode(image).latent_dist.parameters
        t.outputs["out.moments"] = moments
        t.outputs["out.decoded"] = vae.decode(latent).sample


@task
def tiled_wide(t):
    """One row of tiles: the picture is no higher than a tile."""
    vae = t.model("vae", "AutoencoderKL", {**VAE, "sample_size": 32})
    vae.enable_tiling()
    t.record["tiling"] = {
        key: getattr(vae, key) for key in ("tile_sample_min_size", "tile_latent_min_size", "tile_overlap_factor")
    }
    latent = t.given("latent", "normal", 1, 4, 6, 21)
    with torch.no_grad():
        t.outputs["out.decoded"] = vae.decode(latent).sample


@task
def super_resolution(t):
    vqvae = t.model("vqvae", "VQModel", VQ)
    unet = t.model("unet", "UNet2DModel", {**PLAIN_UNET, "in_channels": 6})
    config = {"beta_start": 0.0015, "beta_end": 0.0155, "beta_schedule": "scaled_linear", "clip_sample": False}
    scheduler = t.scheduler("DDIMScheduler", {**config, "steps_offset": 1})
    pipeline = t.diffusers.LDMSuperResolutionPipeline(vqvae=vqvae, unet=unet, scheduler=scheduler)
    # the pipeline takes a tensor as it is; only PIL pictures are brought to -1..1
    image = t.given("image", "picture", 1, 3, HEIGHT // 4, WIDTH // 4) * 2 - 1
    t.record["inputs"]["image"]["then"] = "2 x - 1"
    t.run(pipeline, scheduler, vqvae, 16, tensors={"image": image}, num_inference_steps=5)
    t.code_margin(vqvae)


@task
def unconditional(t):
    vqvae = t.model("vqvae", "VQModel", VQ)
    unet = t.model("unet", "UNet2DModel", PLAIN_UNET)
    config = {"beta_start": 0.0015, "beta_end": 0.0195, "beta_schedule": "scaled_linear", "clip_sample": False}
    scheduler = t.scheduler("DDIMScheduler", config)
    pipeline = t.diffusers.LDMPipeline(vqvae=vqvae, unet=unet, scheduler=scheduler)
    # eta's noise comes from the global stream: the pipeline does not hand its generator to the scheduler
    t.run(pipeline, scheduler, vqvae, 17, global_seed=18, batch_size=2, num_inference_steps=5, eta=1.0)
    t.code_margin(vqvae)


@task
def text_bert(t):
    from diffusers.pipelines.latent_diffusion.pipeline_latent_diffusion import LDMBertConfig, LDMBertModel

    config = {
        "vocab_size": 100,
        "max_position_embeddings": 77,
        "encoder_layers": 2,
        "encoder_ffn_dim": 64,
        "encoder_attention_heads": 2,
        "head_dim": 8,
        "d_model": CONTEXT,
    }
    bert = t.adopt("bert", seeded.fill(LDMBertModel(LDMBertConfig(**config)), "bert"), config)
    ids = {
        "prompt": t.given("prompt_ids", "tokens", 100, 1, 77),
        "": t.given("negative_ids", "tokens", 100, 1, 77),
    }

    class Tokenizer:
        def __call__(self, texts, **_):
            return type("Encoding", (), {"input_ids": torch.cat([ids[text] for text in texts])})

    vae = t.model(
        "vqvae",
        "AutoencoderKL",
        {
            **VAE,
            "down_block_types": ["DownEncoderBlock2D"] * 4,
            "up_block_types": ["UpDecoderBlock2D"] * 4,
            "block_out_channels": [16, 16, 32, 32],
        },
    )
    unet = t.model("unet", "UNet2DConditionModel", UNET)
    scheduler = t.scheduler("DDIMScheduler", {**SD_BETAS, "clip_sample": False})
    pipeline = t.diffusers.LDMTextToImagePipeline(
        vqvae=vae, bert=bert, tokenizer=Tokenizer(), unet=unet, scheduler=scheduler
    )
    with torch.no_grad():
        t.outputs["out.context"] = bert(ids["prompt"])[0]
    arguments = {"num_inference_steps": 5, "guidance_scale": 4.0, "height": 64, "width": 48}
    t.run(pipeline, scheduler, vae, 19, call={"prompt": ["prompt"]}, **arguments)


if __name__ == "__main__":
    RUNNER.main()
