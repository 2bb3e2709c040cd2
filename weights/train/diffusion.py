"""Trains the denoiser and, jointly, the text transformer on latents of a fresh plan of pictures and captions.

    python3 diffusion.py --seconds 540 --vae DIR/vae --out DIR/model --state /tmp/model [--resume DIR/model]

A step (choice of latents, noise, both networks forward and backward; optimiser) is two CUDA graphs. `--batch` is that of
each process.
"""
import json
import os
import shutil
import time

import torch

import files
import models
import pictures
import schedule
import team
import training
from tokenizer import Tokenizer

# Decided before training: 1.125 GMAC a row and step (see README.md). 12.05 M parameters.
BUDGET = dict(block_out_channels=[128, 192, 128], down_block_types=["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
              up_block_types=["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"])


def networks(a, tokens, latent):
    unet = dict(BUDGET, in_channels=latent, out_channels=latent)
    text = dict(vocab_size=len(tokens.vocab), bos_token_id=tokens.start, eos_token_id=tokens.end, pad_token_id=tokens.end)
    if a.tiny:
        unet.update(block_out_channels=[32, 32, 32], cross_attention_dim=32)
        text.update(hidden_size=32, projection_dim=32, intermediate_size=64, num_hidden_layers=1)
    unet = models.UNet(unet)
    for name, q in unet.named_parameters():  # every branch begins as nothing
        if name.split(".")[-2] in ("conv2", "proj_out", "conv_out"):
            torch.nn.init.zeros_(q)
    return unet, models.TextModel(text)


def latents_of(vae, p, rows, device, batch=1024):
    """Latents of a plan's pictures, in float16 on the device."""
    out = []
    with torch.no_grad(), training.autocast(device):
        for part in rows.split(batch):
            out.append(vae.encode(p.draw(part).contiguous(memory_format=torch.channels_last)).half())
    return torch.cat(out)


def pool(a, vae, tokens, n, device):
    """Latents [N, C, 16, 16] and token rows [N, wordings, 32] of a plan that no other run has."""
    world, index = pictures.load_world(a.data)
    p = pictures.Pictures(pictures.load_pixels(a.data, index, a.limit), device)
    rows, ids = pictures.make_plan(world, tokens, n, a.team.seed(a.seed), wordings=3)
    if a.tiny:
        fits = rows[:, [0, 5, 10]].amax(1) < len(p)
        rows, ids = rows[fits], ids[fits]
    return latents_of(vae, p, rows, device, 32 if a.tiny else 1024), ids.to(device)


def draw(unet, text, vae, sched, ids, empty, steps, guidance, seed=0, autocast=True, batch=256):
    """Pictures in -1..1 for rows of tokens, from noise of the CPU's generator."""
    out, device = [], next(unet.parameters()).device
    noise = torch.randn(len(ids), unet.config["in_channels"], 16, 16, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad(), training.autocast(device.type if autocast else "none"):
        blank = text(empty[None]).float()
        for i, x in zip(ids.split(batch), noise.split(batch)):
            z = sched.sample(unet, x.to(device), text(i).float(), blank, steps, guidance)
            out.append(vae.decode(z / vae.config["scaling_factor"]).float().clamp(-1, 1))
    return torch.cat(out)


def export(unet, text, folder, scheduler, data):
    """The model without its autoencoder, in diffusers layout."""
    models.save(unet, f"{folder}/unet")
    models.save(text, f"{folder}/text_encoder")
    os.makedirs(f"{folder}/scheduler", exist_ok=True)
    files.write_json(f"{folder}/scheduler/scheduler_config.json", scheduler)
    shutil.copytree(f"{data}/tokenizer", f"{folder}/tokenizer", dirs_exist_ok=True)


def prompts():
    return json.load(open(f"{pictures.HERE}/prompts.json"))["prompts"]


def main():
    a = training.arguments(batch=512, lr=8e-4, warmup=400, hold=1.0, vae=".train-more/vae", kind="v", pool=128_000, drop=0.1,
                           gamma=5.0, average=0.9995, guidance=4.0)
    clock, say, device = files.Clock(a.seconds), training.log(a, "model"), a.device
    tokens = Tokenizer(f"{a.data}/tokenizer")
    vae = models.load(a.vae, device).to(memory_format=torch.channels_last)
    latents, ids = pool(a, vae, tokens, 300 if a.tiny else a.pool, device)
    say(pool=len(latents), mean=float(latents.float().mean()), std=float(latents.float().std()))
    unet, text = networks(a, tokens, vae.config["latent_channels"])
    sched = schedule.Schedule(schedule.KINDS[a.kind], device)
    state = training.load_state(a)
    if a.resume and not state:
        unet, text = models.load(f"{a.resume}/unet"), models.load(f"{a.resume}/text_encoder")
        assert schedule.load(f"{a.resume}/scheduler").config == sched.config, "another schedule than that of --resume"
    unet, text = unet.to(device).to(memory_format=torch.channels_last), text.to(device)
    if state:
        unet.load_state_dict(state["unet"])
        text.load_state_dict(state["text"])
    work = training.Work(a, [*unet.parameters(), *text.parameters()], state)
    weights, empty = sched.weights(a.gamma), torch.tensor(tokens(""), device=device)
    n, wordings, b = len(latents), ids.shape[1], a.batch

    def predict(x, t, ids):
        with training.autocast(device):
            return unet(x, t, text(ids))

    predict = training.compiled(predict, a)

    def loss():
        i = torch.randint(n, (b,), device=device)
        z, words = latents[i].float(), ids[i, torch.randint(wordings, (b,), device=device)].long()
        words = torch.where(torch.rand(b, 1, device=device) < a.drop, empty, words)
        t, e = torch.randint(1000, (b,), device=device), torch.randn_like(z)
        x, target = sched.noised(z, e, t)
        out = predict(x.contiguous(memory_format=torch.channels_last), t, words)
        return (weights[t] * (out.float() - target).pow(2).mean((1, 2, 3))).mean()

    say(parameters=models.count(unet), text=models.count(text), gmac=models.macs(unet, torch.zeros(1, latents.shape[1], 16, 16, device=device),
        torch.zeros(1, device=device), torch.zeros(1, 32, unet.config["cross_attention_dim"], device=device)) / 1e9, resumed=bool(a.resume), state=bool(state),
        arguments={k: getattr(a, k) for k in ("kind", "batch", "lr", "hold", "gamma", "average", "seed", "seconds", "pool")}, processes=a.team.size)
    work.run(loss, clock, say, reserve=3 if a.tiny else 22)
    team.finish()
    if not a.team.first:
        return
    training.save_state(a, unet=unet.state_dict(), text=text.state_dict(), **work.state())
    with work.average.swapped():
        export(unet, text, a.out, sched.config, a.data)
    training.keep_cache(a)
    unet, text = models.load(f"{a.out}/unet", device), models.load(f"{a.out}/text_encoder", device)
    asked = prompts()[:8] if a.tiny else prompts()
    rows = torch.tensor([tokens(s) for s in asked], device=device)
    began = time.time()
    x = draw(unet, text, vae.to(memory_format=torch.contiguous_format), sched, rows, empty, 2 if a.tiny else 20, a.guidance)
    pictures.sheet(x).save(f"{a.out}/sheet.webp", quality=90)
    say(sheet_s=time.time() - began)


if __name__ == "__main__":
    main()
