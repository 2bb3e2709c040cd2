"""Full-size models with random weights, and what the reference makes of them.

    python3 bench/reference/full.py --reference FOLDER --out FOLDER [--only NAME,...] [--scale full|tiny]
        [--device cuda|cpu] [--dtypes float32,float16] [--store float32|float16] [--tokenizer FOLDER]

For each model OUT/NAME holds the checkpoint (a folder in diffusers layout, or model.safetensors under CompVis names
with config.json), reference.safetensors and reference.json. Inputs are `in.*`; results of each type `float32.*`,
`float16.*`:

    epsilon         one evaluation of the denoiser at in.timestep (what it predicts, before guidance)
    steps           the latent after each of 20 DDIM steps from in.latent, with guidance
    decoder_input   what went into the decoder: the last latent divided by the scaling factor
    image           the decoder's output, not clamped
    context         the text encoder's or label embedding's output, where one was run
    moments, decoded     kl-f8: mean | logvar of in.image, and in.latent decoded

Nothing in float32 uses TF32. float16 is the reference's own: `.half()` for diffusers, autocast for CompVis.
"""

import argparse
import contextlib
import json
import math
import os
import shutil
import sys

import torch

import configs
import safetensors_file
import seeded
import standins
from compvis_sampler import recording
from recorder import Recorder
from task import plain

STEPS = 20
TIMESTEP = 501


@contextlib.contextmanager
def uninitialised():
    """Leaves weights as they are allocated: they are overwritten anyway, and random ones take minutes to make."""
    names = ["kaiming_uniform_", "uniform_", "normal_", "xavier_uniform_", "trunc_normal_"]
    kept = {name: getattr(torch.nn.init, name) for name in names}
    for name in names:
        setattr(torch.nn.init, name, lambda tensor, *_args, **_kwargs: tensor)
    try:
        yield
    finally:
        for name, function in kept.items():
            setattr(torch.nn.init, name, function)


class Random:
    """Values of one model, drawn in the order in which they are asked for."""

    def __init__(self, seed, device, store):
        self.generator = torch.Generator(device=device).manual_seed(seed)
        self.device = device
        self.store = store

    def normal(self, *shape):
        return torch.randn(shape, generator=self.generator, device=self.device)

    def weight(self, name, shape):
        """By the rule of seeded.py, rounded to the type in which weights are stored."""
        return seeded.scaled(name, self.normal(*shape)).to(self.store).float()

    def fill(self, module):
        for name, parameter in module.named_parameters():
            parameter.requires_grad_(False).copy_(self.weight(name, parameter.shape))
        return module.eval()


def stored(state, dtype):
    return {name: value.to(dtype) if value.is_floating_point() else value for name, value in state.items()}


def write_json(path, value):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(json.dumps(plain(value), indent=1, allow_nan=False) + "\n")


# --- results ------------------------------------------------------------------------------------------------------


def relative(value, expected):
    value, expected = value.double(), expected.double()
    return ((value - expected).norm() / expected.norm()).item()


def psnr(value, expected):
    """dB; the peak is the expected picture's maximum less its minimum."""
    value, expected = value.double(), expected.double()
    error = (value - expected).square().mean().item()
    peak = (expected.max() - expected.min()).item()
    return 10 * math.log10(peak * peak / error) if error > 0 else math.inf if error == 0 else math.nan


def finish(folder, facts, inputs, results):
    """Checks that nothing is flat, compares the types, and writes both files."""
    tensors = {f"in.{name}": value for name, value in inputs.items()}
    facts["outputs"] = {}
    for dtype, outputs in results.items():
        for name, value in outputs.items():
            key = f"{dtype}.{name}"
            value = value.detach().float().cpu()
            tensors[key] = value
            spread = (value.max() - value.min()).item()
            facts["outputs"][key] = {
                "shape": list(value.shape),
                "min": value.min().item(),
                "max": value.max().item(),
                "std_over_peak": value.double().std().item() / spread,
            }
    facts["against_float32"] = {}
    for key in facts["outputs"]:
        dtype, name = key.split(".")
        if dtype != "float32":
            value, wanted = tensors[key], tensors[f"float32.{name}"]
            facts["against_float32"][key] = {"relative_error": relative(value, wanted), "psnr": psnr(value, wanted)}
    safetensors_file.save(os.path.join(folder, "reference.safetensors"), tensors)
    write_json(os.path.join(folder, "reference.json"), facts)
    for name, value in facts["outputs"].items():
        print(f"  {name:24} std/peak {value['std_over_peak']:.3f}")
    for name, value in facts["against_float32"].items():
        print(f"  {name:24} relative error {value['relative_error']:.2e}, PSNR {value['psnr']:.1f} dB")
    for name in ("image", "decoded"):
        if name in results["float32"]:
            told = facts["outputs"][f"float32.{name}"]["std_over_peak"]
            assert told > 0.05, f"{folder}: {name}: its standard deviation is {told:.3f} of its range, not 0.05"


