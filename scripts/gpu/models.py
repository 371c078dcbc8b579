"""The losses of our models in PyTorch, by the names of their parameters: what `train.py` trains. The same numbers as ours
to float32, which `train.py --check` is for."""

import math

import numpy as np
import torch
import torch.nn.functional as F


def conv(p, name, x, stride=1):
    """A convolution with its bias, padded to keep the size."""
    w = p[f'{name}.weight']
    return F.conv2d(x, w, p[f'{name}.bias'], stride, w.shape[-1] // 2)


def dequantised(x, u=0.5):
    """Pixels 0..255 in [-0.5, 0.5)."""
    return (x + u) / 256 - 0.5


# Glow: src/models/glow.ts


def glow_affine(p, level, steps):
    """Actnorm and 1×1 convolution of all steps of a level as maps of a pixel, y = A x + b: [K, c, c], [K, c], and Σ log |det A|.

    W = P (L + I) (U + diag(sign exp(logDiag))) after (x + bias) exp(logs).
    """
    of = lambda name: torch.stack([p[f'level{level}.step{k}.{name}'] for k in range(steps)])
    lower, upper, log_diag = of('invconv.lower').tril(-1), of('invconv.upper').triu(1), of('invconv.logDiag')
    eye = torch.eye(lower.shape[-1], dtype=lower.dtype, device=lower.device)
    diagonal = torch.diag_embed(of('invconv.sign') * log_diag.exp())
    logs = of('actnorm.logs')
    a = of('invconv.permutation') @ ((lower + eye) @ (upper + diagonal)) * logs.exp()[:, None, :]
    return a.unbind(0), (a @ of('actnorm.bias')[:, :, None])[:, :, 0].unbind(0), logs.sum() + log_diag.sum()


def gaussian(z, mean=None, log_std=None):
    """log N(z; mean, exp(log_std)²) of each example."""
    if mean is not None:
        z = (z - mean) * (-log_std).exp()
    each = z * z + math.log(2 * math.pi) + (0 if log_std is None else 2 * log_std)
    return -0.5 * each.flatten(1).sum(1)


def coupling(p, at, x):
    a, b = x.chunk(2, 1)
    h = F.relu(conv(p, f'{at}.conv1', a))
    h = F.relu(conv(p, f'{at}.conv2', h))
    shift, scale = conv(p, f'{at}.conv3', h).chunk(2, 1)
    logit = scale + 2
    return torch.cat([a, (b + shift) * torch.sigmoid(logit)], 1), F.logsigmoid(logit).flatten(1).sum(1)


def glow_nll(p, config, x, u):
    """Nats of images 0..255 with noise u in [0, 1)."""
    x = dequantised(x, u)
    dims, terms = x[0].numel(), []
    for level in range(config['levels']):
        x = F.pixel_unshuffle(x, 2).contiguous(memory_format=torch.channels_last)
        n, c, h, w = x.shape
        maps, offsets, log_det = glow_affine(p, level, config['steps'])
        terms.append((h * w * log_det).expand(n))
        for k in range(config['steps']):
            rows = x.permute(0, 2, 3, 1).reshape(-1, c)
            x = torch.addmm(offsets[k], rows, maps[k].t()).view(n, h, w, c).permute(0, 3, 1, 2)
            x, log_det = coupling(p, f'level{level}.step{k}.coupling', x)
            terms.append(log_det)
        if level == config['levels'] - 1:
            terms.append(gaussian(x))
        else:
            x, z = x.chunk(2, 1)
            mean, log_std = conv(p, f'level{level}.prior', x).chunk(2, 1)
            terms.append(gaussian(z, mean, log_std))
    return dims * math.log(256) - torch.stack(terms).sum(0)


# DDPM: src/models/ddpm.ts, src/models/unet.ts


def ddpm_tables(config, device, dtype):
    """For every step its factors of image and noise and its embedding [T, 2 + channels], and where its share of draws ends."""
    steps, channels = config['steps'], config['channels']
    assert config['schedule'] == 'linear', 'only the linear schedule'
    t = np.arange(steps, dtype=np.float64)
    alpha = np.cumprod(1 - (1e-4 + (0.02 - 1e-4) * t / (steps - 1)))
    half = (channels + 1) // 2
    i = np.arange(channels)
    angle = t[:, None] * np.exp(-math.log(10000) * (i % half) / half)
    rows = np.concatenate([np.sqrt(alpha)[:, None], np.sqrt(1 - alpha)[:, None], np.where(i < half, np.sin(angle), np.cos(angle))], 1)
    if config['draws'] == 'uniform':
        ends = (t + 1) / steps
    else:
        log_snr = np.log(alpha / (1 - alpha))
        shares = -np.diff(log_snr) / (log_snr[0] - log_snr[-1])
        ends = np.cumsum(np.concatenate([shares[:1], shares]) / (1 + shares[0]))
    return torch.tensor(rows, device=device, dtype=dtype), torch.tensor(ends, device=device, dtype=dtype)


def norm(p, name, x, groups):
    return F.group_norm(x, groups, p[f'{name}.scale'], p[f'{name}.bias'], 1e-5)


def linear(p, name, x):
    return torch.addmm(p[f'{name}.bias'], x, p[f'{name}.weight'])


def residual(p, at, x, groups, time_):
    h = conv(p, f'{at}.conv1', F.silu(norm(p, f'{at}.norm1', x, groups)))
    h = h + linear(p, f'{at}.time', time_)[:, :, None, None]
    h = conv(p, f'{at}.conv2', F.silu(norm(p, f'{at}.norm2', h, groups)))
    return h + (conv(p, f'{at}.past', x) if f'{at}.past.weight' in p else x)


def attention(p, x, groups):
    n, c, height, width = x.shape
    q, k, v = conv(p, 'attention.qkv', norm(p, 'attention.norm', x, groups)).reshape(n, 3, c, -1).unbind(1)
    weights = torch.softmax(q.transpose(1, 2) @ k / math.sqrt(c), 2)
    taken = (v @ weights.transpose(1, 2)).reshape(n, c, height, width)
    return x + conv(p, 'attention.out', taken)


def unet(p, config, x, embedding):
    groups, last = config['groups'], len(config['multipliers']) - 1
    time_ = F.silu(linear(p, 'time2', F.silu(linear(p, 'time1', embedding))))
    y = conv(p, 'in', x)
    skips = []
    for i in range(last + 1):
        y = residual(p, f'down{i}', y, groups, time_)
        if i == last:
            y = attention(p, y, groups)
        skips.append(y)
        if i < last:
            y = conv(p, f'shrink{i}', y, 2)
    y = residual(p, 'middle', y, groups, time_)
    for i in range(last, -1, -1):
        y = residual(p, f'up{i}', torch.cat([y, skips[i]], 1), groups, time_)
        if i > 0:
            y = conv(p, f'grow{i}', F.interpolate(y, scale_factor=2, mode='nearest'))
    return conv(p, 'out', F.silu(norm(p, 'norm', y, groups)))


def ddpm_loss(p, config, tables, x, u, noise):
    """Denoising loss of images 0..255 at the steps that u in [0, 1) falls into."""
    rows, ends = tables
    t = torch.searchsorted(ends, u).clamp(max=len(ends) - 1)
    row = rows[t]
    signal, level = row[:, 0, None, None, None], row[:, 1, None, None, None]
    x0 = (x / 127.5 - 1)
    error = unet(p, config, signal * x0 + level * noise, row[:, 2:]) - noise
    each = error.abs() if config['norm'] == 'l1' else error.square()
    return each.flatten(1).sum(1)


# PixelCNN and PixelVAE: src/models/causal.ts, pixels.ts, vae.ts, pixelvae.ts


def gate(x):
    f, g = x.chunk(2, 1)
    return torch.tanh(f) * torch.sigmoid(g)


def causal(p, name, x, pads):
    """The causal part of a convolution; pads: left, right, top, bottom."""
    return F.conv2d(F.pad(x, pads), p[f'{name}.weight'], p[f'{name}.bias'])


def causal_features(p, config, x, given=None):
    """What is known at each pixel from those before it; `given` [n, k, h, w] is seen by every layer."""
    y = dequantised(x)
    above, left = y[:, :, :-1], y[:, :, :, :-1]
    for i in range(config['layers']):
        at = f'layer{i}'
        r, before = (3, None) if i == 0 else (1, left)
        above = causal(p, f'{at}.vertical', above, (r, r, r, 0))
        left = causal(p, f'{at}.horizontal', left, (r, 0, 0, 0))
        link = F.conv2d(above, p[f'{at}.link.weight'])
        if given is not None:
            to_above, to_left = F.conv2d(given, p[f'{at}.given.weight']).chunk(2, 1)
            above, left = above + to_above, left + to_left
        above, left = gate(above), conv(p, f'{at}.out', gate(left + link))
        if before is not None:
            left = left + before
    return left


def discretised_logistic(x, mean, log_scale):
    """log P of pixels 0..255 in 256 bins, the outermost reaching to ∓∞."""
    precision = (-log_scale).exp()
    delta = precision / 256
    a = (dequantised(x, 0) - mean) * precision
    below, above = F.softplus(-(a + delta)) * (x != 255), F.softplus(a) * (x != 0)
    inside = torch.log(torch.tanh(delta / 2)) + F.softplus(-delta)
    return inside * ((x != 0) & (x != 255)) - below - above


def mixture_nll(p, config, x, features):
    hidden = conv(p, 'hidden', F.relu(features))
    out = conv(p, 'output', F.relu(hidden))
    n, _, h, w = out.shape
    c, k = x.shape[1], config['mixtures']
    out = out.view(n, -1, k, h, w)
    logits, means, log_scales, slopes = out.split([1, c, c, c * (c - 1) // 2], 1)
    y, slopes, pixels = dequantised(x)[:, :, None], torch.tanh(slopes), x[:, :, None]
    shifted = []
    for i in range(c):
        mean = means[:, i : i + 1]
        for j in range(i):
            at = i * (i - 1) // 2 + j
            mean = mean + slopes[:, at : at + 1] * y[:, j : j + 1]
        shifted.append(mean)
    joint = discretised_logistic(pixels, torch.cat(shifted, 1), log_scales).sum(1, keepdim=True)
    log_p = torch.logsumexp(logits + joint, 2) - torch.logsumexp(logits, 2)
    return -log_p.flatten(1).sum(1)


def pixelcnn_nll(p, config, x):
    assert config['output'] == 'logistic', 'only mixtures of logistics'
    return mixture_nll(p, config, x, causal_features(p, config, x))


def pixelvae_nll(p, config, x, eps):
    y = dequantised(x)
    for i in (1, 2, 3):
        y = F.relu(conv(p, f'encoder.conv{i}', y, 2))
    y = y.flatten(1)
    mu, log_var = linear(p, 'encoder.mu', y), linear(p, 'encoder.logVar', y)
    z = mu + (log_var / 2).exp() * eps
    h = F.relu(linear(p, 'decoder.linear', z)).view(len(x), -1, x.shape[2] // 8, x.shape[3] // 8)
    for i in (1, 2, 3):
        weight, bias = p[f'decoder.up{i}.weight'], p[f'decoder.up{i}.bias']
        h = F.relu(F.conv_transpose2d(h, weight, bias, 2, 1))
    kl = 0.5 * (mu.square() + log_var.exp() - log_var - 1).sum(1)
    return kl + mixture_nll(p, config, x, causal_features(p, config, x, h))
