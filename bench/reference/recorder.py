"""Listens to a pipeline of the reference while it runs: which noise it draws, what each step gives, what is decoded."""

import contextlib
import inspect
import sys

import torch

_PLUMBING = {"randn_tensor", "randn", "drawn", "drawn_like", "noise_like", "<lambda>"}


def _caller():
    """The function of the reference that asked for noise: the first frame above the helpers that merely draw it."""
    frame = sys._getframe(2)
    while frame.f_code.co_name in _PLUMBING:
        frame = frame.f_back
    return frame.f_code.co_name


class Recorder:
    def __init__(self, streams, dtype):
        """streams: name of a random stream by the id of its torch.Generator; None names the global one.
        dtype: what noise becomes where the pipeline names no type."""
        self.streams = streams
        self.dtype = dtype
        self.noise = []
        self.steps = []
        self.timesteps = []
        self.decoded_from = None
        self.decoded = None

    @contextlib.contextmanager
    def hear_noise(self):
        randn, randn_like = torch.randn, torch.randn_like

        def drawn(*args, **kwargs):
            # Always float32 on the CPU: the stream is the same whatever the models' type.
            dtype, device = kwargs.pop("dtype", None), kwargs.pop("device", None)
            value = randn(*args, **kwargs)
            generator = kwargs.get("generator")
            stream = self.streams[None if generator is None else id(generator)]
            self.noise.append({"stream": stream, "shape": list(value.shape), "by": _caller()})
            return value.to(device=device, dtype=dtype or self.dtype)

        def drawn_like(other):
            return drawn(other.shape, device=other.device, dtype=other.dtype)

        torch.randn, torch.randn_like = drawn, drawn_like
        try:
            yield self
        finally:
            torch.randn, torch.randn_like = randn, randn_like

    @contextlib.contextmanager
    def listen(self, scheduler, autoencoder):
        step, decode = scheduler.step, autoencoder.decode

        def stepped(output, timestep, *args, **kwargs):
            result = step(output, timestep, *args, **kwargs)
            self.timesteps.append(int(timestep))
            self.steps.append((result[0] if isinstance(result, tuple) else result.prev_sample).clone())
            return result

        def decoding(latent, *args, **kwargs):
            result = decode(latent, *args, **kwargs)
            self.decoded_from = latent.clone()
            self.decoded = (result[0] if isinstance(result, tuple) else result.sample).clone()
            return result

        stepped.__signature__ = inspect.signature(step)  # pipelines look there whether it takes eta
        scheduler.step, autoencoder.decode = stepped, decoding
        try:
            with self.hear_noise():
                yield self
        finally:
            del scheduler.step, autoencoder.decode