# --- diffusers ----------------------------------------------------------------------------------------------------


def clip_shapes(config):
    """Names and shapes of CLIP's text transformer, as files have them."""
    width, inner = config["hidden_size"], config["intermediate_size"]
    yield "embeddings.token_embedding.weight", (config["vocab_size"], width)
    yield "embeddings.position_embedding.weight", (config["max_position_embeddings"], width)
    for layer in range(config["num_hidden_layers"]):
        at = f"encoder.layers.{layer}"
        for name in ("k_proj", "v_proj", "q_proj", "out_proj"):
            yield f"{at}.self_attn.{name}.weight", (width, width)
            yield f"{at}.self_attn.{name}.bias", (width,)
        for name, out, into in (("mlp.fc1", inner, width), ("mlp.fc2", width, inner)):
            yield f"{at}.{name}.weight", (out, into)
            yield f"{at}.{name}.bias", (out,)
        for name in ("layer_norm1", "layer_norm2"):
            yield f"{at}.{name}.weight", (width,)
            yield f"{at}.{name}.bias", (width,)
    yield "final_layer_norm.weight", (width,)
    yield "final_layer_norm.bias", (width,)


def prompt_ids(random, config, padding):
    """Start, twenty words, end, padding; and the empty prompt."""
    start, end, length = config["vocab_size"] - 2, config["vocab_size"] - 1, config["max_position_embeddings"]
    words = (random.normal(20).abs() * 1000).long().cpu() % start
    rows = [[start, *words.tolist(), end], [start, end]]
    return [torch.tensor([row + [padding] * (length - len(row))]) for row in rows]


def text_context(config, weights, ids, device):
    """What transformers' CLIPTextModel gives, or None without that package."""
    if standins.missing("transformers"):
        return None
    from transformers import CLIPTextConfig, CLIPTextModel

    with uninitialised():
        model = CLIPTextModel(CLIPTextConfig(**config)).eval().to(device)
    names = model.state_dict()
    prefix = "text_model." if any(name.startswith("text_model.") for name in names) else ""
    state = {prefix + name: value for name, value in weights.items()}
    left = model.load_state_dict(state, strict=False)
    assert not left.unexpected_keys and all("position_ids" in key for key in left.missing_keys), left
    with torch.no_grad():
        return [model(input_ids=each.to(device)).last_hidden_state for each in ids]


def save_part(folder, part, name, config, state, store):
    write_json(os.path.join(folder, part, "config.json"), config)
    safetensors_file.save(os.path.join(folder, part, f"{name}.safetensors"), stored(state, store))


