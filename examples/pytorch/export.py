"""Exports three PyTorch models for fisher-ood: one that gives a loss per example, a flow, and a language model.

    pip install torch onnx onnxscript
    python export.py

writes vae.onnx, flow.onnx and lm.onnx into this folder, right answers for two examples of each (NAME.check.npz), and data to go with them.
"""

import numpy as np
import torch
from fisher_ood_export import export
from torch import nn

torch.manual_seed(0)
np.random.seed(0)


class Vae(nn.Module):
    """Gives the negative ELBO of each example itself. `eps` is the posterior's noise: fisher-ood draws it (--normal eps)."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 8))
        self.decoder = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 64))

    def forward(self, x, eps):
        mean, log_var = self.encoder(x).chunk(2, 1)
        z = mean + torch.exp(0.5 * log_var) * eps
        error = (self.decoder(z) - x.flatten(1)) ** 2
        kl = 0.5 * (mean**2 + log_var.exp() - 1 - log_var)
        return error.sum(1) + kl.sum(1)  # [n]: one number per example, never a mean over the batch


class Flow(nn.Module):
    """Stops short of a loss: gives latent and log-determinant."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 4))

    def forward(self, x):
        a, b = x.chunk(2, 1)
        shift, log_scale = self.net(a).chunk(2, 1)
        return torch.cat([a, b * log_scale.exp() + shift], 1), log_scale.sum(1)


class Lm(nn.Module):
    """A causal language model that gives logits."""

    def __init__(self, vocabulary=32, width=16, length=12):
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, width)
        self.places = nn.Parameter(0.1 * torch.randn(length, width))
        self.attention = nn.MultiheadAttention(width, 2, batch_first=True)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary)
        self.register_buffer("mask", torch.full((length, length), float("-inf")).triu(1))

    def forward(self, ids):
        h = self.tokens(ids) + self.places
        h = h + self.attention(h, h, h, attn_mask=self.mask, need_weights=False)[0]
        return self.head(self.norm(h))


if __name__ == "__main__":
    export(Vae(), "vae", x=torch.rand(2, 1, 8, 8), eps=torch.randn(2, 4), normal=["eps"])
    export(Flow(), "flow", x=torch.randn(2, 4), objective="flow")
    export(Lm(), "lm", ids=torch.randint(0, 32, (2, 12)), objective="causal-lm")
    np.savez("images.npz", x=np.random.rand(200, 1, 8, 8).astype(np.float32))
    np.savez("points.npz", x=np.random.randn(200, 4).astype(np.float32))
    np.savez("tokens.npz", ids=np.random.randint(0, 32, (200, 12)))
