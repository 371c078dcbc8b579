"""Networks over images and series: convolutions, poolings, resizing, padding, pixel orders, masks."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

from zoo import Of, energy, model, rand, randn, weight


def over_images(net, size=8, channels=1):
    return Of(lambda m, x: energy(m.net(x)), net=net), {"x": randn(channels, size, size)}


@model
def conv_net():
    return over_images(nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 6, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(54, 3)))


@model
def conv_variants():
    return over_images(nn.Sequential(
        nn.Conv2d(1, 4, 3, dilation=2), nn.Tanh(), nn.Conv2d(4, 4, 3, groups=4, padding=1), nn.Tanh(), nn.Conv2d(4, 6, 1), nn.Tanh(),
        nn.Conv2d(6, 4, (1, 3), padding="same", groups=2, bias=False), nn.Tanh(), nn.Conv2d(4, 2, 2, stride=(2, 1)),
    ))


@model
def conv_transpose():
    return over_images(nn.Sequential(
        nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.ReLU(), nn.ConvTranspose2d(4, 4, 4, stride=2, padding=1), nn.ReLU(),
        nn.ConvTranspose2d(4, 2, 3, stride=2, output_padding=1, groups=2),
    ))


@model
def conv_groupnorm():
    return over_images(nn.Sequential(nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4), nn.SiLU(), nn.Conv2d(4, 4, 3), nn.GroupNorm(1, 4), nn.SiLU(), nn.Conv2d(4, 1, 1)))


@model
def conv_groupnorm_fresh():
    return over_images(nn.Sequential(nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4), nn.SiLU(), nn.Conv2d(4, 4, 3), nn.GroupNorm(2, 4), nn.SiLU(), nn.Conv2d(4, 1, 1)))


@model
def conv_batchnorm():
    net = nn.Sequential(nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 1, 1))
    net(torch.randn(16, 1, 8, 8))
    return over_images(net)


@model
def batchnorm_before_conv():
    net = nn.Sequential(nn.BatchNorm2d(1), nn.Conv2d(1, 4, 3), nn.ReLU(), nn.BatchNorm2d(4), nn.ConvTranspose2d(4, 2, 3), nn.BatchNorm2d(2))
    net(torch.randn(16, 1, 8, 8))
    return over_images(net)


@model
def instance_norm():
    return over_images(nn.Sequential(nn.Conv2d(1, 4, 3), nn.InstanceNorm2d(4, affine=True), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.InstanceNorm2d(4), nn.Conv2d(4, 1, 1)))


@model
def layernorm2d():
    class LayerNorm2d(nn.LayerNorm):
        def forward(self, x):
            return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    return over_images(nn.Sequential(nn.Conv2d(1, 4, 4, stride=4), LayerNorm2d(4), nn.Conv2d(4, 8, 1), nn.GELU(), nn.Conv2d(8, 4, 1)))


@model
def local_response_norm():
    return over_images(nn.Sequential(nn.Conv2d(1, 4, 3), nn.LocalResponseNorm(2), nn.ReLU(), nn.Conv2d(4, 1, 3)))


@model
def conv_weight_norm():
    return over_images(nn.Sequential(parametrizations.weight_norm(nn.Conv2d(1, 4, 3)), nn.ELU(), parametrizations.weight_norm(nn.Conv2d(4, 2, 3))))


@model
def weight_standardised():
    class Standardised(nn.Conv2d):
        def forward(self, x):
            w = self.weight
            mean, var = w.mean((1, 2, 3), keepdim=True), w.var((1, 2, 3), keepdim=True, unbiased=False)
            return F.conv2d(x, (w - mean) * (var + 1e-5).rsqrt(), self.bias, padding=1)

    return over_images(nn.Sequential(Standardised(1, 4, 3), nn.SiLU(), Standardised(4, 2, 3)))


@model
def pools():
    return over_images(nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3, padding=1), nn.AvgPool2d(2), nn.Conv2d(4, 4, 1),
        nn.MaxPool2d(3, stride=1, padding=1), nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False), nn.LPPool2d(2, 2, 1),
    ))


@model
def adaptive_pools():
    def net(m, x):
        h = m.c(x)
        return energy(m.l(torch.cat([F.adaptive_avg_pool2d(h, 1), F.adaptive_max_pool2d(h, 1), F.adaptive_avg_pool2d(h, 2).flatten(1, 3).view(-1, 16, 1, 1)], 1).flatten(1)))

    return Of(net, c=nn.Conv2d(1, 4, 3, padding=1), l=nn.Linear(24, 3)), {"x": randn(1, 8, 8)}


@model
def max_unpool():
    def net(m, x):
        h, where = F.max_pool2d(m.a(x), 2, return_indices=True)
        return energy(m.b(F.max_unpool2d(torch.tanh(h), where, 2)))

    return Of(net, a=nn.Conv2d(1, 3, 3, padding=1), b=nn.Conv2d(3, 1, 3)), {"x": randn(1, 8, 8)}


@model
def pixel_shuffle():
    return over_images(nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(4, 8, 3, padding=1), nn.Tanh(), nn.PixelShuffle(2), nn.Conv2d(2, 1, 1)))


@model
def channel_shuffle():
    return over_images(nn.Sequential(nn.Conv2d(1, 4, 3), nn.ChannelShuffle(2), nn.Conv2d(4, 4, 3, groups=2)))


@model
def interpolate():
    def net(m, x):
        h = m.a(x)
        up = [F.interpolate(h, scale_factor=2, mode=mode) for mode in ("nearest", "bilinear", "bicubic")]
        up.append(F.interpolate(h, size=(16, 16), mode="bilinear", align_corners=True))
        return energy(m.b(torch.cat(up, 1))) + energy(F.interpolate(h, scale_factor=0.5, mode="bilinear"))

    return Of(net, a=nn.Conv2d(1, 2, 3, padding=1), b=nn.Conv2d(8, 1, 1)), {"x": randn(1, 8, 8)}


@model
def interpolate_antialias():
    def net(m, x):
        return energy(m.b(F.interpolate(m.a(x), size=(4, 4), mode="bilinear", antialias=True)))

    return Of(net, a=nn.Conv2d(1, 2, 3, padding=1), b=nn.Conv2d(2, 1, 1)), {"x": randn(1, 8, 8)}


@model
def padding_modes():
    return over_images(nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1, padding_mode="reflect"), nn.Conv2d(2, 2, 3, padding=1, padding_mode="replicate"),
        nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular"), nn.ZeroPad2d((1, 0, 1, 0)), nn.ConstantPad2d(1, 0.3), nn.Conv2d(2, 1, 3),
    ))


@model
def grid_sample():
    def net(m, x):
        theta = m.loc(x.flatten(1)).view(-1, 2, 3) * 0.2 + torch.tensor([[1.0, 0, 0], [0, 1, 0]])
        grid = F.affine_grid(theta, x.shape, align_corners=False)
        return energy(m.c(F.grid_sample(x, grid, align_corners=False)))

    return Of(net, loc=nn.Linear(36, 6), c=nn.Conv2d(1, 3, 3)), {"x": randn(1, 6, 6)}


@model
def unfold_fold():
    def net(m, x):
        patches = F.unfold(x, 2, stride=2).transpose(1, 2)
        return energy(F.fold(torch.tanh(m.l(patches)).transpose(1, 2), (8, 8), 2, stride=2))

    return Of(net, l=nn.Linear(4, 4)), {"x": randn(1, 8, 8)}


@model
def resnet_squeeze_excite():
    def net(m, x):
        h = m.stem(x)
        r = m.b(F.relu(m.a(h)))
        scale = torch.sigmoid(m.up(F.relu(m.down(r.mean((2, 3))))))
        return energy(m.head((h + r * scale[:, :, None, None]).mean((2, 3))))

    parts = dict(stem=nn.Conv2d(1, 4, 3), a=nn.Conv2d(4, 4, 3, padding=1), b=nn.Conv2d(4, 4, 3, padding=1))
    return Of(net, **parts, down=nn.Linear(4, 2), up=nn.Linear(2, 4), head=nn.Linear(4, 3)), {"x": randn(1, 8, 8)}


@model
def convnext_block():
    def net(m, x):
        h = m.stem(x)
        r = m.up(F.gelu(m.down(m.norm(m.depth(h).permute(0, 2, 3, 1))))) * m.gamma
        return energy(m.head((h + r.permute(0, 3, 1, 2)).mean((2, 3))))

    parts = dict(stem=nn.Conv2d(1, 4, 2, 2), depth=nn.Conv2d(4, 4, 3, padding=1, groups=4), norm=nn.LayerNorm(4))
    return Of(net, **parts, down=nn.Linear(4, 8), up=nn.Linear(8, 4), gamma=weight(4), head=nn.Linear(4, 3)), {"x": randn(1, 8, 8)}


@model
def conv1d_wavenet():
    def net(m, x):
        h = m.inp(F.pad(x, (1, 0)))
        for i, (f, g) in enumerate(zip(m.filters, m.gates)):
            padded = F.pad(h, (2**i, 0))
            h = h + torch.tanh(f(padded)) * torch.sigmoid(g(padded))
        mean, log_scale = m.out(h)[:, :, :-1].chunk(2, 1)
        return (0.5 * ((x[:, :, 1:] - mean) * torch.exp(-log_scale)) ** 2 + log_scale).sum((1, 2))

    layers = lambda: nn.ModuleList(nn.Conv1d(4, 4, 2, dilation=2**i) for i in range(3))
    return Of(net, inp=nn.Conv1d(1, 4, 2), filters=layers(), gates=layers(), out=nn.Conv1d(4, 2, 1)), {"x": randn(1, 12)}


@model
def conv3d():
    net = nn.Sequential(nn.Conv3d(1, 2, 3, padding=1), nn.ReLU(), nn.MaxPool3d(2), nn.Conv3d(2, 2, 2), nn.ConvTranspose3d(2, 1, 2))
    return Of(lambda m, x: energy(m.net(x)), net=net), {"x": randn(1, 4, 4, 4)}


class MaskedConv(nn.Conv2d):
    def __init__(self, kind, *sizes, **options):
        super().__init__(*sizes, **options)
        k = self.kernel_size[0]
        mask = torch.ones(k, k)
        mask[k // 2, k // 2 + (kind == "B") :] = 0
        mask[k // 2 + 1 :] = 0
        self.register_buffer("mask", mask[None, None].repeat(*self.weight.shape[:2], 1, 1))

    def forward(self, x):
        return F.conv2d(x, self.weight * self.mask, self.bias, padding=self.padding)


@model
def pixelcnn():
    net = nn.Sequential(
        MaskedConv("A", 1, 6, 5, padding=2), nn.ReLU(), MaskedConv("B", 6, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 4, 1))

    def loss(m, x):
        return F.cross_entropy(m.net(x / 3 - 0.5), x[:, 0].long(), reduction="none").sum((1, 2))

    return Of(loss, net=net), {"x": torch.randint(0, 4, (2, 1, 6, 6)).float()}


@model
def pixelcnn_binary():
    net = nn.Sequential(MaskedConv("A", 1, 6, 5, padding=2), nn.ReLU(), MaskedConv("B", 6, 1, 3, padding=1))
    return Of(lambda m, x: F.binary_cross_entropy_with_logits(m.net(x), x, reduction="none").sum((1, 2, 3)), net=net), {"x": rand(1, 6, 6).round()}


@model
def gated_pixelcnn_weight_edited():
    """The mask is multiplied into the weight's data in forward, as many repositories do: no part of the graph."""

    class Edited(MaskedConv):
        def forward(self, x):
            return F.conv2d(x, self.weight * self.mask, self.bias, padding=self.padding)

    def loss(m, x):
        a, b = m.first(x).chunk(2, 1)
        return F.binary_cross_entropy_with_logits(m.out(torch.tanh(a) * torch.sigmoid(b)), x, reduction="none").sum((1, 2, 3))

    return Of(loss, first=Edited("A", 1, 8, 3, padding=1), out=nn.Conv2d(4, 1, 1)), {"x": rand(1, 6, 6).round()}


@model
def spectral():
    def net(m, x):
        return energy(torch.view_as_real(torch.fft.rfft(m.l(x)))[..., 0] * m.w)

    return Of(net, l=nn.Linear(8, 8), w=weight(5)), {"x": randn(8)}
