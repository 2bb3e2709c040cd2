"""Noise schedules, and DDIM as diffusers and the engine have it, for what a scheduler_config.json says."""
import json
import os

import numpy as np
import torch

BASE = dict(
    _class_name="DDIMScheduler", _diffusers_version="0.40.0.dev0", num_train_timesteps=1000, beta_start=0.00085, beta_end=0.012,
    beta_schedule="scaled_linear", trained_betas=None, clip_sample=False, set_alpha_to_one=False, steps_offset=1,
    prediction_type="epsilon", timestep_spacing="leading", rescale_betas_zero_snr=False, thresholding=False,
)
KINDS = {
    "eps": BASE,
    "v": {**BASE, "prediction_type": "v_prediction", "timestep_spacing": "trailing", "rescale_betas_zero_snr": True,
          "set_alpha_to_one": True, "steps_offset": 0},
}
KINDS["v-cosine"] = {**KINDS["v"], "beta_schedule": "squaredcos_cap_v2"}


class Schedule:
    def __init__(self, config, device="cpu"):
        self.config, n = {**BASE, **config}, 1000
        c = self.config
        if c["beta_schedule"] == "scaled_linear":
            betas = np.linspace(c["beta_start"] ** 0.5, c["beta_end"] ** 0.5, n) ** 2
        else:
            bar = lambda t: np.cos((t + 0.008) / 1.008 * np.pi / 2) ** 2
            betas = np.array([min(1 - bar((i + 1) / n) / bar(i / n), 0.999) for i in range(n)])
        a = np.cumprod(1 - betas)
        if c["rescale_betas_zero_snr"]:
            root = np.sqrt(a)
            root = (root - root[-1]) * root[0] / (root[0] - root[-1])
            a = root ** 2
        self.last = 1.0 if c["set_alpha_to_one"] else float(a[0])
        self.bar = torch.from_numpy(a).float().to(device)
        self.alpha, self.sigma = self.bar.sqrt(), (1 - self.bar).sqrt()
        self.predicts_v, self.device = c["prediction_type"] == "v_prediction", device

    def weights(self, gamma=5.0):
        """Of the squared error of the prediction: min-SNR; for v the form that keeps pure noise, where all is decided."""
        snr = self.bar / (1 - self.bar)
        return (snr + 1).clamp(max=gamma + 1) / (snr + 1) if self.predicts_v else snr.clamp(max=gamma) / snr

    def noised(self, z, e, t):
        a, s = self.alpha[t][:, None, None, None], self.sigma[t][:, None, None, None]
        return a * z + s * e, (a * e - s * z if self.predicts_v else e)

    def timesteps(self, steps):
        n, c = 1000, self.config
        if c["timestep_spacing"] == "trailing":
            return [int(v) for v in np.round(np.arange(n, 0, -n / steps)).astype(np.int64) - 1]
        return [int(v) for v in (np.arange(steps) * (n // steps)).round()[::-1].astype(np.int64) + c["steps_offset"]]

    def before(self, t, steps):
        """The share of signal after the step from t."""
        previous = t - 1000 // steps
        return float(self.bar[previous]) if previous >= 0 else self.last

    def parts(self, a, b):
        """A step from share a to share b is p x + q prediction."""
        aa, sa, ab, sb = a ** 0.5, (1 - a) ** 0.5, b ** 0.5, (1 - b) ** 0.5
        return (aa * ab + sa * sb, sb * aa - ab * sa) if self.predicts_v else (ab / aa, sb - ab * sa / aa)

    def step(self, x, prediction, t, steps):
        p, q = self.parts(float(self.bar[t]), self.before(t, steps))
        return p * x + q * prediction

    def sample(self, predict, x, context, empty, steps, guidance=5.0, watch=None):
        """DDIM from noise x. `predict(x, t, context)`; guidance 1 asks for the conditional half alone."""
        n = len(x)
        both = torch.cat([empty.expand(n, -1, -1), context])
        for k, t in enumerate(self.timesteps(steps)):
            if guidance == 1:
                out = predict(x, torch.full((n,), t, device=x.device), context).float()
            else:
                low, high = predict(torch.cat([x, x]), torch.full((2 * n,), t, device=x.device), both).float().chunk(2)
                out = low + guidance * (high - low)
            x = self.step(x, out, t, steps)
            if watch:
                watch(k, t, x)
        return x


def load(folder, device="cpu"):
    return Schedule(json.load(open(os.path.join(folder, "scheduler_config.json"))), device)
