"""Dense networks: layers, normalisations, reparameterised weights, shared and aliased ones, constants and buffers."""

import torch
from torch import nn
from torch.nn.utils import parametrizations

from zoo import Of, energy, gaussian, ids, mlp, model, randn, weight


@model
def mlp_relu():
    return Of(lambda m, x: gaussian(x, *m.net(x).chunk(2, 1)), net=mlp(5, 8, 10, act=nn.ReLU)), {"x": randn(5)}


@model
def activations():
    acts = nn.Sequential(
        nn.Linear(5, 6), nn.GELU(), nn.Linear(6, 6), nn.SiLU(), nn.Linear(6, 6), nn.ELU(), nn.Linear(6, 6), nn.Mish(),
        nn.Linear(6, 6), nn.Softplus(), nn.Linear(6, 6), nn.LeakyReLU(0.2), nn.Linear(6, 6), nn.Hardswish(), nn.Linear(6, 6),
        nn.GELU("tanh"), nn.Linear(6, 6), nn.SELU(), nn.Linear(6, 6), nn.CELU(), nn.Linear(6, 6), nn.Softsign(), nn.Linear(6, 6),
    )
    return Of(lambda m, x: energy(m.net(x)), net=acts), {"x": randn(5)}


@model
def clipped_activations():
    acts = nn.Sequential(
        nn.Linear(5, 6), nn.ReLU6(), nn.Linear(6, 6), nn.Hardtanh(), nn.Linear(6, 6), nn.Hardsigmoid(), nn.Linear(6, 6),
        nn.Softshrink(0.1), nn.Linear(6, 6), nn.Hardshrink(0.1), nn.Linear(6, 6), nn.Tanhshrink(), nn.Linear(6, 6), nn.LogSigmoid(),
        nn.Linear(6, 8), nn.GLU(), nn.Linear(4, 4), nn.Threshold(0.1, 0.0), nn.Linear(4, 3),
    )
    return Of(lambda m, x: energy(m.net(x).clamp(-3, 3)), net=acts), {"x": randn(5)}


@model
def prelu():
    net = nn.Sequential(nn.Linear(5, 6), nn.PReLU(), nn.Linear(6, 6), nn.PReLU(6), nn.Linear(6, 3))
    return Of(lambda m, x: energy(m.net(x)), net=net), {"x": randn(5)}


@model
def linear_rank3():
    return Of(lambda m, x: energy(m.b(torch.tanh(m.a(x)))), a=nn.Linear(5, 6), b=nn.Linear(6, 4, bias=False)), {"x": randn(3, 5)}


@model
def layernorm():
    net = nn.Sequential(nn.Linear(5, 6), nn.LayerNorm(6), nn.Tanh(), nn.Linear(6, 6), nn.LayerNorm(6), nn.Linear(6, 3))
    return Of(lambda m, x: energy(m.net(x)), net=net), {"x": randn(5)}


@model
def layernorm_fresh():
    net = nn.Sequential(nn.Linear(5, 6), nn.LayerNorm(6), nn.Tanh(), nn.Linear(6, 6), nn.LayerNorm(6), nn.Linear(6, 3))
    return Of(lambda m, x: energy(m.net(x)), net=net), {"x": randn(5)}


@model
def layernorm_no_bias():
    net = nn.Sequential(nn.Linear(5, 6), nn.LayerNorm(6, bias=False), nn.Tanh(), nn.LayerNorm(6, elementwise_affine=False), nn.Linear(6, 3))
    return Of(lambda m, x: energy(m.net(x)), net=net), {"x": randn(5)}


@model
def rmsnorm():
    net = nn.Sequential(nn.Linear(5, 6), nn.RMSNorm(6), nn.Tanh(), nn.Linear(6, 6), nn.RMSNorm(6), nn.Linear(6, 3))
    return Of(lambda m, x: energy(m.net(x)), net=net), {"x": randn(4, 5)}


@model
def rmsnorm_by_hand():
    def norm(h, w):
        return w * (h * torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + 1e-6))

    return Of(lambda m, x: energy(m.b(norm(m.a(x), m.w))), a=nn.Linear(5, 6), b=nn.Linear(6, 3), w=weight(6)), {"x": randn(5)}


@model
def batchnorm1d():
    net = nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 3))
    net(torch.randn(64, 5))
    return Of(lambda m, x: energy(m.net(x)), net=net), {"x": randn(5)}


@model
def weight_norm():
    net = nn.Sequential(parametrizations.weight_norm(nn.Linear(5, 6)), nn.Tanh(), parametrizations.weight_norm(nn.Linear(6, 3)))
    return Of(lambda m, x: energy(m.net(x)), net=net), {"x": randn(5)}


