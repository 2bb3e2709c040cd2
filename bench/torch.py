"""PyTorch on the work of `npm run bench -- --cases`, for what the hardware gives without a browser.

    python3 bench/torch.py [--out FOLDER] [--runs 20] [--only TEXT] [--small]

Stable Diffusion 1.5's networks with random weights, NHWC ("channels last"): float16 eager and as a CUDA graph, and float32
without TF32. Times are medians of CUDA events; errors are relative (root mean square), of operators against float64, of
networks against float32. `--small` tries the script itself, on a CPU where there is no card.
"""

import argparse
import json
import os
import statistics
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

CUDA = torch.cuda.is_available()
DEVICE = "cuda" if CUDA else "cpu"


class ResBlock(nn.Module):
    def __init__(self, i, o, time=None, eps=1e-5):
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(32, i, eps), nn.Conv2d(i, o, 3, padding=1)
        self.norm2, self.conv2 = nn.GroupNorm(32, o, eps), nn.Conv2d(o, o, 3, padding=1)
        self.time = nn.Linear(time, o) if time else None
        self.shortcut = nn.Conv2d(i, o, 1) if i != o else nn.Identity()

    def forward(self, x, t=None):
        h = self.conv1(F.silu(self.norm1(x)))
        if self.time is not None:
            h = h + self.time(F.silu(t))[:, :, None, None]
        return self.shortcut(x) + self.conv2(F.silu(self.norm2(h)))


class Attention(nn.Module):
    def __init__(self, width, context, heads):
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(width, width, bias=False)
        self.k, self.v = (nn.Linear(context, width, bias=False) for _ in range(2))
        self.out = nn.Linear(width, width)

    def forward(self, x, context):
        q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in (self.q(x), self.k(context), self.v(context)))
        return self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))


class Transformer(nn.Module):
    def __init__(self, width, heads=8, context=768):
        super().__init__()
        self.norm = nn.GroupNorm(32, width, 1e-6)
        self.proj_in, self.proj_out = nn.Conv2d(width, width, 1), nn.Conv2d(width, width, 1)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))
        self.own, self.cross = Attention(width, width, heads), Attention(width, context, heads)
        self.wide, self.narrow = nn.Linear(width, 8 * width), nn.Linear(4 * width, width)

    def forward(self, x, context):
        h = self.proj_in(self.norm(x)).flatten(2).transpose(1, 2)
        n = self.norms[0](h)
        h = h + self.own(n, n)
        h = h + self.cross(self.norms[1](h), context)
        a, b = self.wide(self.norms[2](h)).chunk(2, -1)
        h = h + self.narrow(a * F.gelu(b))
        return x + self.proj_out(h.transpose(1, 2).unflatten(2, x.shape[2:]))


class UNet(nn.Module):
    def __init__(self, widths=(320, 640, 1280, 1280)):
        super().__init__()
        w0, last, time = widths[0], len(widths) - 1, 4 * widths[0]
        self.time = nn.Sequential(nn.Linear(w0, time), nn.SiLU(), nn.Linear(time, time))
        self.conv_in = nn.Conv2d(4, w0, 3, padding=1)
        self.down, skips, width = nn.ModuleList(), [w0], w0
        for level, out in enumerate(widths):
            for _ in range(2):
                blocks = [ResBlock(width, out, time)] + ([Transformer(out)] if level < last else [])
                self.down.append(nn.ModuleList(blocks))
                width = out
                skips.append(out)
            if level < last:
                self.down.append(nn.ModuleList([nn.Conv2d(out, out, 3, 2, 1)]))
                skips.append(out)
        self.mid = nn.ModuleList([ResBlock(width, width, time), Transformer(width), ResBlock(width, width, time)])
        self.up = nn.ModuleList()
        for level, out in reversed(list(enumerate(widths))):
            for i in range(3):
                blocks = [ResBlock(width + skips.pop(), out, time)] + ([Transformer(out)] if level < last else [])
                if i == 2 and level > 0:
                    blocks += [nn.Upsample(scale_factor=2), nn.Conv2d(out, out, 3, padding=1)]
                self.up.append(nn.ModuleList(blocks))
                width = out
        self.norm_out, self.conv_out = nn.GroupNorm(32, w0), nn.Conv2d(w0, 4, 3, padding=1)

    def forward(self, x, t, context):
        def through(blocks, h):
            for block in blocks:
                h = block(h, time) if isinstance(block, ResBlock) else block(h, context) if isinstance(block, Transformer) else block(h)
            return h

        half = self.time[0].in_features // 2
        angles = t[:, None] * torch.exp(-9.210340372 * torch.arange(half, device=t.device) / half)
        time = self.time(torch.cat([angles.cos(), angles.sin()], 1).to(x.dtype))
        h = self.conv_in(x)
        skips = [h]
        for blocks in self.down:
            h = through(blocks, h)
            skips.append(h)
        h = through(self.mid, h)
        for blocks in self.up:
            h = through(blocks, torch.cat([h, skips.pop()], 1))
        return self.conv_out(F.silu(self.norm_out(h)))


