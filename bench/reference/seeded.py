"""Random tensors that every implementation can make for itself: each is `torch.randn` seeded with a hash of its name.

Rule, for a tensor called NAME of shape [d0, d1, ...]:
    seed   = FNV-1a, 32 bits, of NAME in UTF-8 (the CPU generator of PyTorch uses the low 32 bits of a seed only)
    z      = torch.randn(shape, generator=torch.Generator().manual_seed(seed)), float32
    embedding tables (rank 2, NAME ends in "embedding.weight", "embed_tokens.weight", "embed_positions.weight" or
                      "_emb.weight", "emb.emb.weight"):                                0.5 z
    other tensors of rank 2 and more:                                                  z / sqrt(d1 * d2 * ...)
    NAME ends in ".bias":                                                              0.1 z
    other tensors of rank 1 (scales of norms):                                         1 + 0.2 z
Products are taken in float32; 1 / sqrt(...) is computed in float64 and rounded to float32 first.
"""

import math

import torch

_TABLES = ("embedding.weight", "embed_tokens.weight", "embed_positions.weight", "_emb.weight", "emb.emb.weight")


def seed_of(name):
    """FNV-1a, 32 bits."""
    value = 0x811C9DC5
    for byte in name.encode():
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value


def normal(name, *shape):
    """Standard normal values, float32."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed_of(name)))


def scaled(name, z):
    """Standard normal values to weights, by the rule above."""
    if z.dim() == 2 and name.endswith(_TABLES):
        return 0.5 * z
    if z.dim() >= 2:
        return z * torch.tensor(1 / math.sqrt(math.prod(z.shape[1:])), dtype=torch.float32)
    return 0.1 * z if name.endswith(".bias") else 1 + 0.2 * z


def weight(name, *shape):
    return scaled(name, normal(name, *shape))


def fill(module, prefix):
    """Gives every floating-point tensor of the state dict the weight named `prefix.KEY`."""
    state = {
        key: weight(f"{prefix}.{key}", *tensor.shape) if tensor.is_floating_point() else tensor
        for key, tensor in module.state_dict().items()
    }
    module.load_state_dict(state)
    return module.eval()


def picture(name, *shape):
    """A picture in 0..1: 0.5 + 0.2 z, clamped."""
    return (0.5 + 0.2 * normal(name, *shape)).clamp(0, 1)


def context(name, *shape):
    """What a text encoder could have given: normal."""
    return normal(name, *shape)


def tokens(name, vocabulary, *shape):
    """Token ids: floor(1000 |z|) modulo the size of the vocabulary."""
    return (normal(name, *shape).abs() * 1000).floor().long() % vocabulary
