"""What one task was made of and what it gave; and the command line that the scripts of tasks share."""

import argparse
import json
import math
import os
import re
import sys

import torch

import safetensors_file
import seeded
import standins

HERE = os.path.dirname(os.path.abspath(__file__))


def plain(value):
    """What JSON can say: null for NaN and infinity."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def pretty(record):
    """JSON with lists of plain values on one line."""
    text = json.dumps(plain(record), indent=1, allow_nan=False)
    return re.sub(r"\[[^\[\]{}]*\]", lambda found: re.sub(r"\s+", " ", found[0]), text) + "\n"


class Task:
    def __init__(self, name, reference, dtype=torch.float32, device="cpu"):
        self.name = name
        self.dtype = dtype
        self.device = device
        self.record = {"task": name, "reference": reference, "torch": torch.__version__, "models": {}, "inputs": {}}
        self.outputs = {}

    def adopt(self, role, model, config):
        state = {key: value for key, value in model.state_dict().items() if value.is_floating_point()}
        self.record["models"][role] = {
            "config": config,
            "parameters": sum(value.numel() for value in state.values()),
            "sum_of_absolutes": sum(value.double().abs().sum().item() for value in state.values()),
            "tensors": len(state),
        }
        return model.to(device=self.device, dtype=self.dtype)

    def like_models(self, value):
        return value.to(device=self.device, dtype=self.dtype if value.is_floating_point() else value.dtype)

    def given(self, role, rule, *args):
        """An input made by a rule of seeded.py; its first values are kept as a check."""
        name = f"{self.name}.{role}"
        value = getattr(seeded, rule)(name, *args)
        flat = value.flatten()
        self.record["inputs"][role] = {
            "rule": rule,
            "name": name,
            "shape": list(value.shape),
            "first": [round(v, 6) for v in flat[:4].tolist()],
        }
        if rule == "tokens":
            self.record["inputs"][role]["vocabulary"] = args[0]
        return self.like_models(value)

    def code_margin(self, vqvae):
        """The smallest gap between the nearest and the second code: below it rounding may choose another."""
        latent = self.outputs["out.decoder_input"].permute(0, 2, 3, 1).reshape(-1, 3).double().cpu()
        distances = torch.cdist(latent, vqvae.quantize.embedding.weight.detach().double().cpu()) ** 2
        nearest = distances.topk(2, largest=False).values
        self.record["smallest_code_margin"] = (nearest[:, 1] - nearest[:, 0]).min().item()

    def distance(self, stored):
        """PSNR in dB of each output against stored tensors; the peak is their maximum less their minimum."""
        result = {}
        for name, expected in stored.items():
            expected = expected.double()
            error = (self.outputs[name].detach().cpu().double() - expected).square().mean().item()
            assert math.isfinite(error), f"{self.name}: {name} is not finite"
            peak = (expected.max() - expected.min()).item()
            result[name] = round(10 * math.log10(peak * peak / error), 1) if error > 0 else None
        return result

    def write(self, folder):
        outputs = {}
        for name, value in self.outputs.items():
            assert bool(torch.isfinite(value.double()).all()), f"{self.name}: {name} is not finite"
            low, high, std = value.min().item(), value.max().item(), value.double().std().item()
            assert std > 0.05 * (high - low), f"{self.name}: {name} is flat"
            outputs[name] = {"shape": list(value.shape), "min": low, "max": high, "std": std}
        self.record["outputs"] = outputs
        safetensors_file.save(os.path.join(folder, f"{self.name}.safetensors"), self.outputs)
        with open(os.path.join(folder, f"{self.name}.json"), "w") as file:
            file.write(pretty(self.record))


def files_of(folder, name):
    return os.path.join(folder, f"{name}.json"), os.path.join(folder, f"{name}.safetensors")


class Runner:
    """The tasks of one script. A task is a function that takes a Task, or what is derived from it."""

    def __init__(self, description, packages, kind, double=True):
        """packages: paths in the folder of references to be imported from. kind: what makes a Task of name, type and
        device, once those can be imported. double: whether the reference runs in float64."""
        self.description = description
        self.packages = packages
        self.kind = kind
        self.double = double
        self.reference = None
        self.tasks = {}

    def task(self, function):
        self.tasks[function.__name__] = function
        return function

    def write(self, name, folder):
        made = self.kind(name)
        self.tasks[name](made)
        made.record["psnr_of_reference"] = {}
        if self.double:
            precise = self.kind(name, torch.float64)
            self.tasks[name](precise)
            made.record["psnr_of_reference"]["float64"] = precise.distance(made.outputs)
        made.write(folder)
        return made.record["psnr_of_reference"].get("float64", {})

    def compare(self, name, options):
        made = self.kind(name, getattr(torch, options.dtype), options.device)
        self.tasks[name](made)
        facts, tensors = files_of(options.out, made.name)
        distance = made.distance(safetensors_file.load(tensors))
        if options.note:
            with open(facts) as file:
                record = json.load(file)
            record["psnr_of_reference"][options.dtype] = distance
            with open(facts, "w") as file:
                file.write(pretty(record))
        return distance

    def main(self):
        parser = argparse.ArgumentParser(
            description=self.description, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        parser.add_argument("--reference", required=True, help="a folder that holds the checkouts")
        parser.add_argument("--out", default=os.path.join(HERE, "../../test/golden/tasks"))
        parser.add_argument("--filter", default="", help="only tasks whose name contains this")
        parser.add_argument("--compare", action="store_true", help="compare with the files instead of writing them")
        parser.add_argument("--dtype", default="float32", help="with --compare: the type of the models")
        parser.add_argument("--device", default="cpu", help="with --compare: where the models run")
        parser.add_argument("--note", action="store_true", help="with --compare: keep the PSNR in the JSON")
        options = parser.parse_args()
        standins.install()
        self.reference = options.reference
        for path in self.packages:
            sys.path.insert(0, os.path.join(options.reference, path))
        os.makedirs(options.out, exist_ok=True)
        print(f"torch {torch.__version__}; PSNR in dB")
        for name in self.tasks:
            if options.filter in name:
                psnr = self.compare(name, options) if options.compare else self.write(name, options.out)
                shown = {key.removeprefix("out."): "equal" if value is None else value for key, value in psnr.items()}
                print(f"{name:18}", *(f"{key} {value}" for key, value in shown.items()))
