"""One small network, the likelihoods in every way that PyTorch writes them, with logits large enough for a sigmoid to be exactly 0."""

import math

import torch
from torch import distributions as D
from torch import nn
from torch.nn import functional as F

from zoo import Of, ids, model, rand, randn, weight


def bits(loss):
    """Bernoulli over 6 values; logits up to about 35 in size, where float64 is still exact."""
    net = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 6))
    return Of(lambda m, x, y: loss(25 * m.net(x), y), net=net), {"x": randn(4), "y": rand(6).round()}


def classes(loss, scale=40):
    """A categorical over 5 classes at each of 3 places."""
    net = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 15))
    return Of(lambda m, x, y: loss(scale * m.net(x).view(-1, 3, 5), y), net=net), {"x": randn(4), "y": ids(5, 3)}


def real(loss, width=2, positive=False):
    """Two or three outputs a value, 4 values."""
    net = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 4 * width))
    y = rand(4) * 3 + 0.1 if positive else randn(4)
    return Of(lambda m, x, y: loss(y, *m.net(x).chunk(width, 1)), net=net), {"x": randn(4), "y": y}


@model
def bce():
    return bits(lambda z, y: F.binary_cross_entropy(torch.sigmoid(z), y, reduction="none").sum(1))


@model
def bce_with_logits():
    return bits(lambda z, y: F.binary_cross_entropy_with_logits(z, y, reduction="none").sum(1))


@model
def bce_logsigmoid():
    return bits(lambda z, y: -(y * F.logsigmoid(z) + (1 - y) * F.logsigmoid(-z)).sum(1))


@model
def bce_softplus():
    return bits(lambda z, y: (F.softplus(z) - z * y).sum(1))


@model
def bce_max():
    return bits(lambda z, y: (z.clamp(min=0) - z * y + torch.log(1 + torch.exp(-z.abs()))).sum(1))


@model
def bce_epsilon():
    def loss(z, y):
        p = torch.sigmoid(z)
        return -(y * torch.log(p + 1e-8) + (1 - y) * torch.log(1 - p + 1e-8)).sum(1)

    return bits(loss)


@model
def bce_log1p():
    return bits(lambda z, y: -(y * torch.log(torch.sigmoid(z / 20)) + (1 - y) * torch.log1p(-torch.sigmoid(z / 20))).sum(1))


@model
def bernoulli_logits():
    return bits(lambda z, y: -D.Bernoulli(logits=z, validate_args=False).log_prob(y).sum(1))


@model
def bernoulli_probs():
    return bits(lambda z, y: -D.Bernoulli(probs=torch.sigmoid(z), validate_args=False).log_prob(y).sum(1))


@model
def continuous_bernoulli():
    return bits(lambda z, y: -D.ContinuousBernoulli(logits=z / 20, validate_args=False).log_prob(y).sum(1))


@model
def cross_entropy():
    return classes(lambda z, y: F.cross_entropy(z.transpose(1, 2), y, reduction="none").sum(1))


@model
def cross_entropy_smooth():
    return classes(lambda z, y: F.cross_entropy(z.flatten(0, 1), y.flatten(), reduction="none", label_smoothing=0.1).view(-1, 3).sum(1))


@model
def cross_entropy_ignored():
    return classes(lambda z, y: F.cross_entropy(z.transpose(1, 2), y, reduction="none", ignore_index=2).sum(1))


@model
def cross_entropy_soft():
    return classes(lambda z, y: F.cross_entropy(z.transpose(1, 2), F.one_hot(y, 5).float().transpose(1, 2) * 0.9 + 0.02, reduction="none").sum(1))


@model
def nll_loss():
    return classes(lambda z, y: F.nll_loss(F.log_softmax(z, 2).transpose(1, 2), y, reduction="none").sum(1))


@model
def log_of_softmax():
    return classes(lambda z, y: -torch.log(torch.softmax(z, -1)).gather(2, y[..., None]).sum((1, 2)))


@model
def log_of_softmax_epsilon():
    return classes(lambda z, y: -torch.log(torch.softmax(z, -1) + 1e-8).gather(2, y[..., None]).sum((1, 2)))


@model
def log_of_gathered_softmax():
    return classes(lambda z, y: -torch.softmax(z, -1).gather(2, y[..., None]).log().sum((1, 2)), scale=4)


@model
def logsumexp():
    return classes(lambda z, y: (torch.logsumexp(z, 2) - z.gather(2, y[..., None])[..., 0]).sum(1))


@model
def categorical():
    return classes(lambda z, y: -D.Categorical(logits=z, validate_args=False).log_prob(y).sum(1))


@model
def categorical_probs():
    return classes(lambda z, y: -D.Categorical(probs=z.softmax(-1), validate_args=False).log_prob(y).sum(1), scale=4)


@model
def one_hot_likelihood():
    return classes(lambda z, y: -(F.log_softmax(z, -1) * F.one_hot(y, 5)).sum((1, 2)))


@model
def square():
    return real(lambda y, m, s: ((y - m) ** 2 + (y - s).pow(2) * 0.5).sum(1))


@model
def losses_of_differences():
    return real(lambda y, m, s: (F.mse_loss(m, y, reduction="none") + F.l1_loss(s, y, reduction="none") + F.smooth_l1_loss(m, y, reduction="none") +
                                 F.huber_loss(s, y, reduction="none", delta=0.5)).sum(1))