class PixelAttention(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm = nn.GroupNorm(32, width, 1e-6)
        self.q, self.k, self.v, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x):
        h = self.norm(x).flatten(2).transpose(1, 2)
        y = F.scaled_dot_product_attention(self.q(h)[:, None], self.k(h)[:, None], self.v(h)[:, None])[:, 0]
        return x + self.out(y).transpose(1, 2).unflatten(2, x.shape[2:])


class Decoder(nn.Sequential):
    def __init__(self, widths=(128, 256, 512, 512)):
        top = widths[-1]
        parts = [nn.Conv2d(4, 4, 1), nn.Conv2d(4, top, 3, padding=1)]
        parts += [ResBlock(top, top, eps=1e-6), PixelAttention(top), ResBlock(top, top, eps=1e-6)]
        width = top
        for level, out in reversed(list(enumerate(widths))):
            for _ in range(3):
                parts.append(ResBlock(width, out, eps=1e-6))
                width = out
            if level > 0:
                parts += [nn.Upsample(scale_factor=2), nn.Conv2d(out, out, 3, padding=1)]
        super().__init__(*parts, nn.GroupNorm(32, width, 1e-6), nn.SiLU(), nn.Conv2d(width, 3, 3, padding=1))


def operators(small):
    """Name, function, shapes of what it takes, operations."""
    scale = 8 if small else 1

    def conv(n, side, i, o):
        side //= scale
        shapes = [(n, i, side, side), (o, i, 3, 3), (o,)]
        return f"conv 3x3 {i}>{o} @{side}x{side} batch {n}", lambda x, w, b: F.conv2d(x, w, b, padding=1), shapes, 18 * n * side * side * i * o

    def linear(rows, i, o):
        return f"linear {rows}x{i}x{o}", F.linear, [(rows, i), (o, i), (o,)], 2 * rows * i * o

    def attention(n, tokens, heads, size):
        tokens //= scale
        shape = (n, tokens, heads, size)

        def f(q, k, v):
            return F.scaled_dot_product_attention(*(t.transpose(1, 2) for t in (q, k, v))).transpose(1, 2)

        return f"attention {n}x{tokens}x{heads}x{size}", f, [shape] * 3, 4 * n * tokens * tokens * heads * size

    def norm(n, width, side):
        side //= scale
        shapes = [(n, width, side, side), (width,), (width,)]
        return f"group norm + SiLU {n}x{width}x{side}x{side}", lambda x, w, b: F.silu(F.group_norm(x, 32, w, b)), shapes, 0

    return [conv(2, 64, 320, 320), conv(2, 16, 1280, 1280), linear(4096, 320, 2560), attention(2, 4096, 8, 40), norm(2, 320, 64)]


def now(run, repeats):
    """Milliseconds of one of so many runs."""
    if not CUDA:
        begin = time.perf_counter()
        for _ in range(repeats):
            run()
        return (time.perf_counter() - begin) * 1000 / repeats
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    for _ in range(repeats):
        run()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) / repeats