@model
def spectral_norm():
    net = nn.Sequential(parametrizations.spectral_norm(nn.Linear(5, 6)), nn.Tanh(), nn.Linear(6, 3))
    return Of(lambda m, x: energy(m.net(x)), net=net), {"x": randn(5)}


@model
def orthogonal_weight():
    def net(m, x):
        skew = m.a - m.a.T
        eye = torch.eye(5)
        return energy(m.out(torch.tanh(x @ (eye + skew + 0.5 * skew @ skew))))

    return Of(net, a=weight(5, 5), out=nn.Linear(5, 3)), {"x": randn(5)}


@model
def positive_weight():
    return Of(lambda m, x: energy(torch.tanh(x @ nn.functional.softplus(m.w).T) @ m.v.exp().T), w=weight(6, 5), v=weight(3, 6)), {"x": randn(5)}


@model
def low_rank():
    return Of(lambda m, x: energy(m.base(x) + 2.0 * (x @ (m.b @ m.a).T)), base=nn.Linear(5, 4), a=weight(2, 5), b=weight(4, 2)), {"x": randn(5)}


@model
def lora():
    return Of(lambda m, x: energy(m.base(x) + m.b(m.a(x)) * 0.5), base=nn.Linear(5, 4), a=nn.Linear(5, 2, False), b=nn.Linear(2, 4, False)), {"x": randn(5)}


@model
def frozen_base():
    base = nn.Linear(5, 4).requires_grad_(False)
    return Of(lambda m, x: energy(m.head(torch.tanh(m.base(x)))), base=base, head=nn.Linear(4, 3)), {"x": randn(5)}


@model
def tied_autoencoder():
    return Of(lambda m, x: energy(x - torch.tanh(x @ m.w.T + m.b) @ m.w), w=weight(4, 6), b=weight(4)), {"x": randn(6)}


@model
def shared_layer():
    return Of(lambda m, x: energy(m.f(torch.tanh(m.f(torch.tanh(m.f(x)))))), f=nn.Linear(5, 5)), {"x": randn(5)}


@model
def clone_alias():
    return Of(lambda m, x: energy(torch.tanh(x @ m.w.clone()) @ m.w), w=weight(5, 5)), {"x": randn(5)}


@model
def flat_parameter():
    def net(m, x):
        w1, b1, w2 = m.flat[:30].view(5, 6), m.flat[30:36], m.flat[36:].view(6, 3)
        return energy(torch.tanh(x @ w1 + b1) @ w2)

    return Of(net, flat=weight(54)), {"x": randn(5)}


@model
def stacked_weights():
    def net(m, x):
        for w in m.w.unbind(0):
            x = torch.tanh(x @ w)
        return energy(x)

    return Of(net, w=weight(3, 5, 5)), {"x": randn(5)}


@model
def concatenated_weights():
    return Of(lambda m, x: energy(x @ torch.cat([m.a, m.b], 1)), a=weight(5, 2), b=weight(5, 3)), {"x": randn(5)}


@model
def buffers_used():
    def net(m, x):
        return energy(m.l((x - m.mean) / m.std))

    return Of(net, l=nn.Linear(5, 4), mean=torch.randn(5), std=torch.rand(5) + 0.5), {"x": randn(5)}


@model
def scalar_constants():
    return Of(lambda m, x: 3.5 + 0.1 * energy(2.0 * m.l(x) ** 3 / 7.0 - 1.0), l=nn.Linear(5, 4)), {"x": randn(5)}


@model
def scalar_parameters():
    def net(m, x):
        return energy(m.l(x) * m.scale + m.shift) / m.temperature.exp() + m.temperature

    return Of(net, l=nn.Linear(5, 4), scale=weight(), shift=weight(1), temperature=weight()), {"x": randn(5)}


@model
def powers():
    def net(m, x):
        h = m.l(x)
        return (h**2 + h**3 + h.abs() ** 1.5 + h.square().sqrt() + (1 + h * h).rsqrt() + 2**h + torch.pow(h, 4)).sum(1)

    return Of(net, l=nn.Linear(5, 4)), {"x": randn(5)}


