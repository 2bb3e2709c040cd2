"""Stores what `torch.randn` gives for some seeds and counts: test/golden/tasks/randn.json.

    python3 bench/reference/seeds.py [--out FILE] [--compare]

Short tensors are stored in full; of long ones every 64th value and the sum of all in float64. `draws` are successive
calls on one generator, since the values that a call leaves over count too. `--compare` checks the stored file against
the PyTorch at hand.
"""

import argparse
import json
import os

import torch

from task import pretty

HERE = os.path.dirname(os.path.abspath(__file__))
SEEDS = [0, 42, 2**32 - 1, 2**40 + 5]
COUNTS = [1, 15, 16, 17, 16384]
DRAWS = [3, 16, 1, 20, 2, 5]
STRIDE = 64


def measure():
    single = []
    for seed in SEEDS:
        for count in COUNTS:
            values = torch.randn(count, generator=torch.Generator().manual_seed(seed))
            every = STRIDE if count > 100 else 1
            single.append(
                {
                    "seed": seed,
                    "count": count,
                    "every": every,
                    "values": values[::every].tolist(),
                    "sum": values.double().sum().item(),
                }
            )
    successive = []
    for seed in SEEDS:
        generator = torch.Generator().manual_seed(seed)
        draws = [torch.randn(count, generator=generator).tolist() for count in DRAWS]
        successive.append({"seed": seed, "draws": draws})
    source = {"source": "torch.randn, float32, CPU", "torch": torch.__version__}
    return {**source, "single": single, "successive": successive}


def flat(value):
    if isinstance(value, dict):
        return [v for key in sorted(value) for v in flat(value[key])]
    if isinstance(value, list):
        return [v for item in value for v in flat(item)]
    return [value] if isinstance(value, (int, float)) else []


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default=os.path.join(HERE, "../../test/golden/tasks/randn.json"))
    parser.add_argument("--compare", action="store_true")
    options = parser.parse_args()
    record = measure()
    if options.compare:
        with open(options.out) as file:
            stored = json.load(file)
        difference = max(abs(a - b) for a, b in zip(flat(record), flat(stored), strict=True))
        print(f"torch {record['torch']} against torch {stored['torch']}: largest difference {difference}")
        return
    os.makedirs(os.path.dirname(options.out), exist_ok=True)
    with open(options.out, "w") as file:
        file.write(pretty(record))


if __name__ == "__main__":
    main()
