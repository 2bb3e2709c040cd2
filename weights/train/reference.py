"""What this code draws with a model, for comparing the engine with it: prompts, start noises, latents and pictures, computed
on the CPU in float32 from the float16 weights. test/pipeline/sticker.test.ts reads the result.

    python3 reference.py --model weights/sticker --out test/golden/sticker --prompts 1
"""
import argparse
import json
import os

import torch

import diffusion
import files
import models
import pictures
import schedule
from tokenizer import Tokenizer

p = argparse.ArgumentParser()
p.add_argument("--model", default="weights/sticker")
p.add_argument("--out", required=True)
p.add_argument("--prompts", type=int, default=6, help="how many of prompts.json, spread evenly")
p.add_argument("--steps", type=int)
p.add_argument("--guidance", type=float)
a = p.parse_args()
os.makedirs(a.out, exist_ok=True)
torch.set_grad_enabled(False)
unet, vae, text = (models.load(f"{a.model}/{part}") for part in ("unet", "vae", "text_encoder"))
sched, tokens = schedule.load(f"{a.model}/scheduler"), Tokenizer(f"{a.model}/tokenizer")
own = json.load(open(f"{a.model}/webldm.json")) if os.path.exists(f"{a.model}/webldm.json") else {}
steps, guidance = a.steps or own.get("steps", 20), a.guidance or own.get("guidance", 4.0)
asked = diffusion.prompts()[:: max(1, 64 // a.prompts)][: a.prompts]
tensors, told, drawn = {}, [], []
for k, prompt in enumerate(asked):
    seed = 100 + k
    x = torch.randn(1, unet.config["in_channels"], 16, 16, generator=torch.Generator().manual_seed(seed))
    blank, context = (text(torch.tensor([tokens(s)])) for s in ("", prompt))
    kept = {}
    z = sched.sample(unet, x, context, blank, steps, guidance, lambda i, t, v: kept.update({i + 1: v}))
    image = vae.decode(z / vae.config["scaling_factor"])
    drawn.append(image)
    part = dict(start_latents=x, text_uncond=blank, text_cond=context, image=image, latents_step1=kept[1])
    part[f"latents_step{steps}"] = z
    tensors.update({f"p{k}.{name}": v.contiguous() for name, v in part.items()})
    told.append(dict(index=k, prompt=prompt, seed_of_start_latents=seed, input_ids=tokens(prompt)))
files.save(tensors, f"{a.out}/reference.safetensors")
pictures.sheet(torch.cat(drawn), min(8, len(drawn))).save(f"{a.out}/reference.webp", lossless=True)
files.write_json(f"{a.out}/reference.json", dict(
    what="Drawn by the training code on a CPU in float32 from the float16 weights.", versions=dict(torch=torch.__version__),
    settings=dict(sampler="DDIM", steps=steps, eta=0, guidance_scale=guidance, scaling_factor=vae.config["scaling_factor"],
                  context_length=tokens.length, scheduler_config=sched.config, timesteps=sched.timesteps(steps)),
    layout="NCHW; p<k>.* belongs to prompts[k]", empty_input_ids=tokens(""), prompts=told))
print(len(asked), "prompts,", steps, "steps, guidance", guidance)
