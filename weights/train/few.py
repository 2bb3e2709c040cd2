"""Distils a trained denoiser into one of few steps without guidance. The teacher draws guided DDIM trajectories, of which
the latents at the few steps' borders are kept; the student learns to jump from border to border. A part of each batch
starts from where the student itself arrived, so that it learns to come back to the trajectory. The text transformer
stays as it is and is shared.

    python3 few.py --model DIR/model --vae DIR/vae --guidance 4 --seconds 540 --out DIR/few
"""
import copy
import time

import torch

import diffusion
import files
import models
import pictures
import schedule
import team
import training
from tokenizer import Tokenizer


def main():
    a = training.arguments(batch=512, lr=3e-4, warmup=200, hold=0.2, model=".train-more/model", vae=".train-more/vae", guidance=4.0,
                           few=4, teacher=20, share=0.35, own=0.3, average=0.999, at_most=400_000)
    clock, say, device = files.Clock(a.seconds), training.log(a, "few"), a.device
    tokens = Tokenizer(f"{a.data}/tokenizer")
    world, _ = pictures.load_world(a.data)
    _, ids = pictures.make_plan(world, tokens, 200 if a.tiny else a.at_most, a.team.seed(a.seed), wordings=1)
    torch.manual_seed(a.team.seed(a.seed))
    ids = ids[:, 0].to(device)
    teacher, text = models.load(f"{a.model}/unet", device).to(memory_format=torch.channels_last), models.load(f"{a.model}/text_encoder", device)
    config = schedule.load(f"{a.model}/scheduler").config
    # Borders of equal spacing from pure noise to the picture, whatever the teacher's own spacing.
    sched = schedule.Schedule({**config, "timestep_spacing": "trailing", "set_alpha_to_one": True}, device)
    student = copy.deepcopy(teacher).train()
    empty = torch.tensor(tokens(""), device=device)
    every, grid = a.teacher // a.few, sched.timesteps(a.few)
    assert a.teacher % a.few == 0 and sched.timesteps(a.teacher)[::every] == grid

    def predict(x, t, context):
        with training.autocast(device):
            return teacher(x.contiguous(memory_format=torch.channels_last), t, context)

    predict = training.compiled(predict, a)
    big, borders, until = (16 if a.tiny else 1024), [], clock.elapsed() + a.share * (a.seconds - clock.elapsed())
    with torch.no_grad():
        blank = text(empty[None])
        for k in range(0, len(ids) - big + 1, big):
            x = torch.randn(big, teacher.config["in_channels"], 16, 16, device=device)
            kept = [x.half()]
            sched.sample(predict, x, text(ids[k:k + big].long()), blank, a.teacher, a.guidance,
                         lambda i, t, x: kept.append(x.half()) if (i + 1) % every == 0 else None)
            borders.append(torch.stack(kept, 1))
            if device == "cuda":
                torch.cuda.synchronize()
            if clock.elapsed() > until:
                break
    borders = torch.cat(borders)
    ids = ids[: len(borders)]
    say(trajectories=len(borders), seconds=clock.elapsed(), std=[round(float(v), 3) for v in borders.float().std((0, 2, 3, 4))])
    p, q = (torch.tensor(v, device=device) for v in zip(*[sched.parts(float(sched.bar[t]), sched.before(t, a.few)) for t in grid]))
    times, b, m, n = torch.tensor(grid, device=device), a.batch, int(a.batch * a.own), len(borders)
    wide = lambda v: v[:, None, None, None]

    def net(x, t, context):
        with training.autocast(device):
            return student(x.contiguous(memory_format=torch.channels_last), t, context)

    fast = training.compiled(net, a)

    def loss():
        i, k = torch.randint(n, (b,), device=device), torch.randint(a.few, (b,), device=device)
        k = torch.cat([1 + k[:m] % (a.few - 1), k[m:]])
        x, goal = borders[i, k].float(), borders[i, k + 1].float()
        with torch.no_grad(), training.autocast(device):
            context = text(ids[i].long())
        if m:
            with torch.no_grad():
                back = borders[i[:m], k[:m] - 1].float()
                own = wide(p[k[:m] - 1]) * back + wide(q[k[:m] - 1]) * net(back, times[k[:m] - 1], context[:m]).float()
            x = torch.cat([own, x[m:]])
        target = (goal - wide(p[k]) * x) / wide(q[k])
        return (fast(x, times[k], context).float() - target).pow(2).mean()

    work = training.Work(a, student.parameters())
    say(parameters=models.count(student), arguments={k: getattr(a, k) for k in ("batch", "lr", "guidance", "few", "teacher", "own", "seed", "seconds")}, processes=a.team.size)
    work.run(loss, clock, say, reserve=3 if a.tiny else 15)
    team.finish()
    if not a.team.first:
        return
    training.keep_cache(a)
    with work.average.swapped():
        diffusion.export(student, text, a.out, sched.config, a.data)
    files.write_json(f"{a.out}/webldm.json", {"steps": a.few, "guidance": 1})
    student, vae = models.load(f"{a.out}/unet", device), models.load(a.vae, device)
    asked, began = diffusion.prompts()[: 8 if a.tiny else 64], time.time()
    rows = torch.tensor([tokens(s) for s in asked], device=device)
    x = diffusion.draw(student, text, vae, sched, rows, empty, a.few, 1)
    pictures.sheet(x).save(f"{a.out}/sheet.webp", quality=90)
    say(sheet_s=time.time() - began)


if __name__ == "__main__":
    main()
