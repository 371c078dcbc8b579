"""The register of small models: each is a function that gives a module, whose forward is the loss of each example [n], and its samples."""

import math

import torch
from torch import nn

#: By name: (kind, function).
ZOO = {}
#: What fisher-ood has to be told of a model, since no file says it.
OPTIONS = {
    "frozen_base": ["--frozen", "^base"],
    "lora_merged": ["--frozen", r"^base\.weight"],
    "lora_beside": ["--frozen", "^base"],
    "unused_and_frozen": ["--frozen", r"^frozen\.bias"],
}
#: Examples in every sample.
N = 2


def model(function):
    """Registers a function () -> (module, {input: [N, ...]}) under its name; its kind is the name of its file."""
    kind = function.__module__.removeprefix("models_")
    if function.__name__ in ZOO:
        raise ValueError(f"two models are called {function.__name__}")
    ZOO[function.__name__] = (kind, function)
    return function


def build(name):
    """The module in eval mode and its samples, the same whenever asked. Parameters are moved off their starts, as training does, unless
    the function's name ends in _fresh: equal parameters are merged by some exporters."""
    torch.manual_seed(sum(name.encode()))
    module, inputs = ZOO[name][1]()
    if not name.endswith("_fresh"):
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.05)
    return module.eval(), inputs


class Of(nn.Module):
    """Children and parameters by name, and a function of the module and its inputs as forward."""

    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for key, part in parts.items():
            if isinstance(part, torch.Tensor) and not isinstance(part, nn.Parameter):
                self.register_buffer(key, part)
            else:
                setattr(self, key, part)

    def forward(self, *inputs):
        return self.function(self, *inputs)


def randn(*shape):
    return torch.randn(N, *shape)


def rand(*shape):
    return torch.rand(N, *shape)


def ids(high, *shape):
    return torch.randint(0, high, (N, *shape))


def weight(*shape, scale=0.4):
    return nn.Parameter(torch.randn(shape) * scale)


def energy(h):
    """Half the squared norm of what a network gives: a loss that every output has a part in."""
    return 0.5 * h.flatten(1).pow(2).sum(1)


def gaussian(x, mean, log_var):
    """-log N(x; mean, exp(log_var)), [n]."""
    return 0.5 * ((x - mean) ** 2 / log_var.exp() + log_var + math.log(2 * math.pi)).flatten(1).sum(1)


def standard_normal(z):
    return 0.5 * (z**2 + math.log(2 * math.pi)).flatten(1).sum(1)


def next_token(logits, tokens):
    """-sum log p(next token), [n], from logits [n, T, V] and tokens [n, T]."""
    log_p = torch.log_softmax(logits[:, :-1], -1)
    return -log_p.gather(2, tokens[:, 1:, None]).sum((1, 2))


def mlp(*sizes, act=nn.Tanh):
    layers = []
    for a, b in zip(sizes, sizes[1:]):
        layers += [nn.Linear(a, b), act()]
    return nn.Sequential(*layers[:-1])
