"""Measures a model, an autoencoder or both; writes results.json, plots (SVG) and sheets.

    python3 evaluate.py --model DIR/model --vae DIR/vae --classifier DIR/classifier --out DIR/evaluation [--sweep | --quick]
    python3 evaluate.py --autoencoders DIR/vae DIR/vq --classifier DIR/classifier --out DIR/autoencoders

FID, precision and recall are taken in the feature space of our classifier: numbers compare with each other, not with
those of others. Real pictures give the ceilings beside the agreement, colour and relation figures.
"""
import argparse
import colorsys
import json
import os
import random
import time

import numpy as np
import torch
import torch.nn.functional as F

import captions
import classifier as classifiers
import diffusion
import files
import models
import pictures
import schedule
import training
from tokenizer import Tokenizer


def fid(a, b):
    """Frechet distance of two sets of features."""
    (ma, ca), (mb, cb) = (((x := f.double().cpu()).mean(0), torch.cov(x.t())) for f in (a, b))
    w, v = torch.linalg.eigh(ca)
    root = v @ torch.diag(w.clamp(min=0).sqrt()) @ v.t()
    cross = torch.linalg.eigvalsh(root @ cb @ root).clamp(min=0).sqrt().sum()
    return float((ma - mb).pow(2).sum() + ca.trace() + cb.trace() - 2 * cross)


def precision_recall(real, fake, k=3):
    """Shares within the other set's neighbourhoods (distance to the k-th neighbour)."""
    def inside(of, points):
        radius = torch.cdist(of, of).kthvalue(k + 1, 1).values
        return float((torch.cdist(points, of) <= radius[None]).any(1).float().mean())
    return inside(real, fake), inside(fake, real)


def ssim(x, y):
    """Of pictures in -1..1, 11 x 11 Gaussian window, mean of channels."""
    line = torch.exp(-(torch.arange(11, device=x.device) - 5.0) ** 2 / 4.5)
    window = (line[:, None] * line[None] / line.sum() ** 2).expand(3, 1, 11, 11)
    blur = lambda v: F.conv2d(v, window, groups=3)
    x, y = (x + 1) / 2, (y + 1) / 2
    mx, my = blur(x), blur(y)
    vx, vy, vxy = blur(x * x) - mx * mx, blur(y * y) - my * my, blur(x * y) - mx * my
    return (((2 * mx * my + 1e-4) * (2 * vxy + 9e-4)) / ((mx * mx + my * my + 1e-4) * (vx + vy + 9e-4))).mean((1, 2, 3))


def features(net, x):
    with torch.no_grad():
        return torch.cat([net.features(b) for b in x.split(256)])


def hues(x):
    """Hue in degrees and whether it is clear, of pictures in -1..1."""
    rgb = (x.clamp(-1, 1) + 1) / 2
    high, low = rgb.amax(1), rgb.amin(1)
    d = (high - low).clamp(min=1e-6)
    r, g, b = rgb.unbind(1)
    h = torch.where(high == r, ((g - b) / d) % 6, torch.where(high == g, (b - r) / d + 2, (r - g) / d + 4)) * 60
    return h % 360, (high - low > 0.3 * high) & (high > 0.25)


def border(x):
    """The median colour of the frame, [B, 3] in 0..1, and what differs from it."""
    rgb = (x.clamp(-1, 1) + 1) / 2
    frame = torch.cat([rgb[:, :, :4].flatten(2), rgb[:, :, -4:].flatten(2), rgb[:, :, :, :4].flatten(2), rgb[:, :, :, -4:].flatten(2)], 2)
    ground = frame.median(2).values
    return ground, (rgb - ground[:, :, None, None]).abs().amax(1) > 0.15


def of_hue(h, clear, name, width=28):
    return clear & (((h - captions.HUES[name] + 180) % 360 - 180).abs() < width)


def check_colours(x, names):
    """Does most of what is coloured in the foreground have the asked hue?"""
    h, clear = hues(x)
    _, fore = border(x)
    out = []
    for k, name in enumerate(names):
        strong = clear[k] & fore[k]
        right = of_hue(h[k], strong, name)
        out.append(bool(strong.sum() > 250 and right.sum() > 0.5 * strong.sum()))
    return out


