"""Puts a trained model together in diffusers layout and says what it weighs.

    python3 export.py --model weights/local/sticker/model --vae weights/local/sticker/vae --out weights/sticker --guidance 4
    python3 export.py --model weights/local/sticker/few --vae weights/local/sticker/vae --out weights/local/sticker-few --steps 4 --guidance 1
"""
import argparse
import os
import shutil

import files
import models
import torch

p = argparse.ArgumentParser()
p.add_argument("--model", required=True)
p.add_argument("--vae", required=True)
p.add_argument("--out", required=True)
p.add_argument("--steps", type=int, default=20)
p.add_argument("--guidance", type=float, default=4)
a = p.parse_args()
total = 0
for name, source in dict(unet=a.model, text_encoder=a.model, scheduler=a.model, tokenizer=a.model, vae=a.vae).items():
    source = source if name == "vae" else f"{source}/{name}"
    shutil.rmtree(f"{a.out}/{name}", ignore_errors=True)
    os.makedirs(f"{a.out}/{name}")
    for file in sorted(os.listdir(source)):
        if file.endswith((".json", ".txt", ".safetensors")):
            shutil.copy(f"{source}/{file}", f"{a.out}/{name}/{file}")
            total += os.path.getsize(f"{a.out}/{name}/{file}")
none = [None, None]
files.write_json(f"{a.out}/model_index.json", {
    "_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.40.0.dev0", "feature_extractor": none, "image_encoder": none,
    "requires_safety_checker": False, "safety_checker": none, "scheduler": ["diffusers", "DDIMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"], "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"]})
guidance = int(a.guidance) if a.guidance == int(a.guidance) else a.guidance
with open(f"{a.out}/webldm.json", "w") as f:
    f.write('{ "steps": %d, "guidance": %s }\n' % (a.steps, guidance))
unet, vae, text = (models.load(f"{a.out}/{part}") for part in ("unet", "vae", "text_encoder"))
z = torch.zeros(1, unet.config["in_channels"], 16, 16)
step = models.macs(unet, z, torch.zeros(1), torch.zeros(1, 32, unet.config["cross_attention_dim"]))
decode, rows = models.macs(vae.decoder, z), 1 if a.guidance == 1 else 2
print(f"{total:,} bytes (38,000,000 allowed); parameters: unet {models.count(unet):,}, vae {models.count(vae):,}, text {models.count(text):,}")
print(f"{step / 1e9:.3f} GMAC a row and step, {decode / 1e9:.3f} to decode: {(step * rows * a.steps + decode) / 1e9:.1f} GMAC a picture of {a.steps} steps")
