"""Pictures on the device: the atlases, recolouring, and drawing rows of a plan (see captions.py) in batches."""
import json
import multiprocessing
import os
import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

import captions
from tokenizer import Tokenizer

WORKERS = min(16, len(os.sched_getaffinity(0)))
HERE = os.path.dirname(os.path.abspath(__file__))


def load_world(folder):
    """The table of pictures, with hues and the held-out list."""
    index = json.load(open(f"{folder}/index.json"))
    hues = json.load(open(f"{folder}/hues.json")) if os.path.exists(f"{folder}/hues.json") else None
    held = f"{HERE}/holdout.json"
    holdout = json.load(open(held)) if os.path.exists(held) else dict(pairs={}, colours=[], compositions=[])
    holdout["pairs"] = {s: h.split(" ") for s, h in holdout["pairs"].items()}
    return captions.World(index, hues, holdout), index


def load_pixels(folder, index, limit=None):
    """All pictures as uint8 [N, 4, 128, 128], in the order of the world's table. A limit is for trying things out."""
    names, counts = [], []
    for s in index["styles"]:
        n = len(s["emoji"])
        for part in range(-(-n // 256)):
            names.append(f"{folder}/{s['style']}-{part}.webp")
            counts.append(min(256, n - 256 * part))

    def read(name, n):
        a = np.asarray(Image.open(name).convert("RGBA"))
        h = a.shape[0] // 128
        return a.reshape(h, 128, 16, 128, 4).transpose(0, 2, 4, 1, 3).reshape(-1, 4, 128, 128)[:n]

    with ThreadPoolExecutor(WORKERS) as pool:
        return np.concatenate(list(pool.map(read, names[:limit], counts[:limit])))


def rotate_hue(rgb, degrees):
    """Turns the hue of [B, 3, H, W] in 0..1 by degrees [B]; lightness and saturation of HSV stay."""
    r, g, b = rgb.unbind(1)
    high, low = rgb.amax(1), rgb.amin(1)
    d = high - low
    safe = d.clamp(min=1e-6)
    h = torch.where(high == r, ((g - b) / safe) % 6, torch.where(high == g, (b - r) / safe + 2, (r - g) / safe + 4))
    h = torch.where(d > 0, h + degrees[:, None, None] / 60, torch.zeros_like(h)) % 6
    part = lambda n: high - d * torch.minimum((n + h) % 6, 4 - (n + h) % 6).clamp(0, 1)
    return torch.stack([part(5.0), part(3.0), part(1.0)], 1)


def place(x, scale, cx, cy):
    """Premultiplied [B, 4, 128, 128], scaled about its centre, which goes to (cx, cy) in pixels."""
    theta = torch.zeros(len(x), 2, 3, device=x.device)
    theta[:, 0, 0] = theta[:, 1, 1] = 1 / scale
    theta[:, 0, 2], theta[:, 1, 2] = (64 - cx) / 64 / scale, (64 - cy) / 64 / scale
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    out = F.grid_sample(x, grid, align_corners=False)
    # Small pieces are sampled from half the resolution, so that they do not alias.
    if bool((scale < 0.6).any()):
        half = F.grid_sample(F.avg_pool2d(x, 2), grid, align_corners=False)
        out = torch.where((scale < 0.6)[:, None, None, None], half, out)
    exact = (scale == 1) & (cx == 64) & (cy == 64)
    return torch.where(exact[:, None, None, None], x, out)


class Pictures:
    def __init__(self, pixels, device):
        self.pixels, self.device = torch.from_numpy(pixels).to(device), device
        line = (torch.arange(128, device=device) + 0.5) / 128
        self.down, self.across = line[:, None].expand(128, 128), line[None, :].expand(128, 128)

    def __len__(self):
        return len(self.pixels)

    def raw(self, index):
        return self.pixels[index].float() / 255

    def on(self, index, rgb):
        """Plain pictures on a ground of one colour [B, 3] in 0..1; the result is in -1..1."""
        x = self.raw(index)
        return (x[:, :3] * x[:, 3:] + rgb[:, :, None, None] * (1 - x[:, 3:])) * 2 - 1

    def draw(self, rows):
        """Rows of a plan [B, 22] as pictures in -1..1."""
        rows = rows.to(self.device)
        a, b, way = rows[:, 15:18] / 255, rows[:, 18:21] / 255, rows[:, 21]
        turn = way.clamp(min=0) * (np.pi / 180)
        t = turn.cos()[:, None, None] * self.down + turn.sin()[:, None, None] * self.across
        t = (t / (turn.cos() + turn.sin())[:, None, None])[:, None]
        out = a[:, :, None, None] * (1 - t) + b[:, :, None, None] * t
        for k in range(3):
            i, shift, scale, x, y = rows[:, 5 * k: 5 * k + 5].unbind(1)
            some = (i >= 0).nonzero()[:, 0]
            if len(some) == 0:
                continue
            p = self.raw(i[some].long())
            rgb = torch.where((shift[some] != 0)[:, None, None, None], rotate_hue(p[:, :3], shift[some]), p[:, :3])
            p = place(torch.cat([rgb * p[:, 3:], p[:, 3:]], 1), scale[some], x[some], y[some])
            out[some] = p[:, :3] + out[some] * (1 - p[:, 3:])
        return out * 2 - 1


_world = _tokens = None


def _job(job):
    seed, n, shares, wordings = job
    rng, rows, ids = random.Random(seed), [], []
    for _ in range(n):
        row, words = captions.plan(rng, _world, shares)
        rows.append(row)
        ids.append([_tokens(words()) for _ in range(wordings)])
    return np.array(rows, np.float32), np.array(ids, np.int16)


def make_plan(world, tokens, n, seed, shares=(0.62, 0.3, 0.08), wordings=2):
    """n rows and their captions' tokens [n, wordings, 32], made by all processors."""
    global _world, _tokens
    _world, _tokens = world, tokens
    size = 2000
    jobs = [(seed * 1_000_003 + k, min(size, n - k * size), shares, wordings) for k in range(-(-n // size))]
    with multiprocessing.get_context("fork").Pool(WORKERS) as pool:
        out = pool.map(_job, jobs, chunksize=1)
    return torch.from_numpy(np.concatenate([a for a, _ in out])), torch.from_numpy(np.concatenate([b for _, b in out]))


def sheet(x, columns=8):
    """Pictures in -1..1 as one image."""
    x = ((x.detach().float().cpu().clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    n, h, w, _ = x.shape
    out = np.full((-(-n // columns) * h, columns * w, 3), 255, np.uint8)
    for i in range(n):
        out[i // columns * h:(i // columns + 1) * h, i % columns * w:(i % columns + 1) * w] = x[i]
    return Image.fromarray(out)
