"""Several GPUs for one run: `torchrun --nproc_per_node N diffusion.py ...` starts a process for each. Every process draws
pictures and noise of its own, gradients are averaged, and the first one tells the time, so that all take equal steps; it
alone writes. Without torchrun there is one process, and nothing here costs anything."""
import os

if "LOCAL_RANK" in os.environ:  # before CUDA starts: each process sees its own card alone, as number 0, which compiled kernels name
    cards = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
    rank = os.environ["LOCAL_RANK"]
    os.environ["CUDA_VISIBLE_DEVICES"] = cards[int(rank)] if len(cards) > int(rank) and cards[0] else rank

import torch
import torch.distributed as dist


class Team:
    def __init__(self):
        self.rank, self.size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        self.first = self.rank == 0
        if self.size > 1:
            dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")

    def seed(self, seed):
        """Of what this process draws; seeds of runs are below 1000."""
        return seed + 1000 * self.rank

    def agree(self, value):
        """The first process's number, for all."""
        if self.size == 1:
            return value
        box = torch.tensor([value], dtype=torch.float64)
        dist.broadcast(box, 0)
        return float(box)

    @torch.no_grad()
    def share(self, tensors):
        """Gives every process the first one's values. By way of the CPU: NCCL is not touched before graphs are captured."""
        if self.size == 1:
            return
        for t in tensors:
            box = t.detach().cpu().contiguous()
            dist.broadcast(box, 0)
            t.copy_(box)


class Gradients:
    """The gradients of some parameters, side by side in one piece of memory, which a team averages at once."""
    def __init__(self, params, team):
        params, self.team = list(params), team
        begins, size = [], 0
        for p in params:
            begins.append(size)
            size += -(-p.numel() // 64) * 64
        self.flat = torch.zeros(size, device=params[0].device)
        for p, begin in zip(params, begins):
            p.grad = torch.as_strided(self.flat, p.shape, p.stride(), begin)

    def clear(self):
        self.flat.zero_()

    def average(self):
        if self.team.size > 1:
            dist.all_reduce(self.flat)
            self.flat.div_(self.team.size)


def finish():
    if dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()
