"""What the trainers share: arguments, precision, schedules, moving averages, states."""
import argparse
import contextlib
import math
import os
import sys

import torch

import files
from team import Gradients, Team


def arguments(**defaults):
    p = argparse.ArgumentParser()
    p.add_argument("--seconds", type=float, default=480, help="of the whole process; it saves and evaluates before they end")
    p.add_argument("--resume", help="folder of an earlier run: its state.pt if there, else the float16 weights")
    p.add_argument("--out", required=True, help="folder for float16 weights, logs and sheets: small, to be kept")
    p.add_argument("--state", help="folder for state.pt (float32, optimiser): large, for the next run on the same machine")
    p.add_argument("--data", default=".train/data")
    p.add_argument("--classifier", default=".train/classifier")
    p.add_argument("--cache", default="cache", help="folder of what was compiled")
    p.add_argument("--batch", type=int, default=defaults.pop("batch", 128))
    p.add_argument("--lr", type=float, default=defaults.pop("lr", 6e-4))
    p.add_argument("--warmup", type=int, default=defaults.pop("warmup", 150), help="steps")
    p.add_argument("--hold", type=float, default=defaults.pop("hold", 0.0), help="share of the run before the decay; 1: none")
    p.add_argument("--end", type=float, default=0.02, help="the last learning rate, as a share of the first")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--steps", type=int, default=1 << 30, help="at most")
    p.add_argument("--no-compile", action="store_true")
    p.add_argument("--no-graph", action="store_true")
    p.add_argument("--tiny", action="store_true", help="small networks and few pictures, to try the script on a CPU")
    for name, value in defaults.items():
        p.add_argument("--" + name.replace("_", "-"), type=type(value), default=value)
    a = p.parse_args()
    a.device, a.team = "cuda" if torch.cuda.is_available() else "cpu", Team()
    a.limit = 4 if a.tiny else None
    os.makedirs(a.out, exist_ok=True)
    torch.manual_seed(a.seed)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.benchmark = True
    if a.device == "cuda" and os.path.exists(cache_of(a)):
        try:
            torch.compiler.load_cache_artifacts(open(cache_of(a), "rb").read())
        except Exception as error:
            print("no use of the compiler's cache:", repr(error)[:200])
    return a


def cache_of(a):
    return f"{a.cache}/{os.path.basename(sys.argv[0])}.cache"


def keep_cache(a):
    """What was compiled, for the next machine of the same kind."""
    if a.team.first and a.device == "cuda" and not a.no_compile and not os.path.exists(cache_of(a)):
        try:
            os.makedirs(a.cache, exist_ok=True)
            artifacts = torch.compiler.save_cache_artifacts()
            if artifacts:
                with open(cache_of(a), "wb") as f:
                    f.write(artifacts[0])
        except Exception as error:
            print("the compiler's cache is not kept:", repr(error)[:200])


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

    def __call__(self, step, p):
        a = self.a
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


def graphs(*functions):
    """Functions of no arguments as CUDA graphs, captured after a few plain runs of all; the results replay them."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(4):
            for f in functions:
                f()
    torch.cuda.current_stream().wait_stream(side)
    torch.cuda.synchronize()
    out, memory = [], None
    for f in functions:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=memory):
            f()
        memory = graph.pool()
        out.append(graph.replay)
    return out


class Work:
    """The loop of the denoisers: AdamW on a loss, clipped, with a moving average. On a GPU a step is two CUDA graphs: the
    loss with its gradients, and the update; between them a team averages."""
    def __init__(self, a, params, state=None):
        self.a, self.params, self.cuda, self.before = a, list(params), a.device == "cuda", state["step"] if state else 0
        self.lr = torch.full((), 1e-9, device=a.device)  # next to nothing while a graph is prepared
        groups = [dict(params=[q for q in self.params if q.dim() > 1], weight_decay=0.01),
                  dict(params=[q for q in self.params if q.dim() < 2], weight_decay=0.0)]
        extra = dict(fused=True, capturable=True) if self.cuda else {}
        self.opt = torch.optim.AdamW(groups, lr=self.lr if self.cuda else a.lr, betas=(0.9, 0.99), **extra)
        a.team.share(self.params)
        self.gradients = Gradients(self.params, a.team)
        self.average = Average(self.params, a.average)
        self.step = self.before
        if state:
            self.opt.load_state_dict(state["opt"])
            for g in self.opt.param_groups:
                g["lr"] = self.lr if self.cuda else a.lr
            self.average.values, self.average.steps = state["average"], 100_000

    def state(self):
        return dict(opt=self.opt.state_dict(), average=self.average.values, step=self.step)

    def run(self, loss, clock, say, reserve):
        a, began = self.a, clock.elapsed()
        total = torch.zeros((), device=a.device)

        def learn():
            self.gradients.clear()
            value = loss()
            value.backward()
            total.add_(value.detach())

        def update():
            torch.nn.utils.clip_grad_norm_(self.params, 1.0)
            self.opt.step()

        if self.cuda and not a.no_graph:
            try:
                learn, update = graphs(learn, update)
            except Exception as error:  # a failed capture leaves the process unusable: begin again without
                print("capture failed:", repr(error)[:800], flush=True)
                if a.team.size > 1:
                    raise
                os.execv(sys.executable, [sys.executable, *sys.argv, "--no-graph", "--seconds", str(clock.left())])
        torch.manual_seed(a.team.seed(a.seed))
        moments = [v for state in self.opt.state.values() for v in state.values() if torch.is_tensor(v)]
        a.team.share([*self.params, *moments])  # capturing took steps of next to nothing, on each process's own pictures
        say(ready=clock.elapsed() - began)
        total.zero_()
        rate, step, count, mark = Rate(a, clock.elapsed(), a.seconds - reserve), 0, 0, clock.elapsed()
        while step < a.steps and (progress := a.team.agree(rate.progress(clock.elapsed()))) < 1:
            value = rate(step, progress)
            self.lr.fill_(value)
            if not self.cuda:
                for g in self.opt.param_groups:
                    g["lr"] = value
            learn()
            self.gradients.average()
            update()
            step, count = step + 1, count + 1
            if step % 8 == 0:
                self.average.update(8)
            if step % 32 == 0 and self.cuda:
                torch.cuda.synchronize()  # the clock counts what is done, not what is queued
            if step in (10, 50) or step % 400 == 0:
                v, now = float(total) / count, clock.elapsed()
                say(step=self.before + step, loss=v, lr=value, per_s=count * a.batch * a.team.size / (now - mark))
                if v != v:
                    sys.exit("the loss is not a number")
                total.zero_()
                count, mark = 0, now
        self.step = self.before + step
        say(done=self.step, samples=step * a.batch * a.team.size, per_s=step * a.batch * a.team.size / max(1e-9, clock.elapsed() - rate.begin))


def save_state(a, **parts):
    if a.state and a.team.first:
        os.makedirs(a.state, exist_ok=True)
        torch.save(parts, f"{a.state}/state.pt")


def load_state(a):
    path = a.resume and f"{a.resume}/state.pt"
    return torch.load(path, map_location=a.device) if path and os.path.exists(path) else None


def log(a, name):
    return files.Log(f"{a.out}/{name}.jsonl") if a.team.first else lambda **fields: None
