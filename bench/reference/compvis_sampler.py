"""CompVis's DDIM sampler, unchanged in what it computes: on any device, and noting the latent after each step."""


def recording(sampler_class):
    class Sampler(sampler_class):
        def __init__(self, model):
            super().__init__(model)
            self.steps = []
            self.timesteps = []

        def register_buffer(self, key, value):  # the original's moves everything to CUDA
            setattr(self, key, value)

        def p_sample_ddim(self, x, c, t, *args, **kwargs):
            result = super().p_sample_ddim(x, c, t, *args, **kwargs)
            self.steps.append(result[0].clone())
            self.timesteps.append(int(t[0]))
            return result

    return Sampler