@model
def gaussian_nll_loss():
    return real(lambda y, m, s: F.gaussian_nll_loss(m, y, F.softplus(s), full=True, reduction="none").sum(1))


@model
def normal():
    return real(lambda y, m, s: -D.Normal(m, s.exp(), validate_args=False).log_prob(y).sum(1))


@model
def normal_log_cdf():
    return real(lambda y, m, s: -torch.log(0.5 * (1 + torch.erf((y - m) * torch.exp(-s) / math.sqrt(2))) + 1e-6).sum(1))


@model
def laplace():
    return real(lambda y, m, s: -D.Laplace(m, s.exp(), validate_args=False).log_prob(y).sum(1))


@model
def cauchy():
    return real(lambda y, m, s: -D.Cauchy(m, s.exp(), validate_args=False).log_prob(y).sum(1))


@model
def student_t():
    return real(lambda y, m, s: -D.StudentT(3.0, m, s.exp(), validate_args=False).log_prob(y).sum(1))


@model
def log_normal():
    return real(lambda y, m, s: -D.LogNormal(m, s.exp(), validate_args=False).log_prob(y).sum(1), positive=True)


@model
def gumbel():
    return real(lambda y, m, s: -D.Gumbel(m, s.exp(), validate_args=False).log_prob(y).sum(1))


@model
def poisson():
    return real(lambda y, m, s: F.poisson_nll_loss(m, y.abs().round(), reduction="none").sum(1) + s.square().sum(1))


@model
def gamma():
    return real(lambda y, a, b: -D.Gamma(F.softplus(a) + 0.5, b.exp(), validate_args=False).log_prob(y).sum(1), positive=True)


@model
def exponential():
    return real(lambda y, m, s: -(D.Exponential(m.exp(), validate_args=False).log_prob(y) + D.Weibull(s.exp(), 1.5, validate_args=False).log_prob(y)).sum(1), positive=True)


@model
def multivariate_normal():
    def loss(m, x, y):
        h = m.net(x)
        scale = torch.diag_embed(h[:, 3:6].exp()) + torch.tril(h[:, 6:].view(-1, 3, 3), -1)
        z = torch.linalg.solve_triangular(scale, (y - h[:, :3])[..., None], upper=False)[..., 0]
        return 0.5 * z.square().sum(1) + h[:, 3:6].sum(1)

    return Of(loss, net=nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 15))), {"x": randn(4), "y": randn(3)}


@model
def low_rank_normal():
    def loss(m, x):
        cov = m.w @ m.w.T + torch.diag(m.log_d.exp())
        return -D.MultivariateNormal(m.mean, covariance_matrix=cov, validate_args=False).log_prob(x)

    return Of(loss, w=weight(4, 2), log_d=weight(4), mean=weight(4)), {"x": randn(4)}


@model
def gaussian_mixture():
    def loss(m, x):
        d = (x[:, None] - m.mean[None]) * torch.exp(-m.log_s)
        parts = F.log_softmax(m.logits, 0) - 0.5 * d.square().sum(2) - m.log_s.sum(1)
        return -torch.logsumexp(parts, 1)

    return Of(loss, mean=weight(5, 4), log_s=weight(5, 4), logits=weight(5)), {"x": randn(4)}


@model
def mixture_density():
    def loss(m, x, y):
        logits, mean, s = m.net(x).view(-1, 3, 4).unbind(1)
        mixture = D.MixtureSameFamily(D.Categorical(logits=logits, validate_args=False), D.Normal(mean, s.exp(), validate_args=False), validate_args=False)
        return -mixture.log_prob(y[:, 0])

    return Of(loss, net=nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 12))), {"x": randn(4), "y": randn(1)}


@model
def discretised_logistic():
    def loss(y, m, s):
        k = (y.sigmoid() * 255).round() / 127.5 - 1
        inv = torch.exp(-s.clamp(min=-7))
        plus, minus = inv * (k - m + 1 / 255), inv * (k - m - 1 / 255)
        inside = torch.sigmoid(plus) - torch.sigmoid(minus)
        log_p = torch.where(k < -0.999, F.logsigmoid(plus), torch.where(k > 0.99, -F.softplus(minus), torch.log(inside.clamp(min=1e-12))))
        return -log_p.sum(1)

    return real(loss)


@model
def mixture_of_logistics():
    def loss(y, logits, mean, s):
        z = (y.mean(1, keepdim=True) - mean) * torch.exp(-s)
        return -torch.logsumexp(F.log_softmax(logits, 1) - z - s - 2 * F.softplus(-z), 1)

    return real(loss, 3)


@model
def ordinal():
    """An ordinal likelihood: differences of sigmoids at sorted thresholds."""

    def loss(m, x, y):
        cuts = m.first + F.pad(F.softplus(m.steps), (1, 0)).cumsum(0)
        cdf = torch.sigmoid(cuts - m.net(x))
        p = torch.cat([cdf, torch.ones_like(cdf[:, :1])], 1) - torch.cat([torch.zeros_like(cdf[:, :1]), cdf], 1)
        return -p.gather(1, y).log()[:, 0]

    return Of(loss, net=nn.Linear(4, 1), first=weight(1), steps=weight(3)), {"x": randn(4), "y": ids(5, 1)}
