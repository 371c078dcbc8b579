"""Flows, VAEs, diffusion models: likelihoods and bounds of images and points."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from zoo import Of, energy, gaussian, mlp, model, rand, randn, standard_normal, weight


@model
def coupling_flow():
    def loss(m, x):
        log_det = 0
        for i, net in enumerate(m.nets):
            a, b = x.chunk(2, 1) if i % 2 == 0 else x.chunk(2, 1)[::-1]
            s, t = net(a).chunk(2, 1)
            s = torch.tanh(s) * m.scale[i].exp()
            x = torch.cat([a, b * s.exp() + t], 1)
            log_det = log_det + s.sum(1)
        return standard_normal(x) - log_det

    return Of(loss, nets=nn.ModuleList(mlp(3, 8, 6) for _ in range(3)), scale=weight(3, 1)), {"x": randn(6)}


@model
def checkerboard_flow():
    def loss(m, x):
        log_det = 0
        for i, net in enumerate(m.nets):
            mask = m.mask if i % 2 == 0 else 1 - m.mask
            s, t = net(x * mask).chunk(2, 1)
            s = torch.tanh(s) * (1 - mask)
            x = x * mask + (1 - mask) * (x * s.exp() + t)
            log_det = log_det + s.flatten(1).sum(1)
        return standard_normal(x) - log_det

    mask = (torch.arange(6)[:, None] + torch.arange(6)).remainder(2).float()[None, None]
    nets = nn.ModuleList(nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 3, padding=1)) for _ in range(2))
    return Of(loss, nets=nets, mask=mask), {"x": randn(1, 6, 6)}


class PLU(nn.Module):
    def __init__(self, n):
        super().__init__()
        p, lower, upper = torch.linalg.lu(torch.linalg.qr(torch.randn(n, n))[0])
        s = upper.diagonal()
        self.register_buffer("p", p)
        self.register_buffer("sign", s.sign())
        self.register_buffer("mask", torch.tril(torch.ones(n, n), -1))
        self.register_buffer("eye", torch.eye(n))
        self.lower, self.upper, self.log_s = nn.Parameter(lower), nn.Parameter(upper.triu(1)), nn.Parameter(s.abs().log())

    def forward(self):
        lower = self.lower * self.mask + self.eye
        upper = self.upper * self.mask.T + torch.diag(self.sign * self.log_s.exp())
        return self.p @ lower @ upper


@model
def glow_plu():
    def loss(m, x):
        x = (x[:, :, :, None] if x.dim() == 3 else x).reshape(-1, 1, 6, 6)
        x = F.pixel_unshuffle(x, 2)
        log_det = 0
        for norm_s, norm_b, plu, net in zip(m.norm_s, m.norm_b, m.plu, m.nets):
            x = (x + norm_b) * norm_s.exp()
            x = F.conv2d(x, plu()[:, :, None, None])
            log_det = log_det + 9 * (norm_s.sum() + plu.log_s.sum())
            a, b = x.chunk(2, 1)
            shift, s = net(a).chunk(2, 1)
            s = torch.sigmoid(s + 2)
            x = torch.cat([a, (b + shift) * s], 1)
            log_det = log_det + s.log().flatten(1).sum(1)
        return standard_normal(x) - log_det

    nets = nn.ModuleList(nn.Sequential(nn.Conv2d(2, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 4, 3, padding=1)) for _ in range(2))
    norms = {k: nn.ParameterList(weight(1, 4, 1, 1) for _ in range(2)) for k in ("norm_s", "norm_b")}
    return Of(loss, plu=nn.ModuleList(PLU(4) for _ in range(2)), nets=nets, **norms), {"x": randn(1, 6, 6)}


@model
def flow_slogdet():
    def loss(m, x):
        return standard_normal(torch.tanh(x @ m.w) + x) - torch.slogdet(m.w)[1]

    return Of(loss, w=nn.Parameter(torch.eye(4) + 0.2 * torch.randn(4, 4))), {"x": randn(4)}


@model
def planar_flow():
    def loss(m, x):
        log_det = 0
        for w, u, b in zip(m.w, m.u, m.b):
            wu = (w * u).sum()
            u = u + (F.softplus(wu) - 1 - wu) * w / (w * w).sum()
            h = torch.tanh(x @ w + b)
            x = x + u * h[:, None]
            log_det = log_det + torch.log((1 + (1 - h * h) * (w * u).sum()).abs())
        return standard_normal(x) - log_det

    return Of(loss, w=weight(3, 5), u=weight(3, 5), b=weight(3)), {"x": randn(5)}


class MaskedLinear(nn.Linear):
    def __init__(self, n_in, n_out, mask):
        super().__init__(n_in, n_out)
        self.register_buffer("mask", mask)

    def forward(self, x):
        return F.linear(x, self.weight * self.mask, self.bias)


def made(n, hidden, out):
    into = torch.arange(n)
    middle = torch.arange(hidden) % (n - 1)
    first, last = (middle[:, None] >= into).float(), (into.repeat(out)[:, None] > middle).float()
    return nn.Sequential(MaskedLinear(n, hidden, first), nn.ReLU(), MaskedLinear(hidden, n * out, last))


@model
def maf():
    def loss(m, x):
        log_det = 0
        for net in m.nets:
            mean, log_scale = net(x).chunk(2, 1)
            x = ((x - mean) * torch.exp(-log_scale)).flip(1)
            log_det = log_det - log_scale.sum(1)
        return standard_normal(x) - log_det

    return Of(loss, nets=nn.ModuleList(made(5, 12, 2) for _ in range(2))), {"x": randn(5)}


@model
def made_bernoulli():
    return Of(lambda m, x: F.binary_cross_entropy_with_logits(m.net(x), x, reduction="none").sum(1), net=made(6, 12, 1)), {"x": rand(6).round()}


@model
def spline_flow():
    """Rational-quadratic spline (Durkan et al. 2019): softmax, cumsum, searchsorted by comparison, gather."""

    def loss(m, x):
        a, b = x.chunk(2, 1)
        w, h, d = m.net(a).view(-1, 2, 3 * 4 + 1).split([4, 4, 5], -1)
        w, h, d = 0.01 + 0.96 * w.softmax(-1), 0.01 + 0.96 * h.softmax(-1), 0.01 + F.softplus(d)
        left = F.pad(w.cumsum(-1), (1, 0)) * 6 - 3
        low = F.pad(h.cumsum(-1), (1, 0)) * 6 - 3
        inside = (b > -3) & (b < 3)
        y = b.clamp(-2.99, 2.99)
        k = ((y[..., None] >= left[..., :-1]).sum(-1, keepdim=True) - 1).clamp(0, 3)
        at = lambda v, i: v.gather(-1, i)[..., 0]
        x0, x1, y0, y1, d0, d1 = at(left, k), at(left, k + 1), at(low, k), at(low, k + 1), at(d, k), at(d, k + 1)
        s, t = (y1 - y0) / (x1 - x0), (y - x0) / (x1 - x0)
        below = s + (d1 + d0 - 2 * s) * t * (1 - t)
        out = y0 + (y1 - y0) * (s * t**2 + d0 * t * (1 - t)) / below
        slope = s**2 * (d1 * t**2 + 2 * s * t * (1 - t) + d0 * (1 - t) ** 2) / below**2
        z, log_slope = torch.where(inside, out, b), torch.where(inside, slope.log(), torch.zeros_like(b))
        return standard_normal(torch.cat([a, z], 1)) - log_slope.sum(1)

    return Of(loss, net=mlp(2, 8, 26)), {"x": randn(4)}


@model
def logit_flow():
    def loss(m, x):
        p = 0.05 + 0.9 * x / 256
        y = p.log() - (1 - p).log()
        s, t = m.net(y[:, :3]).chunk(2, 1)
        z = torch.cat([y[:, :3], y[:, 3:] * s.exp() + t], 1)
        return standard_normal(z) - s.sum(1) + (F.softplus(y) + F.softplus(-y)).sum(1)

    return Of(loss, net=mlp(3, 8, 6)), {"x": torch.rand(2, 6) * 256}


@model
def energy_based():
    """A gradient inside the model: score matching would need second derivatives; here the energy itself."""
    return Of(lambda m, x: -m.net(x)[:, 0] + 0.5 * x.square().sum(1), net=mlp(5, 8, 8, 1, act=nn.Softplus)), {"x": randn(5)}


def vae(likelihood, encoder, decoder, log_var=None):
    def loss(m, x, eps):
        mean, log_var = m.encoder(x).chunk(2, 1)
        z = mean + eps * torch.exp(0.5 * log_var)
        kl = -0.5 * (1 + log_var - mean.pow(2) - log_var.exp()).sum(1)
        return likelihood(m, x, m.decoder(z)) + kl

    extra = {} if log_var is None else {"log_var": log_var}
    return Of(loss, encoder=encoder, decoder=decoder, **extra)


@model
def vae_mlp():
    module = vae(lambda m, x, y: 0.5 * (x - y).pow(2).flatten(1).sum(1), nn.Sequential(nn.Flatten(), mlp(36, 16, 6, act=nn.ReLU)),
                 nn.Sequential(mlp(3, 16, 36, act=nn.ReLU), nn.Unflatten(1, (1, 6, 6))))
    return module, {"x": rand(1, 6, 6), "eps": randn(3)}


@model
def vae_bernoulli():
    module = vae(lambda m, x, y: F.binary_cross_entropy(torch.sigmoid(y), x, reduction="none").sum(1), mlp(20, 16, 6, act=nn.ReLU),
                 mlp(3, 16, 20, act=nn.ReLU))
    return module, {"x": rand(20).round(), "eps": randn(3)}


@model
def vae_learned_variance():
    module = vae(lambda m, x, y: gaussian(x, y, m.log_var), mlp(8, 16, 6), mlp(3, 16, 8), weight(1))
    return module, {"x": randn(8), "eps": randn(3)}


@model
def vae_conv_batchnorm():
    encoder = nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.LeakyReLU(), nn.Conv2d(4, 8, 3, 2, 1), nn.BatchNorm2d(8),
                            nn.LeakyReLU(), nn.Flatten(), nn.Linear(32, 8))
    decoder = nn.Sequential(nn.Linear(4, 32), nn.Unflatten(1, (8, 2, 2)), nn.ConvTranspose2d(8, 4, 3, 2, 1, 1), nn.BatchNorm2d(4),
                            nn.LeakyReLU(), nn.ConvTranspose2d(4, 1, 3, 2, 1, 1), nn.Tanh())
    encoder(torch.randn(16, 1, 8, 8)), decoder(torch.randn(16, 4))
    return vae(lambda m, x, y: F.mse_loss(y, x, reduction="none").sum((1, 2, 3)), encoder, decoder), {"x": rand(1, 8, 8), "eps": randn(4)}


@model
def vae_distributions():
    from torch.distributions import Independent, Normal, kl_divergence

    def loss(m, x, eps):
        mean, log_var = m.encoder(x).chunk(2, 1)
        q = Normal(mean, (0.5 * log_var).exp(), validate_args=False)
        p = Normal(torch.zeros_like(mean), torch.ones_like(mean), validate_args=False)
        z = q.loc + q.scale * eps
        y = m.decoder(z)
        return kl_divergence(q, p).sum(1) - Independent(Normal(y, torch.full_like(y, 0.5), validate_args=False), 1, validate_args=False).log_prob(x)

    return Of(loss, encoder=mlp(8, 16, 6), decoder=mlp(3, 16, 8)), {"x": randn(8), "eps": randn(3)}


@model
def vae_ladder():
    def loss(m, x, eps1, eps2):
        d = torch.relu(m.up(x))
        q1, q2 = m.q1(d).chunk(2, 1), m.q2(d).chunk(2, 1)
        z1 = q1[0] + eps1 * (0.5 * q1[1]).exp()
        prior = m.p2(z1).chunk(2, 1)
        z2 = q2[0] + eps2 * (0.5 * q2[1]).exp()
        kl1 = 0.5 * (q1[0] ** 2 + q1[1].exp() - 1 - q1[1]).sum(1)
        kl2 = 0.5 * (prior[1] - q2[1] + (q2[1].exp() + (q2[0] - prior[0]) ** 2) / prior[1].exp() - 1).sum(1)
        return kl1 + kl2 + gaussian(x, m.dec(torch.cat([z1, z2], 1)), torch.zeros(()))

    parts = dict(up=nn.Linear(8, 10), q1=nn.Linear(10, 4), q2=nn.Linear(10, 6), p2=mlp(2, 6, 6), dec=mlp(5, 10, 8))
    return Of(loss, **parts), {"x": randn(8), "eps1": randn(2), "eps2": randn(3)}


@model
def iwae():
    def loss(m, x, eps):
        mean, log_var = m.encoder(x)[:, None].chunk(2, 2)
        z = mean + eps * (0.5 * log_var).exp()
        log_w = -0.5 * ((x[:, None] - m.decoder(z)) ** 2).sum(2) - 0.5 * (z**2).sum(2) + 0.5 * (eps**2 + log_var).sum(2)
        return math.log(4) - torch.logsumexp(log_w, 1)

    return Of(loss, encoder=mlp(8, 16, 6), decoder=mlp(3, 16, 8)), {"x": randn(8), "eps": randn(4, 3)}


@model
def vq_vae():
    def loss(m, x):
        z = m.encoder(x)
        nearest = ((z[:, None] - m.codes[None]) ** 2).sum(2).argmin(1)
        q = m.codes[nearest]
        straight = z + (q - z).detach()
        return energy(x - m.decoder(straight)) + ((q - z.detach()) ** 2).sum(1) + 0.25 * ((z - q.detach()) ** 2).sum(1)

    return Of(loss, encoder=mlp(8, 12, 3), decoder=mlp(3, 12, 8), codes=weight(6, 3)), {"x": randn(8)}


@model
def sparse_autoencoder():
    def loss(m, x):
        h = torch.relu(m.encoder(x - m.decoder.bias))
        return energy(x - m.decoder(h)) + 0.1 * h.abs().sum(1)

    return Of(loss, encoder=nn.Linear(6, 12), decoder=nn.Linear(12, 6)), {"x": randn(6)}


def timestep_embedding(t, size):
    freq = torch.exp(-math.log(10000) * torch.arange(size // 2) / (size // 2))
    angle = t[:, None] * freq[None]
    return torch.cat([angle.sin(), angle.cos()], 1)


class Block(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.norm1, self.conv1, self.time = nn.GroupNorm(2, n_in), nn.Conv2d(n_in, n_out, 3, padding=1), nn.Linear(8, n_out)
        self.norm2, self.conv2 = nn.GroupNorm(2, n_out), nn.Conv2d(n_out, n_out, 3, padding=1)
        self.skip = nn.Conv2d(n_in, n_out, 1) if n_in != n_out else nn.Identity()

    def forward(self, x, emb):
        h = self.conv1(F.silu(self.norm1(x))) + self.time(emb)[:, :, None, None]
        return self.skip(x) + self.conv2(F.silu(self.norm2(h)))


class AttentionBlock(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.norm, self.qkv, self.out = nn.GroupNorm(2, n), nn.Conv2d(n, 3 * n, 1), nn.Conv2d(n, n, 1)

    def forward(self, x):
        n, c, h, w = x.shape
        q, k, v = self.qkv(self.norm(x)).reshape(n, 3 * c, h * w).chunk(3, 1)
        weights = torch.einsum("nci,ncj->nij", q, k).mul(c**-0.5).softmax(-1)
        return x + self.out(torch.einsum("nij,ncj->nci", weights, v).reshape(n, c, h, w))


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.time = nn.Sequential(nn.Linear(8, 8), nn.SiLU())
        self.inp, self.a, self.down = nn.Conv2d(1, 4, 3, padding=1), Block(4, 4), nn.Conv2d(4, 8, 3, 2, 1)
        self.b, self.attn = Block(8, 8), AttentionBlock(8)
        self.up, self.c = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(8, 4, 3, padding=1)), Block(8, 4)
        self.out = nn.Sequential(nn.GroupNorm(2, 4), nn.SiLU(), nn.Conv2d(4, 1, 3, padding=1))

    def forward(self, x, t):
        emb = self.time(timestep_embedding(t, 8))
        a = self.a(self.inp(x), emb)
        b = self.attn(self.b(self.down(a), emb))
        return self.out(self.c(torch.cat([self.up(b), a], 1), emb))


def ddpm_loss(m, x, noise, t):
    ab = m.alpha_bar[t][:, None, None, None]
    return F.mse_loss(m.net(ab.sqrt() * x + (1 - ab).sqrt() * noise, t), noise, reduction="none").sum((1, 2, 3))


@model
def ddpm_unet():
    alpha_bar = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 100), 0)
    return Of(ddpm_loss, net=UNet(), alpha_bar=alpha_bar), {"x": randn(1, 8, 8), "noise": randn(1, 8, 8), "t": torch.tensor([3, 40])}


@model
def flow_matching():
    def loss(m, x, noise, t):
        xt = (1 - t) * noise + t * x
        return F.mse_loss(m.net(torch.cat([xt, t], 1)), x - noise, reduction="none").mean(1)

    return Of(loss, net=mlp(6, 16, 16, 5, act=nn.SELU)), {"x": randn(5), "noise": randn(5), "t": rand(1)}


@model
def dit_block():
    def loss(m, x, noise, t):
        h = m.patch(x).flatten(2).transpose(1, 2) + m.pos
        shift, scale, gate = m.ada(F.silu(timestep_embedding(t, 8)))[:, None].chunk(3, 2)
        y = m.norm(h) * (1 + scale) + shift
        q, k, v = m.qkv(y).unflatten(2, (3, 2, 4)).permute(2, 0, 3, 1, 4)
        h = h + gate * m.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        out = m.out(h).view(-1, 3, 3, 2, 2).permute(0, 1, 3, 2, 4).reshape(-1, 1, 6, 6)
        return energy(out - noise)

    parts = dict(patch=nn.Conv2d(1, 8, 2, 2), pos=weight(1, 9, 8), ada=nn.Linear(8, 24), norm=nn.LayerNorm(8, elementwise_affine=False))
    return Of(loss, **parts, qkv=nn.Linear(8, 24), proj=nn.Linear(8, 8), out=nn.Linear(8, 4)), {
        "x": randn(1, 6, 6), "noise": randn(1, 6, 6), "t": torch.tensor([3, 40])}
