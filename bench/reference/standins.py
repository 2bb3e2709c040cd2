"""Stand-ins that let unmodified reference code import where packages it merely names are not installed.

The pipelines that are run here take embeddings and tensors, so nothing of these packages does any work, except the
few base classes of transformers that the text encoder of latent diffusion derives from: those are given in full.
A package that is installed is used as it is.
"""

import importlib.abc
import importlib.machinery
import importlib.metadata
import importlib.util
import logging
import os
import sys
import tempfile
import types

import torch
import torch.distributed

import einops_standin

# What each stand-in claims to be: the oldest release that the reference asks for.
_VERSIONS = {
    "huggingface_hub": "0.20.2",
    "transformers": "4.38.0",
    "safetensors": "0.4.2",
    "filelock": "3.13.0",
    "regex": "2024.1.1",
    "requests": "2.31.0",
    "httpx": "0.27.0",
    "tokenizers": "0.15.0",
    "tqdm": "4.66.0",
    "einops": "0.7.0",
    "omegaconf": "2.3.0",
    "pytorch_lightning": "1.4.2",
    "torchvision": "0.14.0",
    "kornia": "0.6.0",
    "clip": "1.0",
    "more_itertools": "8.0",
}


class _Config:
    """transformers.PretrainedConfig: a bag of values, some of which go by a second name."""

    attribute_map = {}

    def __init__(self, **kwargs):
        self.output_attentions = False
        self.output_hidden_states = False
        self.use_return_dict = True
        for name, value in kwargs.items():
            setattr(self, name, value)

    def __getattr__(self, name):
        other = type(self).attribute_map.get(name)
        if other is None:
            raise AttributeError(name)
        return getattr(self, other)


class _Model(torch.nn.Module):
    """transformers.PreTrainedModel: a module with a config."""

    def __init__(self, config, *_args, **_kwargs):
        super().__init__()
        self.config = config

    def post_init(self):
        pass

    @property
    def dtype(self):
        return next(self.parameters()).dtype

    @property
    def device(self):
        return next(self.parameters()).device

    def get_head_mask(self, _mask, count):
        return [None] * count


class _LightningModule(torch.nn.Module):
    """pytorch_lightning.LightningModule, of which sampling needs no more than this."""

    @property
    def device(self):
        return next(self.parameters()).device


class _Output(dict):
    """transformers.modeling_outputs.BaseModelOutput: fields by name, and by place where they are not None."""

    def __init__(self, **fields):
        super().__init__(fields)
        self.__dict__.update(fields)

    def __getitem__(self, key):
        return [v for v in self.values() if v is not None][key] if isinstance(key, int) else super().__getitem__(key)


def _identity(value=None, *_args, **_kwargs):
    return value


def _no_progress(iterable=None, **_kwargs):
    class Bar:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            return False

        def __iter__(self):
            return iter(iterable)

        def update(self, *_):
            pass

    return Bar()


def _false(*_args, **_kwargs):
    return False


_GIVEN = {
    "transformers": {"PretrainedConfig": _Config, "PreTrainedModel": _Model},
    "transformers.activations": {
        "ACT2FN": {"gelu": torch.nn.GELU(), "silu": torch.nn.SiLU(), "relu": torch.nn.ReLU()},
    },
    "transformers.modeling_outputs": {"BaseModelOutput": _Output},
    "transformers.utils": {"logging": types.SimpleNamespace(get_logger=logging.getLogger)},
    "huggingface_hub.utils": {"validate_hf_hub_args": _identity, "is_jinja_available": _false},
    "huggingface_hub.constants": {"HF_HUB_CACHE": os.path.join(tempfile.gettempdir(), "webldm-reference")},
    "einops": {"rearrange": einops_standin.rearrange, "repeat": einops_standin.repeat},
    "tqdm": {"tqdm": _no_progress, "trange": range},
    "tqdm.auto": {"tqdm": _no_progress},
    "pytorch_lightning": {"LightningModule": _LightningModule},
    "pytorch_lightning.utilities.distributed": {"rank_zero_only": _identity},
}


class _StandIn(types.ModuleType):
    """A module in which every name exists: classes for capitalised names, functions that return their argument."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        if name[:1].isupper() and not name.isupper():
            value = type(name, (), {"__module__": self.__name__})
        elif name.isupper():
            value = name.lower()
        else:
            value = _identity
        setattr(self, name, value)
        return value


class _NoDevice:
    """An accelerator that is not there: whatever is asked of it, the answer is no."""

    def __getattr__(self, _name):
        return _false


# The CompVis code asks for a release of Lightning from 2021; newer ones have moved what it imports.
_ALWAYS = {"pytorch_lightning"}


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives stand-ins for these packages and everything in them."""

    def __init__(self, packages):
        self.packages = packages

    def find_spec(self, fullname, _path=None, _target=None):
        if fullname.split(".")[0] not in self.packages:
            return None
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec):
        return _StandIn(spec.name)

    def exec_module(self, module):
        module.__version__ = _VERSIONS[module.__name__.split(".")[0]]
        module.__dict__.update(_GIVEN.get(module.__name__, {}))


def _name_newer_torch():
    """Names that today's diffusers reads while it is imported, and that releases of PyTorch before 2 lack. None is used
    by a pipeline on one device."""
    for name in ("float8_e4m3fn", "float8_e5m2", "uint16", "uint32", "uint64"):
        if not hasattr(torch, name):
            setattr(torch, name, name)
    if hasattr(torch, "compiler"):
        return
    torch.compiler = types.SimpleNamespace(disable=lambda function=None, **_: function or _identity)
    torch.xpu = torch.mps = _NoDevice()
    for parent, name in (
        ("torch.nn", "attention"),
        ("torch.nn.attention", "flex_attention"),
        ("torch.distributed", "device_mesh"),
        ("torch.distributed", "tensor"),
        ("torch.distributed", "fsdp"),
        ("torch.distributed", "_functional_collectives"),
    ):
        module = _StandIn(f"{parent}.{name}")
        sys.modules[module.__name__] = module
        setattr(sys.modules[parent], name, module)


def _accept_newer_numpy():
    """NumPy 2 hands `__array_wrap__` two arguments more than PyTorch's takes; CompVis's schedules meet it (np.sqrt of a
    tensor)."""
    wrap = torch.Tensor.__array_wrap__
    torch.Tensor.__array_wrap__ = lambda tensor, array, _context=None, _scalar=False: wrap(tensor, array)


def missing(package):
    """Whether a stand-in serves for a package."""
    return package in _ALWAYS or isinstance(sys.modules.get(package), _StandIn)


def install():
    """Makes every package of the list importable. Call once, before the reference is imported."""
    if importlib.util.find_spec("packaging") is None:
        import pip._vendor.packaging.version as version  # carried by pip itself

        sys.modules["packaging"] = sys.modules["pip._vendor.packaging"]
        sys.modules["packaging.version"] = version
    absent = {name for name in _VERSIONS if importlib.util.find_spec(name) is None}
    sys.meta_path.insert(0, _Finder(absent | _ALWAYS))

    _name_newer_torch()
    _accept_newer_numpy()

    real = importlib.metadata.version

    def version_of(name):
        package = name.replace("-", "_")
        return _VERSIONS[package] if package in absent else real(name)

    importlib.metadata.version = version_of
