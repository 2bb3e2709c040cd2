"""The classifier of emoji and styles: a small residual network, trained here, frozen afterwards. Its features serve the
perceptual term of the autoencoder and the distances of the evaluation, its answers the agreement of pictures with texts.

    python3 classifier.py --seconds 75 --out DIR/classifier
"""
import json
import os

import torch
import torch.nn as nn
import torch.nn.functional as F

import files
import pictures
import training

WIDTHS = (48, 96, 160, 256)


class Residual(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False), nn.BatchNorm2d(cout)
        self.conv2, self.norm2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False), nn.BatchNorm2d(cout)
        if cin != cout or stride > 1:
            self.skip, self.norm3 = nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout)

    def forward(self, x):
        y = self.norm2(self.conv2(F.silu(self.norm1(self.conv1(x)))))
        return F.silu(y + (self.norm3(self.skip(x)) if hasattr(self, "skip") else x))


class Classifier(nn.Module):
    def __init__(self, emoji, styles=7, widths=WIDTHS):
        super().__init__()
        self.config = dict(emoji=emoji, styles=styles, widths=list(widths))
        self.stem = nn.Sequential(nn.Conv2d(3, widths[0] // 2, 3, 1, 1, bias=False), nn.BatchNorm2d(widths[0] // 2), nn.SiLU())
        last, stages = widths[0] // 2, []
        for w in widths:
            stages.append(nn.Sequential(Residual(last, w, 2), Residual(w, w, 1)))
            last = w
        self.stages = nn.ModuleList(stages)
        self.emoji, self.style = nn.Linear(last, emoji), nn.Linear(last, styles)

    def maps(self, x):
        out = [self.stem(x)]
        for stage in self.stages:
            out.append(stage(out[-1]))
        return out

    def features(self, x):
        """[B, 256], in which distances of distributions are measured."""
        return self.maps(x)[-1].mean((2, 3))

    def forward(self, x):
        f = self.features(x)
        return self.emoji(f), self.style(f)

    def distance(self, maps, x):
        """As LPIPS: squared distance of features of unit length, averaged over places, summed over depths, [B]."""
        total = 0
        for a, b in zip(maps, self.maps(x)):
            a, b = (m.float() / (m.float().pow(2).sum(1, keepdim=True).sqrt() + 1e-6) for m in (a, b))
            total = total + (a - b).pow(2).sum(1).mean((1, 2))
        return total


def load(folder, device):
    net = Classifier(**json.load(open(f"{folder}/config.json")))
    net.load_state_dict(files.load_folder(folder))
    return net.to(device).eval().requires_grad_(False)


def save(net, folder):
    os.makedirs(folder, exist_ok=True)
    files.write_json(f"{folder}/config.json", net.config)
    half = lambda k, v: v.half() if v.dim() > 1 else v  # norms stay in float32
    files.save_sharded({k: half(k, v.detach()) for k, v in net.state_dict().items()}, folder, "classifier")


def augment(p, index):
    """Pictures on grounds of any colour, moved, resized, recoloured, blurred, mirrored, partly covered."""
    x, n, d = p.raw(index), len(index), p.device
    u = lambda *s: torch.rand(n, *s, device=d)
    turn = torch.where(u() < 0.25, u() * 360, torch.zeros(n, device=d))
    x = torch.cat([pictures.rotate_hue(x[:, :3], turn), x[:, 3:]], 1)
    x = torch.cat([x[:, :3] * x[:, 3:], x[:, 3:]], 1)
    scale = 0.6 + 0.45 * u()
    room = (70 - 64 * scale).clamp(min=3)
    x = pictures.place(x, scale, 64 + room * (2 * u() - 1), 64 + room * (2 * u() - 1))
    ground = torch.where(u(1) < 0.5, torch.ones(n, 3, device=d), u(3))
    x = x[:, :3] + ground[:, :, None, None] * (1 - x[:, 3:])
    x = torch.where((u() < 0.3)[:, None, None, None], x.flip(3), x)
    soft = F.interpolate(F.avg_pool2d(x, 2), scale_factor=2.0, mode="bilinear", align_corners=False)
    x = torch.lerp(x, soft, (u() * (u() < 0.4))[:, None, None, None])
    x = (x - 0.5) * (0.75 + 0.5 * u(1, 1, 1)) + 0.5 + 0.2 * (u(3, 1, 1) - 0.5)
    x = x + 0.05 * u(1, 1, 1) * torch.randn_like(x)
    line = torch.arange(128, device=d)[None]
    cx, cy, half = u(1) * 128, u(1) * 128, 8 + 16 * u(1)
    hole = ((line - cx).abs() < half)[:, None, :] & ((line - cy).abs() < half)[:, :, None] & (u(1, 1) < 0.4)
    return torch.where(hole[:, None], torch.full_like(x, 0.5), x) * 2 - 1


def accuracy(net, p, index, emoji, styles):
    """Shares of right answers on plain pictures: the emoji at once, among five, and the style."""
    hits = torch.zeros(3)
    with torch.no_grad():
        for i in index.split(256):
            e, s = net(p.on(i, torch.ones(len(i), 3, device=p.device)))
            top = e.topk(5, 1).indices == emoji[i][:, None]
            hits += torch.stack([top[:, 0].sum(), top.sum(), (s.argmax(1) == styles[i]).sum()]).cpu()
    return [round(float(h) / max(1, len(index)), 4) for h in hits]


def main():
    a = training.arguments(batch=512, lr=2e-3, warmup=100)
    clock, say = files.Clock(a.seconds), training.log(a, "classifier")
    world, index = pictures.load_world(a.data)
    p = pictures.Pictures(pictures.load_pixels(a.data, index, a.limit), a.device)
    table = world.pictures[: len(p)]
    names = [s["style"] for s in index["styles"]]
    emoji = torch.tensor([e for e, _ in table], device=a.device)
    styles = torch.tensor([names.index(s) for _, s in table], device=a.device)
    held = torch.tensor(world.held[: len(p)], device=a.device)
    seen, held = (~held).nonzero()[:, 0], held.nonzero()[:, 0]
    net = Classifier(len(index["emoji"]), len(names), (16, 24, 32, 48) if a.tiny else WIDTHS).to(a.device)
    net = net.to(memory_format=torch.channels_last)
    decay = [q for q in net.parameters() if q.dim() > 1]
    opt = torch.optim.AdamW([dict(params=decay), dict(params=[q for q in net.parameters() if q.dim() < 2], weight_decay=0)],
                            lr=a.lr, weight_decay=0.05)
    rate, step, start, total = training.Rate(a, clock.elapsed(), a.seconds - 6), 0, clock.elapsed(), torch.zeros(2, device=a.device)
    say(parameters=sum(q.numel() for q in net.parameters()), pictures=len(seen), held=len(held))
    while step < a.steps and rate.progress(clock.elapsed()) < 1:
        for g in opt.param_groups:
            g["lr"] = rate(step, rate.progress(clock.elapsed()))
        i = seen[torch.randint(len(seen), (a.batch,), device=a.device)]
        x = augment(p, i).contiguous(memory_format=torch.channels_last)
        with training.autocast(a.device):
            e, s = net(x)
        loss = F.cross_entropy(e.float(), emoji[i], label_smoothing=0.1) + 0.3 * F.cross_entropy(s.float(), styles[i])
        opt.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 2.0)
        opt.step()
        step += 1
        total += torch.stack([loss.detach(), (e.argmax(1) == emoji[i]).float().mean()])
        if step in (10, 50) or step % 100 == 0:
            n = 10 if step == 10 else 40 if step == 50 else 50 if step == 100 else 100
            say(step=step, loss=float(total[0]) / n, top1=float(total[1]) / n, per_s=step * a.batch / (clock.elapsed() - start))
            total.zero_()
    net.eval()
    save(net, a.out)
    with training.exact():
        net = load(a.out, a.device)
        say(step=step, seen=accuracy(net, p, seen, emoji, styles), held=accuracy(net, p, held, emoji, styles))


if __name__ == "__main__":
    main()