@model
def misc_math():
    def net(m, x):
        h = m.l(x)
        parts = [
            h.sin() + h.cos() + h.atan() + h.sinh() + h.expm1() + torch.log1p(h * h), h.erf() + h.sigmoid() + (0.3 * h).tan(),
            torch.atan2(h, 1 + h * h), torch.hypot(h, h + 3), h.abs() + h.relu() + h.sign() + h.floor() * h, torch.maximum(h, -h * 2),
            torch.where(h > 0, h, 0.5 * h * h), h.clamp(-1, 1), torch.fmod(h, 0.7), torch.remainder(h, 0.7), h.logit(1e-2),
            torch.lerp(h, h * h, 0.3), torch.addcmul(h, h, h, value=0.5), h.cumsum(1), h.flip(1) * h, h.roll(1, 1) * h,
            h.norm(dim=1, keepdim=True).expand(-1, 4), h.var(1, keepdim=True).expand(-1, 4), h.std(1, keepdim=True).expand(-1, 4),
            h.amax(1, keepdim=True).expand(-1, 4), (1 + h.abs()).prod(1, keepdim=True).expand(-1, 4),
        ]
        return torch.stack([p.sum(1) for p in parts], 1).sum(1)

    return Of(net, l=nn.Linear(5, 4)), {"x": randn(5)}


@model
def chunk_split_unbind():
    def net(m, x):
        a, b, c = m.l(x).chunk(3, 1)
        d, e = a.split([1, 3], 1)
        f, g = torch.stack([b, c], 1).unbind(1)
        return (d * e).sum(1) + (f.tanh() * g.sigmoid()).sum(1)

    return Of(net, l=nn.Linear(5, 12)), {"x": randn(5)}


@model
def einsum():
    def net(m, x):
        q = torch.einsum("nti,hio->nhto", x, m.w)
        return torch.einsum("nhto,nhso->nhts", q, q).softmax(-1).mul(torch.einsum("nti,nsi->nts", x, x)[:, None]).sum((1, 2, 3))

    return Of(net, w=weight(2, 5, 3)), {"x": randn(4, 5)}


@model
def bilinear():
    return Of(lambda m, x, y: energy(m.f(x, y)), f=nn.Bilinear(4, 3, 5)), {"x": randn(4), "y": randn(3)}


@model
def detach():
    return Of(lambda m, x: energy(m.b(m.a(x)) - m.a(x).detach()), a=nn.Linear(5, 4), b=nn.Linear(4, 4)), {"x": randn(5)}


@model
def straight_through():
    def net(m, x):
        z = m.a(x)
        return energy(m.b(z + (z.round() - z).detach()))

    return Of(net, a=nn.Linear(5, 4), b=nn.Linear(4, 4)), {"x": randn(5)}


@model
def mixture_of_experts():
    def net(m, x):
        gates = m.gate(x)
        top, index = gates.topk(2, -1)
        chosen = torch.zeros_like(gates).scatter(1, index, top.softmax(-1))
        experts = torch.stack([f(x) for f in m.experts], 1)
        return energy((chosen[:, :, None] * experts).sum(1))

    return Of(net, gate=nn.Linear(5, 4), experts=nn.ModuleList(mlp(5, 6, 3) for _ in range(4))), {"x": randn(5)}


@model
def class_conditional():
    def net(m, x, label):
        return energy(m.net(torch.cat([x, nn.functional.one_hot(label, 4).float()], 1)) * m.film(label))

    return Of(net, net=mlp(9, 6, 3), film=nn.Embedding(4, 3)), {"x": randn(5), "label": ids(4)}


@model
def fourier_features():
    def net(m, x):
        h = 2 * torch.pi * x @ m.freq
        return energy(m.net(torch.cat([h.sin(), h.cos()], -1)))

    return Of(net, freq=torch.randn(5, 4), net=mlp(8, 6, 3)), {"x": randn(5)}


@model
def distances():
    def net(m, x):
        h = m.l(x)
        d = torch.cdist(h[:, None], m.centres[None].expand(h.shape[0], -1, -1))[:, 0]
        return -torch.logsumexp(-d.square(), 1) - nn.functional.cosine_similarity(h, m.centres[0][None])

    return Of(net, l=nn.Linear(5, 4), centres=weight(6, 4)), {"x": randn(5)}


@model
def matrix_ops():
    def net(m, x):
        a = m.w @ m.w.T + torch.eye(4)
        h = torch.tanh(m.l(x))
        outer = h[:, :, None] * h[:, None]
        return (torch.bmm(outer, a.expand(h.shape[0], -1, -1)).diagonal(dim1=1, dim2=2).sum(1) + torch.tril(outer).sum((1, 2)) +
                torch.kron(m.w, torch.eye(2)).sum() * h.mean(1) + torch.trace(a) * h.sum(1))

    return Of(net, l=nn.Linear(5, 4), w=weight(4, 4)), {"x": randn(5)}
