"""Safetensors without the library, JSON, logs and time limits."""
import json
import os
import struct
import time

import numpy as np
import torch

START = time.time()
TYPES = {"F16": np.float16, "F32": np.float32, "F64": np.float64, "I64": np.int64, "I32": np.int32, "I16": np.int16,
         "U8": np.uint8, "I8": np.int8, "BOOL": np.bool_}
NAMES = {np.dtype(v): k for k, v in TYPES.items()}


def load(path):
    with open(path, "rb") as f:
        n = struct.unpack("<Q", f.read(8))[0]
        header = json.loads(f.read(n))
        data = bytearray(f.read())
    header.pop("__metadata__", None)
    view = memoryview(data)
    return {k: torch.from_numpy(np.frombuffer(view[slice(*v["data_offsets"])], TYPES[v["dtype"]]).reshape(v["shape"]))
            for k, v in header.items()}


def save(tensors, path):
    arrays = {k: np.ascontiguousarray(v.detach().cpu().numpy()) for k, v in sorted(tensors.items())}
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for k, a in arrays.items():
        header[k] = {"dtype": NAMES[a.dtype], "shape": list(a.shape), "data_offsets": [at, at + a.nbytes]}
        at += a.nbytes
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    with open(path + ".part", "wb") as f:
        f.write(struct.pack("<Q", len(head)) + head)
        for a in arrays.values():
            f.write(a.tobytes())
    os.replace(path + ".part", path)


def save_sharded(tensors, folder, stem, limit=15_000_000):
    """One file, or several with an index, as diffusers has them."""
    for old in os.listdir(folder):
        if old.startswith(stem) and "safetensors" in old:
            os.remove(os.path.join(folder, old))
    shards, size = [{}], 0
    total = sum(v.numel() * v.element_size() for v in tensors.values())
    each = total / max(1, -(-total // limit)) + 700_000 if total > limit else limit
    for k, v in tensors.items():
        n = v.numel() * v.element_size()
        if size + n > min(each, limit) and shards[-1]:
            shards.append({})
            size = 0
        shards[-1][k] = v
        size += n
    if len(shards) == 1:
        save(shards[0], f"{folder}/{stem}.safetensors")
        return
    index = {}
    for i, shard in enumerate(shards):
        name = f"{stem}-{i + 1:05d}-of-{len(shards):05d}.safetensors"
        save(shard, f"{folder}/{name}")
        index.update({k: name for k in shard})
    write_json(f"{folder}/{stem}.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": index})


def load_folder(folder):
    out = {}
    for name in sorted(os.listdir(folder)):
        if name.endswith(".safetensors"):
            out.update(load(os.path.join(folder, name)))
    return out


def write_json(path, value):
    with open(path, "w") as f:
        json.dump(value, f, indent=2)
        f.write("\n")


class Log:
    """Lines for a person on the standard output, and one JSON object a line in a file that a run appends to."""
    def __init__(self, path):
        self.path = path
        os.makedirs(os.path.dirname(path), exist_ok=True)

    def __call__(self, **fields):
        fields = {"s": round(time.time() - START, 1), **{k: float(f"{v:.5g}") if isinstance(v, float) else v for k, v in fields.items()}}
        print("  ".join(f"{k} {v}" for k, v in fields.items()), flush=True)
        with open(self.path, "a") as f:
            f.write(json.dumps(fields) + "\n")


class Clock:
    """Seconds that are left; counted from the start of the process, imports and compilation included."""
    def __init__(self, seconds):
        self.seconds = seconds

    def elapsed(self):
        return time.time() - START

    def left(self):
        return self.seconds - self.elapsed()
