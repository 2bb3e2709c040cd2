"""What the trainers share: arguments, precision, schedules, moving averages, states."""
import argparse
import contextlib
import math
import os

import torch

import files


def arguments(**defaults):
    p = argparse.ArgumentParser()
    p.add_argument("--seconds", type=float, default=480, help="of the whole process; it saves and evaluates before they end")
    p.add_argument("--resume", help="folder of an earlier run: its state.pt if there, else the float16 weights")
    p.add_argument("--out", required=True, help="folder for float16 weights, logs and sheets: small, to be kept")
    p.add_argument("--state", help="folder for state.pt (float32, optimiser): large, for the next run on the same machine")
    p.add_argument("--data", default=".train/data")
    p.add_argument("--classifier", default=".train/classifier")
    p.add_argument("--batch", type=int, default=defaults.pop("batch", 128))
    p.add_argument("--lr", type=float, default=defaults.pop("lr", 6e-4))
    p.add_argument("--warmup", type=int, default=defaults.pop("warmup", 150), help="steps")
    p.add_argument("--hold", type=float, default=defaults.pop("hold", 0.0), help="share of the run before the decay; 1: none")
    p.add_argument("--end", type=float, default=0.02, help="the last learning rate, as a share of the first")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--steps", type=int, default=1 << 30, help="at most")
    p.add_argument("--no-compile", action="store_true")
    p.add_argument("--tiny", action="store_true", help="small networks and few pictures, to try the script on a CPU")
    for name, value in defaults.items():
        p.add_argument("--" + name.replace("_", "-"), type=type(value), default=value)
    a = p.parse_args()
    a.device = "cuda" if torch.cuda.is_available() else "cpu"
    a.limit = 4 if a.tiny else None
    os.makedirs(a.out, exist_ok=True)
    torch.manual_seed(a.seed)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.benchmark = True
    return a


def autocast(device):
    """bfloat16 on a GPU; the cache of cast weights is off, since graphs are captured."""
    return torch.autocast("cuda", torch.bfloat16, cache_enabled=False) if device == "cuda" else contextlib.nullcontext()


@contextlib.contextmanager
def exact():
    """float32 without shortcuts, for what is measured."""
    old = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.benchmark = False
    try:
        with torch.no_grad():
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark = old


def compiled(f, a):
    return torch.compile(f, dynamic=False) if a.device == "cuda" and not a.no_compile and hasattr(torch, "compile") else f


class Rate:
    """Warm-up by steps, then a constant, then a cosine, by the time that a run has spent."""
    def __init__(self, a, begin, end):
        self.a, self.begin, self.end = a, begin, end

    def progress(self, now):
        return min(1.0, (now - self.begin) / max(1e-9, self.end - self.begin))

    def __call__(self, step, now):
        a, p = self.a, self.progress(now)
        decay = 1.0 if p <= a.hold else a.end + (1 - a.end) * 0.5 * (1 + math.cos(math.pi * (p - a.hold) / (1 - a.hold)))
        return a.lr * min(1.0, (step + 1) / a.warmup) * decay


class Average:
    """A moving average of parameters."""
    def __init__(self, params, decay):
        self.params, self.decay, self.steps = list(params), decay, 0
        self.values = [p.detach().clone() for p in self.params]

    @torch.no_grad()
    def update(self, every=1):
        self.steps += every
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps)) ** every
        torch._foreach_mul_(self.values, decay)
        torch._foreach_add_(self.values, self.params, alpha=1 - decay)

    @contextlib.contextmanager
    def swapped(self):
        """The average in the place of the parameters, for evaluation and export."""
        own = [p.detach().clone() for p in self.params]
        with torch.no_grad():
            for p, v in zip(self.params, self.values):
                p.copy_(v)
        try:
            yield
        finally:
            with torch.no_grad():
                for p, v in zip(self.params, own):
                    p.copy_(v)


def save_state(a, **parts):
    if a.state:
        os.makedirs(a.state, exist_ok=True)
        torch.save(parts, f"{a.state}/state.pt")


def load_state(a):
    path = a.resume and f"{a.resume}/state.pt"
    return torch.load(path, map_location=a.device) if path and os.path.exists(path) else None


def log(a, name):
    return files.Log(f"{a.out}/{name}.jsonl")