def timed(run, runs):
    once = [now(run, 1) for _ in range(5 if CUDA else 1)][-1]
    repeats = max(1, min(500, int(5 / once))) if CUDA else 1
    values = [now(run, repeats) for _ in range(runs)]
    return {"median": statistics.median(values), "least": min(values), "most": max(values), "runs": runs, "repeats": repeats, "by": "device"}


def graphed(run):
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay


def error(actual, expected):
    actual, expected = actual.double(), expected.double()
    return float(((actual - expected).square().sum() / expected.square().sum()).sqrt())


def nhwc(t):
    return t.contiguous(memory_format=torch.channels_last) if t.dim() == 4 else t


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="bench/results")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--only", default="")
    parser.add_argument("--small", action="store_true")
    given = parser.parse_args()
    torch.manual_seed(1)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True
    rows = []

    def measure(name, dtype, run, expected, flops=0):
        modes = [("eager", run)]
        if CUDA:
            modes.append(("graph", graphed(run)))
        if CUDA:
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
        off = error(run(), expected)
        extra = {"bytesBeyond": torch.cuda.max_memory_allocated() - before} if CUDA else {}
        for mode, call in modes:
            row = {"id": name, "dtype": dtype, "mode": mode, "time": timed(call, given.runs), "flops": flops, "error": off, **extra}
            rows.append(row)
            rate = f"{flops / row['time']['median'] / 1e9:8.1f} TFLOP/s" if flops else ""
            print(f"{name:40} {dtype} {mode:5} {row['time']['median']:9.4f} ms  error {off:.1e} {rate}", flush=True)

    types = [("f16", torch.float16), ("f32", torch.float32)] if CUDA else [("f32", torch.float32)]
    with torch.inference_mode():
        for name, f, shapes, flops in operators(given.small):
            if given.only not in name:
                continue
            exact = [torch.randn(s, device=DEVICE) for s in shapes]
            if f is F.linear or "conv" in name:
                exact[1] /= exact[1][0].numel() ** 0.5
            exact = [t.half().double() for t in exact]
            expected = f(*exact)
            for dtype, kind in types:
                inputs = [nhwc(t.to(kind)) for t in exact]
                measure(name, dtype, lambda: f(*inputs), expected, flops)
        side = 8 if given.small else 64
        unet = (UNet((32, 64)) if given.small else UNet()).to(DEVICE).eval()
        decoder = (Decoder((32, 64)) if given.small else Decoder()).to(DEVICE).eval()

        def network(name, model, inputs):
            if given.only not in name:
                return
            expected = model.float()(*inputs)
            for dtype, kind in types:
                model.to(kind).to(memory_format=torch.channels_last)
                typed = [nhwc(t.to(kind)) if t.dim() > 1 else t for t in inputs]
                measure(name, dtype, lambda: model(*typed), expected)
            model.float()

        for batch in (1, 2):
            latent, context = torch.randn(batch, 4, side, side, device=DEVICE), torch.randn(batch, 77, 768, device=DEVICE)
            network(f"UNet step batch {batch}", unet, (latent, torch.full((batch,), 501.0, device=DEVICE), context))
        for pixels in (512, 1024):
            if given.small and pixels > 512:
                break
            network(f"VAE decode {pixels}", decoder, (torch.randn(1, 4, pixels * side // 512, pixels * side // 512, device=DEVICE),))
    card = torch.cuda.get_device_name() if CUDA else "CPU"
    report = {"adapter": card, "date": time.strftime("%Y-%m-%d"), "versions": {"torch": torch.__version__, "cuda": torch.version.cuda}, "rows": rows}
    os.makedirs(given.out, exist_ok=True)
    path = os.path.join(given.out, f"torch-{card.lower().replace(' ', '-')}.json")
    with open(path, "w") as file:
        json.dump(report, file, separators=(",", ":"))
    print(path)


if __name__ == "__main__":
    main()