def check_relations(x, specs):
    """Ground right; both colours found; their centres in the asked relation (which takes both colours)."""
    h, clear = hues(x)
    ground, fore = border(x)
    palette = torch.tensor(list(captions.GROUNDS.values()), device=x.device) / 255
    nearest = torch.cdist(ground, palette).argmin(1).tolist()
    out = []
    for k, (_, c, relation, _, d, g) in enumerate(specs):
        spots = []
        for name in (c, d):
            mask = of_hue(h[k], clear[k] & fore[k], name)
            spots.append(mask.nonzero().float().mean(0).tolist() if mask.sum() > 150 else None)
        both = all(spots)
        good = False
        if both:
            (y0, x0), (y1, x1) = spots
            good = {"left of": x1 - x0, "right of": x0 - x1, "above": y1 - y0, "below": y0 - y1}[relation] > 16
        out.append((list(captions.GROUNDS)[nearest[k]].replace("light ", "") == g.replace("light ", ""), both, good))
    return [round(sum(o[j] for o in out) / len(out), 4) for j in range(3)]


class Bench:
    def __init__(self, a):
        self.a, self.device = a, "cuda" if torch.cuda.is_available() else "cpu"
        self.world, index = pictures.load_world(a.data)
        self.p = pictures.Pictures(pictures.load_pixels(a.data, index, 4 if a.tiny else None), self.device)
        self.net = classifiers.load(a.classifier, self.device)
        n = len(self.p)
        self.seen = [i for i in self.world.seen if i < n]
        self.held = [i for i, h in enumerate(self.world.held) if h and i < n]
        self.real = features(self.net, self.white(self.seen))
        self.by_hex = {}
        for i in range(n):
            e = self.world.emoji[self.world.pictures[i][0]]
            self.by_hex.setdefault(e["hex"], []).append(i)

    def white(self, index):
        index = torch.tensor(index, device=self.device)
        return torch.cat([self.p.on(i, torch.ones(len(i), 3, device=self.device)) for i in index.split(512)])

    def caption(self, i):
        e, style = self.world.pictures[i]
        return f"{captions.article(self.world.emoji[e]['label'])}, {style} style"

    def agreement(self, x, index):
        """Top-1 and top-5 of the emoji, top-1 of the style."""
        emoji = torch.tensor([self.world.pictures[i][0] for i in index], device=self.device)
        styles = torch.tensor([captions.STYLES.index(self.world.pictures[i][1]) for i in index], device=self.device)
        with torch.no_grad():
            e, s = (torch.cat(v) for v in zip(*[self.net(b) for b in x.split(256)]))
        top = e.topk(5, 1).indices == emoji[:, None]
        return [round(float(v.float().mean()), 4) for v in (top[:, 0], top.any(1), s.argmax(1) == styles)]

    def compositions(self):
        """Held-out specs whose things have a clear hue in a picture, with that picture: prompts, rows for real ones."""
        rng, out = random.Random(3), []
        holdout = json.load(open(f"{pictures.HERE}/holdout.json"))
        for a, c, relation, b, d, g in holdout["compositions"]:
            i, j = ([k for k in self.by_hex.get(h, []) if self.world.hue(k) is not None] for h in (a, b))
            if i and j:
                row, words = captions.pair(rng, self.world, [i[0], c, relation, j[0], d, g])
                name = lambda k, colour: captions.article(captions.coloured(self.world.emoji[self.world.pictures[k][0]]["label"], colour))
                out.append(((a, c, relation, b, d, g), row, f"{name(i[0], c)} {relation} {name(j[0], d)} on a {g} background"))
        return out

    def colours(self):
        out = []
        for h, c in json.load(open(f"{pictures.HERE}/holdout.json"))["colours"]:
            i = [k for k in self.by_hex.get(h, []) if self.world.hue(k) is not None]
            if i:
                k = i[0]
                row = [k, (captions.HUES[c] - self.world.hue(k)) % 360, 1, 64, 64] + [-1, 0, 1, 64, 64] * 2 + [255] * 6 + [-1]
                out.append((c, row, captions.article(captions.coloured(self.world.emoji[self.world.pictures[k][0]]["label"], c))))
        return out