def stable_diffusion(name, config, options, folder):
    import diffusers

    random = Random(1, options.device, options.store)
    with uninitialised():
        unet = diffusers.UNet2DConditionModel(**config["unet"])
        vae = diffusers.AutoencoderKL(**config["vae"])
    unet, vae = (random.fill(model.to(options.device)) for model in (unet, vae))
    scheduler = diffusers.DDIMScheduler(**config["scheduler"])
    text = config["text_encoder"]
    weights = {key: random.weight(key, shape) for key, shape in clip_shapes(text)}
    padding = 0 if text["hidden_act"] == "gelu" else text["vocab_size"] - 1
    ids = prompt_ids(random, text, padding)

    component = "diffusion_pytorch_model"
    save_part(folder, "unet", component, configs.config_of(unet), unet.state_dict(), options.store)
    save_part(folder, "vae", component, configs.config_of(vae), vae.state_dict(), options.store)
    prefixed = {f"text_model.{key}": value for key, value in weights.items()}
    save_part(folder, "text_encoder", "model", {"architectures": ["CLIPTextModel"], **text}, prefixed, options.store)
    write_json(os.path.join(folder, "scheduler/scheduler_config.json"), configs.config_of(scheduler))
    classes = {
        "scheduler": ["diffusers", "DDIMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    write_json(os.path.join(folder, "model_index.json"), {"_class_name": "StableDiffusionPipeline", **classes})
    if options.tokenizer:
        os.makedirs(os.path.join(folder, "tokenizer"), exist_ok=True)
        for file in ("vocab.json", "merges.txt"):
            shutil.copy(os.path.join(options.tokenizer, file), os.path.join(folder, "tokenizer", file))
        write_json(
            os.path.join(folder, "tokenizer/special_tokens_map.json"),
            {"pad_token": "!" if padding == 0 else "<|endoftext|>"},
        )

    made = text_context(text, weights, ids, options.device)
    width, length = text["hidden_size"], text["max_position_embeddings"]
    contexts = made or [random.normal(1, length, width) for _ in ids]
    size = config["unet"]["sample_size"]
    latent = random.normal(1, 4, size, size)
    inputs = {
        "ids": ids[0],
        "negative_ids": ids[1],
        "context": contexts[0],
        "negative_context": contexts[1],
        "latent": latent,
        "timestep": torch.tensor([TIMESTEP]),
    }
    pipeline = diffusers.StableDiffusionPipeline(
        unet=unet,
        vae=vae,
        scheduler=scheduler,
        text_encoder=None,
        tokenizer=None,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    results = {}
    for dtype in options.dtypes:
        kind = getattr(torch, dtype)
        unet.to(kind)
        vae.to(kind)
        recorder = Recorder({}, kind)
        with torch.no_grad():
            epsilon = unet(latent.to(kind), TIMESTEP, encoder_hidden_states=contexts[0].to(kind)).sample
            with recorder.listen(scheduler, vae):
                pipeline(
                    prompt_embeds=contexts[0].to(kind),
                    negative_prompt_embeds=contexts[1].to(kind),
                    latents=latent.to(kind),
                    num_inference_steps=STEPS,
                    guidance_scale=configs.GUIDANCE[name],
                    height=8 * size,
                    width=8 * size,
                    output_type="np",
                )
        results[dtype] = {
            "epsilon": epsilon,
            "steps": torch.cat(recorder.steps),
            "decoder_input": recorder.decoded_from,
            "image": recorder.decoded,
        }
    facts = {
        "reference": f"diffusers {diffusers.__version__}",
        "guidance": configs.GUIDANCE[name],
        "context": "text_encoder on in.ids" if made else "random: transformers is not installed",
        "timesteps": recorder.timesteps,
    }
    return facts, inputs, results


def autoencoder(_name, config, options, folder):
    import diffusers

    random = Random(2, options.device, options.store)
    with uninitialised():
        vae = diffusers.AutoencoderKL(**config)
    vae = random.fill(vae.to(options.device))
    write_json(os.path.join(folder, "config.json"), configs.config_of(vae))
    path = os.path.join(folder, "diffusion_pytorch_model.safetensors")
    safetensors_file.save(path, stored(vae.state_dict(), options.store))
    size = config["sample_size"]
    inputs = {
        "image": (0.5 * random.normal(1, 3, size, size)).clamp(-1, 1),
        "latent": random.normal(1, 4, size // 8, size // 8),
    }
    results = {}
    for dtype in options.dtypes:
        kind = getattr(torch, dtype)
        vae.to(kind)
        with torch.no_grad():
            results[dtype] = {
                "moments": vae.encode(inputs["image"].to(kind)).latent_dist.parameters,
                "decoded": vae.decode(inputs["latent"].to(kind)).sample,
            }
    return {"reference": f"diffusers {diffusers.__version__}"}, inputs, results


# --- CompVis ------------------------------------------------------------------------------------------------------


def compvis(name, config, options, folder):
    from ldm.models.diffusion.ddim import DDIMSampler
    from ldm.models.diffusion.ddpm import LatentDiffusion

    random = Random(3, options.device, options.store)
    arguments = json.loads(json.dumps(config))
    stage = arguments["cond_stage_config"]["params"]
    text = "n_layer" in stage
    if text:
        stage["device"] = options.device
    with uninitialised(), contextlib.redirect_stdout(None):
        model = LatentDiffusion(**arguments)
    model = random.fill(model.to(options.device))
    keep = ("model.diffusion_model.", "first_stage_model.", "cond_stage_model.")
    state = {
        key: value.to(options.store) if key.startswith(keep) and value.is_floating_point() else value
        for key, value in model.state_dict().items()
    }
    safetensors_file.save(os.path.join(folder, "model.safetensors"), state)
    whole = {"target": "ldm.models.diffusion.ddpm.LatentDiffusion", "params": config}
    write_json(os.path.join(folder, "config.json"), whole)

    if text:
        # 101 and 102 open and close a text in this vocabulary, 0 pads
        words = 1000 + (random.normal(12).abs() * 5000).long().cpu() % (stage["vocab_size"] - 1000)
        rows = [[101, *words.tolist(), 102], [101, 102]]
        ids = [torch.tensor([row + [0] * (77 - len(row))]) for row in rows]
        given = [each.to(options.device) for each in ids]
    else:
        ids = [torch.tensor([207]), torch.tensor([stage["n_classes"] - 1])]
        given = [{"class_label": each.to(options.device)} for each in ids]
    shape = (config["channels"], config["image_size"], config["image_size"])
    latent = random.normal(1, *shape)
    time = torch.tensor([TIMESTEP], device=options.device)
    inputs = {"ids": ids[0], "negative_ids": ids[1], "latent": latent, "timestep": time}

    results = {}
    for dtype in options.dtypes:
        kind = torch.device(options.device).type
        exact = dtype == "float32"
        cast = contextlib.nullcontext() if exact else torch.autocast(kind, dtype=getattr(torch, dtype))
        with torch.no_grad(), cast, contextlib.redirect_stdout(None):
            context, negative = (model.get_learned_conditioning(each) for each in given)
            epsilon = model.apply_model(latent, time, context)
            sampler = recording(DDIMSampler)(model)
            last, _ = sampler.sample(
                S=STEPS,
                conditioning=context,
                batch_size=1,
                shape=shape,
                verbose=False,
                unconditional_guidance_scale=configs.GUIDANCE[name],
                unconditional_conditioning=negative,
                eta=0.0,
                x_T=latent,
            )
            image = model.decode_first_stage(last)
        results[dtype] = {
            "context": context,
            "negative_context": negative,
            "epsilon": epsilon,
            "steps": torch.cat(sampler.steps),
            "decoder_input": last / model.scale_factor,
            "image": image,
        }
    facts = {
        "reference": "CompVis/latent-diffusion",
        "guidance": configs.GUIDANCE[name],
        "timesteps": sampler.timesteps,
    }
    return facts, inputs, results


# ------------------------------------------------------------------------------------------------------------------


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--reference",
        required=True,
        help="a folder that holds checkouts named diffusers, latent-diffusion and taming-transformers",
    )
    parser.add_argument("--out", required=True)
    parser.add_argument("--only", help="names, with commas between")
    parser.add_argument("--scale", choices=["full", "tiny"], default="full")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtypes", help="float32 and, by default on CUDA, float16")
    parser.add_argument("--store", choices=["float32", "float16"], default="float32", help="the files' type")
    parser.add_argument("--tokenizer", help="a folder with vocab.json and merges.txt, to be copied")
    options = parser.parse_args()
    on_gpu = options.device.startswith("cuda")
    options.dtypes = (options.dtypes or ("float32,float16" if on_gpu else "float32")).split(",")
    assert options.dtypes[0] == "float32", "float32 comes first: models are rounded in place"
    options.store = getattr(torch, options.store)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False

    standins.install()
    for path in ("diffusers/src", "latent-diffusion", "taming-transformers"):
        sys.path.insert(0, os.path.join(options.reference, path))
    import diffusers

    diffusers.utils.logging.set_verbosity_error()

    makers = {
        **{name: (stable_diffusion, config) for name, config in configs.DIFFUSERS.items()},
        **{name: (autoencoder, config) for name, config in configs.AUTOENCODERS.items()},
        **{name: (compvis, config) for name, config in configs.COMPVIS.items()},
    }
    for name in options.only.split(",") if options.only else makers:
        print(name)
        folder = os.path.join(options.out, name)
        os.makedirs(folder, exist_ok=True)
        make, config = makers[name]
        facts, inputs, results = make(name, config[options.scale], options, folder)
        versions = {"torch": torch.__version__, "device": options.device, "stored": str(options.store).split(".")[-1]}
        finish(folder, {"model": name, "scale": options.scale, "steps": STEPS, **versions, **facts}, inputs, results)
        if on_gpu:
            torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