class Model:
    def __init__(self, bench, folder, vae):
        a, device = bench.a, bench.device
        self.bench, own = bench, os.path.isdir(f"{folder}/vae")
        self.unet, self.text = models.load(f"{folder}/unet", device), models.load(f"{folder}/text_encoder", device)
        self.vae = models.load(f"{folder}/vae" if own else vae, device)
        self.sched, self.tokens = schedule.load(f"{folder}/scheduler", device), Tokenizer(f"{folder}/tokenizer")
        self.empty = torch.tensor(self.tokens(""), device=device)

    def draw(self, texts, steps, guidance, seed=0):
        ids = torch.tensor([self.tokens(t) for t in texts], device=self.bench.device)
        return diffusion.draw(self.unet, self.text, self.vae, self.sched, ids, self.empty, steps, guidance, seed, self.bench.a.quick)


def measure(bench, model, steps, guidance, n, seed=0):
    """FID and the rest on n prompts seen in training, agreement on held-out pairs."""
    rng = random.Random(seed)
    some = [rng.choice(bench.seen) for _ in range(n)]
    x = model.draw([bench.caption(i) for i in some], steps, guidance, seed)
    f = features(bench.net, x)
    held = bench.held[: max(8, n // 2)]
    y = model.draw([bench.caption(i) for i in held], steps, guidance, seed + 1)
    pr = precision_recall(bench.real[torch.randperm(len(bench.real), generator=torch.Generator().manual_seed(0))[: max(n, 16)].to(f.device)], f)
    return dict(steps=steps, guidance=guidance, n=n, seed=seed, fid=round(fid(bench.real, f), 3), precision=round(pr[0], 4),
                recall=round(pr[1], 4), seen=bench.agreement(x, some), held=bench.agreement(y, held)), x, some


def checks(bench, model, steps, guidance, repeats, out=None):
    """Colours and relations never seen; with `out` also the same checks on real pictures, as the ceiling, and a sheet."""
    colours, pairs, result = bench.colours(), bench.compositions(), {}
    names, specs = [c for c, _, _ in colours], [s for s, _, _ in pairs]
    hits = [check_colours(model.draw([t for _, _, t in colours], steps, guidance, s), names) for s in range(repeats)]
    drawn = [model.draw([t for _, _, t in pairs], steps, guidance, s) for s in range(repeats)]
    found = [check_relations(x, specs) for x in drawn]
    result["colour"] = round(float(np.mean(hits)), 4)
    result["ground"], result["both_colours"], result["relation"] = (round(float(np.mean([f[j] for f in found])), 4) for j in range(3))
    if out:
        real = bench.p.draw(torch.tensor([r for _, r, _ in colours]).float())
        result["colour_real"] = round(float(np.mean(check_colours(real, names))), 4)
        result["relation_real"] = check_relations(bench.p.draw(torch.tensor([r for _, r, _ in pairs]).float()), specs)
        pictures.sheet(drawn[0][:64]).save(f"{out}/compositions.webp", quality=90)
        files.write_json(f"{out}/compositions.json", [t for _, _, t in pairs[:64]])
    return result


def neighbours(bench, y, out=None):
    """The nearest training picture of each: how alike in pixels (found at a quarter of the size), and in features."""
    small = lambda v: F.avg_pool2d(v, 4).flatten(1)
    real = bench.white(bench.seen)
    rs = small(real)
    best = torch.cat([torch.cdist(small(b), rs).argmin(1) for b in y.split(128)])
    error = torch.cat([(u - real[k]).pow(2).mean((1, 2, 3)) for u, k in zip(y.split(128), best.split(128))])
    unit = lambda f: f / f.norm(dim=1, keepdim=True)
    near = 1 - (unit(features(bench.net, y)) @ unit(bench.real).t()).amax(1)
    db = 10 * torch.log10(4 / error.clamp(min=1e-9))
    if out:
        pictures.sheet(torch.stack([y[:32], real[best[:32]]], 1).flatten(0, 1), 16).save(f"{out}/neighbours.webp", quality=88)
    return dict(psnr_median=round(float(db.median()), 2), psnr_p90=round(float(db.quantile(0.9)), 2),
                over_25_db=round(float((db > 25).float().mean()), 4), feature_median=round(float(near.median()), 4))


def plot(path, title, xs, series, log=False):
    """Lines over xs, each of its own scale from 0 to its largest value, as a small SVG."""
    w, h, left, top = 560, 300, 50, 40
    at = lambda v: (np.log(v) - np.log(xs[0])) / (np.log(xs[-1]) - np.log(xs[0])) if log else (v - xs[0]) / (xs[-1] - xs[0])
    px = lambda v: round(left + at(v) * (w - 2 * left), 1)
    parts = [f'<text x="{w / 2}" y="18" text-anchor="middle" font-weight="bold">{title}</text>',
             f'<path d="M{left} {top}V{h - 40}H{w - left}" fill="none" stroke="#888"/>']
    parts += [f'<text x="{px(v)}" y="{h - 22}" text-anchor="middle">{v:g}</text>' for v in xs]
    for k, (name, ys) in enumerate(series.items()):
        peak = max(ys) or 1
        colour = "#%02x%02x%02x" % tuple(int(255 * c) for c in colorsys.hls_to_rgb(k / max(1, len(series)), 0.4, 0.7))
        py = lambda v: round(h - 40 - v / peak * (h - 50 - top), 1)
        parts.append(f'<path d="M{" L".join(f"{px(a)} {py(b)}" for a, b in zip(xs, ys))}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{px(a)}" cy="{py(b)}" r="3" fill="{colour}"><title>{name}: {b:g}</title></circle>' for a, b in zip(xs, ys)]
        parts.append(f'<text x="{left - 40 + k * 108}" y="{h - 5}" fill="{colour}">{name} (top {peak:.3g})</text>')
    with open(path, "w") as f:
        f.write(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" font-family="sans-serif" font-size="10">'
                f'<rect width="{w}" height="{h}" fill="#fff"/>{"".join(parts)}</svg>\n')


def sweep(bench, model, points, a, name, title, log=False):
    """Everything at each (steps, guidance); two plots."""
    rows = []
    for steps, guidance in points:
        row, x, _ = measure(bench, model, steps, guidance, a.n // 2)
        rows.append({**row, **checks(bench, model, steps, guidance, 1), "copied": neighbours(bench, x[:256])["over_25_db"]})
        print(json.dumps(rows[-1]), flush=True)
    xs = [p[0] if log else p[1] for p in points]
    of = lambda *keys: {k: [r[k] for r in rows] for k in keys}
    plot(f"{a.out}/{name}.svg", title, xs, {"FID": [r["fid"] for r in rows], **of("precision", "recall")}, log)
    plot(f"{a.out}/{name}-text.svg", title, xs, {"top-5 seen": [r["seen"][1] for r in rows], "top-5 held": [r["held"][1] for r in rows],
                                                 **of("colour", "relation", "copied")}, log)
    return rows


def autoencoders(bench, folders, out):
    """Fidelity on held-out pictures on four grounds."""
    result = {}
    grounds = [(1, 1, 1), (0.25, 0.45, 0.9), (1, 0.87, 0.31), (0.06, 0.06, 0.07)]
    index = torch.tensor(bench.held, device=bench.device)
    x = torch.cat([bench.p.on(i, torch.tensor(g, device=bench.device).float().expand(len(i), 3)) for g in grounds for i in index.split(64)])
    for folder in folders:
        vae = models.load(folder, bench.device)
        y = torch.cat([vae.decode(vae.encode(b)) for b in x.split(64)]).clamp(-1, 1)
        db, n = 10 * torch.log10(4 / (x - y).pow(2).mean((1, 2, 3)).clamp(min=1e-10)), len(index)
        entry = dict(psnr_white=float(db[:n].mean()), psnr=float(db.mean()), psnr_of_mean_error=float(10 * torch.log10(4 / (x - y).pow(2).mean())),
                     ssim=float(torch.cat([ssim(a, b) for a, b in zip(x.split(64), y.split(64))]).mean()),
                     rfid=fid(features(bench.net, x), features(bench.net, y)), parameters=models.count(vae), pictures=len(x))
        if hasattr(vae, "quantize"):
            words = torch.cat([vae.quantise(vae.encode(b))[1] for b in x.split(64)])
            entry["words_in_use"] = len(words.unique())
        result[os.path.basename(folder.rstrip("/"))] = {k: round(v, 4) for k, v in entry.items()}
        print(folder, result[os.path.basename(folder.rstrip("/"))], flush=True)
    return result


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--model")
    p.add_argument("--vae", default=".train-more/vae")
    p.add_argument("--autoencoders", nargs="*", default=[])
    p.add_argument("--classifier", default=".train-more/classifier")
    p.add_argument("--data", default=".train/data")
    p.add_argument("--out", required=True)
    p.add_argument("--steps", type=int, default=20)
    p.add_argument("--guidance", type=float, default=4.0)
    p.add_argument("--n", type=int, default=2048)
    p.add_argument("--seeds", type=int, default=2)
    p.add_argument("--quick", action="store_true", help="FID and agreement alone")
    p.add_argument("--guidances", type=float, nargs="*", default=[])
    p.add_argument("--steps-sweep", type=int, nargs="*", default=[])
    p.add_argument("--tiny", action="store_true")
    a = p.parse_args()
    os.makedirs(a.out, exist_ok=True)
    with torch.no_grad():
        bench, began, result = Bench(a), time.time(), {}
        result["classifier_on_real"] = dict(held=bench.agreement(bench.white(bench.held), bench.held), seen=bench.agreement(bench.white(bench.seen), bench.seen))
        if a.autoencoders:
            with training.exact():
                result["autoencoders"] = autoencoders(bench, a.autoencoders, a.out)
        if a.model:
            model = Model(bench, a.model, a.vae)
            guidance = a.guidance
            if a.guidances:
                result["guidance"] = sweep(bench, model, [(a.steps, g) for g in a.guidances], a, "guidance", f"against guidance, {a.steps} steps")
                guidance = min(result["guidance"], key=lambda r: r["fid"])["guidance"]
            if a.steps_sweep:
                result["steps"] = sweep(bench, model, [(n, a.guidance) for n in a.steps_sweep], a, "steps", f"against steps, guidance {a.guidance:g}", True)
            runs = [measure(bench, model, a.steps, a.guidance, a.n, s) for s in range(1 if a.quick else a.seeds)]
            result["at"] = [r for r, _, _ in runs]
            result["best_guidance_for_fid"] = guidance
            if guidance != a.guidance:
                result["at_best"] = measure(bench, model, a.steps, guidance, a.n)[0]
            if not a.quick:
                result["checks"] = checks(bench, model, a.steps, a.guidance, a.seeds, a.out)
                x = runs[0][1]
                result["neighbours"] = dict(drawn=neighbours(bench, x[:512], a.out), held_out=neighbours(bench, bench.white(bench.held)))
                pictures.sheet(x[:64]).save(f"{a.out}/samples.webp", quality=88)
                y = model.draw([bench.caption(i) for i in bench.held[::5][:64]], a.steps, a.guidance)
                pictures.sheet(y).save(f"{a.out}/held.webp", quality=88)
            asked = diffusion.prompts()[: 8 if a.tiny else 64]
            pictures.sheet(model.draw(asked, a.steps, a.guidance)).save(f"{a.out}/sheet.webp", quality=90)
        result["seconds"] = round(time.time() - began, 1)
        files.write_json(f"{a.out}/results.json", result)
        print(json.dumps({k: v for k, v in result.items() if k not in ("guidance", "steps")}, indent=1))


if __name__ == "__main__":
    main()
