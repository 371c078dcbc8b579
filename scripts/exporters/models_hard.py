"""Parameters in the ways that make them hard to find in a file: shared, tied, computed, of odd ranks, frozen, unused, in containers."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from zoo import Of, energy, gaussian, ids, mlp, model, next_token, rand, randn, weight


@model
def weight_norm_old():
    with_norm = getattr(nn.utils, "weight_norm")
    net = nn.Sequential(with_norm(nn.Linear(5, 6)), nn.Tanh(), with_norm(nn.Linear(6, 3), dim=None))
    return Of(lambda m, x: energy(m.net(x)), net=net), {"x": randn(5)}


@model
def spectral_norm_old():
    return Of(lambda m, x: energy(m.net(x)), net=nn.Sequential(nn.utils.spectral_norm(nn.Linear(5, 6)), nn.Tanh(), nn.Linear(6, 3))), {"x": randn(5)}


class Symmetric(nn.Module):
    def forward(self, w):
        return w.triu() + w.triu(1).transpose(-1, -2)


class Exp(nn.Module):
    def forward(self, w):
        return w.exp()


@model
def parametrizations_own():
    net = nn.Sequential(nn.Linear(5, 5), nn.Tanh(), nn.Linear(5, 3))
    parametrize.register_parametrization(net[0], "weight", Symmetric())
    parametrize.register_parametrization(net[2], "bias", Exp())
    return Of(lambda m, x: energy(m.net(x)), net=net), {"x": randn(5)}


@model
def orthogonal_parametrization():
    return Of(lambda m, x: energy(m.net(x)), net=nn.utils.parametrizations.orthogonal(nn.Linear(4, 4), orthogonal_map="cayley")), {"x": randn(4)}


@model
def tied_transposed_layers():
    """The decoder's weights are the encoder's, transposed; biases are its own."""
    a, b = nn.Linear(6, 5), nn.Linear(5, 3)
    return Of(lambda m, x: energy(x - (F.linear(F.tanh(F.linear(m.b(torch.tanh(m.a(x))), m.b.weight.T, m.c)), m.a.weight.T, m.d))),
              a=a, b=b, c=weight(5), d=weight(6)), {"x": randn(6)}


@model
def tied_conv_transpose():
    conv = nn.Conv2d(2, 3, 3, padding=1)
    return Of(lambda m, x: energy(x - F.conv_transpose2d(torch.tanh(m.conv(x)), m.conv.weight, padding=1)), conv=conv), {"x": randn(2, 5, 5)}


@model
def tied_square_linears():
    """One square weight in two layers, once transposed."""
    a, b = nn.Linear(4, 4), nn.Linear(4, 4)
    b.weight = a.weight
    return Of(lambda m, x: energy(m.b(torch.tanh(m.a(x))) @ m.a.weight), a=a, b=b), {"x": randn(4)}


@model
def tied_biases():
    a, b = nn.Linear(4, 5), nn.Linear(5, 5)
    b.bias = a.bias
    return Of(lambda m, x: energy(m.b(torch.tanh(m.a(x)))), a=a, b=b), {"x": randn(4)}


@model
def shared_block_thrice():
    block = nn.Sequential(nn.LayerNorm(5), nn.Linear(5, 5), nn.GELU())

    def forward(m, x):
        for _ in range(3):
            x = x + m.block(x)
        return energy(x)

    return Of(forward, block=block, again=block), {"x": randn(5)}


@model
def lora_merged():
    base = nn.Linear(5, 6)
    base.weight.requires_grad_(False)
    return Of(lambda m, x: energy(F.linear(x, m.base.weight + 0.5 * m.up @ m.down, m.base.bias)), base=base, up=weight(6, 2), down=weight(2, 5)), {"x": randn(5)}


@model
def lora_beside():
    base = nn.Linear(5, 6)
    for p in base.parameters():
        p.requires_grad_(False)
    return Of(lambda m, x: energy(m.base(x) + 0.5 * m.up(m.down(x))), base=base, up=nn.Linear(2, 6, bias=False), down=nn.Linear(5, 2, bias=False)), {"x": randn(5)}


@model
def buffers_like_parameters():
    """Buffers in the places of weights, biases and scales."""
    parts = dict(projection=torch.randn(5, 4), shift=torch.randn(4), gain=torch.rand(4) + 0.5, table=torch.randn(7, 4))
    return Of(lambda m, x, i: energy(m.head((x @ m.projection + m.shift) * m.gain + m.table[i])), head=nn.Linear(4, 3), **parts), {"x": randn(5), "i": ids(7)}


@model
def complex_rotation():
    def forward(m, x):
        z = torch.view_as_complex(m.a(x).reshape(-1, 3, 2)) * torch.polar(torch.ones(3), m.angle)
        return energy(m.b(torch.view_as_real(z).flatten(1)))

    return Of(forward, a=nn.Linear(4, 6), b=nn.Linear(6, 2), angle=weight(3)), {"x": randn(4)}


@model
def nested_containers():
    inner = nn.ModuleDict({"a": nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 4)]), "b.c".replace(".", "_"): nn.Linear(4, 3)})
    lists = nn.ParameterList([weight(4), weight(4)])
    dicts = nn.ParameterDict({"gain": weight(4), "offset": weight(3)})

    def forward(m, x):
        for layer, shift in zip(m.inner["a"], m.lists):
            x = torch.tanh(layer(x) + shift) * m.dicts["gain"]
        return energy(m.inner["b_c"](x) - m.dicts["offset"])

    return Of(forward, inner=inner, lists=lists, dicts=dicts), {"x": randn(4)}


@model
def ranks_zero_to_five():
    return Of(lambda m, x: energy(((x * m.r0 + m.r1) * m.r5[0, 0, :, 0, 0] + m.r3.sum((0, 1))).square() @ m.r2),
              r0=weight(), r1=weight(1), r2=weight(4, 3), r3=weight(2, 1, 4), r5=weight(1, 1, 4, 1, 1)), {"x": randn(4)}


@model
def expanded_parameters():
    """Tokens and queries that are repeated for every example, as in perceivers and vision transformers."""

    def forward(m, x):
        n = x.shape[0]
        tokens = torch.cat([m.cls.expand(n, -1, -1), x, m.registers.repeat(n, 1, 1)], 1)
        q = m.queries[None].expand(n, -1, -1)
        return energy(torch.softmax(q @ tokens.transpose(1, 2), -1) @ m.out(tokens))

    return Of(forward, cls=weight(1, 1, 4), registers=weight(2, 4), queries=weight(3, 4), out=nn.Linear(4, 4)), {"x": randn(3, 4)}


@model
def einsum_parameters():
    return Of(lambda m, x: energy(torch.einsum("nti,hij,nsj->nhts", x, m.w, x) + torch.einsum("hd,nd->nh", m.v, x.mean(1))[:, :, None, None]),
              w=weight(2, 4, 4), v=weight(2, 4)), {"x": randn(3, 4)}


@model
def unused_and_frozen():
    used, frozen, unused = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)
    frozen.bias.requires_grad_(False)
    return Of(lambda m, x: energy(m.frozen(torch.tanh(m.used(x)))), used=used, frozen=frozen, unused=unused), {"x": randn(4)}


@model
def scripted_part():
    return Of(lambda m, x: energy(m.head(m.part(x))), part=torch.jit.script(mlp(4, 5, 4)), head=nn.Linear(4, 2)), {"x": randn(4)}


@model
def encoder_fast_path():
    layer = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True, activation="gelu", norm_first=False, dropout=0.2)
    return Of(lambda m, x: energy(m.layer(x)), layer=layer), {"x": randn(4, 8)}


@model
def attention_masked_causal():
    def forward(m, x):
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1])
        return energy(m.attn(x, x, x, attn_mask=mask, need_weights=False, is_causal=True)[0])

    return Of(forward, attn=nn.MultiheadAttention(6, 2, batch_first=True, bias=False, add_bias_kv=False)), {"x": randn(4, 6)}


@model
def attention_bias_kv():
    return Of(lambda m, x: energy(m.attn(x, x, x, need_weights=False)[0]), attn=nn.MultiheadAttention(6, 2, batch_first=True, add_bias_kv=True)), {"x": randn(4, 6)}


@model
def adaptive_pool_odd():
    return Of(lambda m, x: energy(m.b(F.adaptive_avg_pool2d(m.a(x), (3, 2)).flatten(1))), a=nn.Conv2d(1, 2, 3), b=nn.Linear(12, 3)), {"x": randn(1, 9, 8)}


@model
def gru_cells_shared_start():
    def forward(m, x):
        h = m.h0.expand(x.shape[0], -1)
        for t in range(x.shape[1]):
            h = m.cell(x[:, t], h)
        return energy(m.out(h))

    return Of(forward, cell=nn.GRUCell(3, 5), out=nn.Linear(5, 2), h0=weight(1, 5)), {"x": randn(4, 3)}


@model
def dropout_in_eval():
    return Of(lambda m, x: energy(m.net(x)), net=nn.Sequential(nn.Linear(4, 6), nn.Dropout(0.5), nn.AlphaDropout(0.3), nn.ReLU(), nn.Linear(6, 2))), {"x": randn(4)}


@model
def film_hypernetwork():
    """Weights that another network makes of the input."""

    def forward(m, x, c):
        w = m.hyper(c).reshape(-1, 3, 4)
        scale, shift = m.film(c).chunk(2, 1)
        return energy(torch.bmm(w, x[:, :, None])[:, :, 0] * (1 + scale) + shift)

    return Of(forward, hyper=nn.Linear(2, 12), film=nn.Linear(2, 6)), {"x": randn(4), "c": randn(2)}


@model
def positional_half_learned():
    """A table whose first half is fixed and whose second is learned."""
    fixed = torch.sin(torch.arange(3)[:, None] * torch.exp(-torch.arange(4) / 2.0))
    return Of(lambda m, i: next_token(m.head(m.wte(i) + torch.cat([m.fixed, m.learned])), i), wte=nn.Embedding(9, 4), head=nn.Linear(4, 9), fixed=fixed, learned=weight(3, 4)), {
        "i": ids(9, 6)}


@model
def scaled_initial_zero():
    """ReZero and LayerScale: gates that start at zero, at one, at 10⁻⁵."""
    gates = dict(rezero=nn.Parameter(torch.zeros(1)), layer_scale=nn.Parameter(torch.full((5,), 1e-5)), gate=nn.Parameter(torch.ones(())))
    return Of(lambda m, x: energy(x + m.rezero * m.a(x) + m.layer_scale * m.b(x) + m.gate * x), a=nn.Linear(5, 5), b=nn.Linear(5, 5), **gates), {"x": randn(5)}


@model
def scaled_initial_zero_fresh():
    return scaled_initial_zero()


@model
def equal_layers_fresh():
    """Two layers that were initialised alike, as a deepcopy is."""
    import copy

    a = nn.Linear(5, 5)
    return Of(lambda m, x: energy(m.b(torch.tanh(m.a(x)))), a=a, b=copy.deepcopy(a)), {"x": randn(5)}


@model
def identity_initialised_fresh():
    a, b = nn.Linear(4, 4), nn.Linear(4, 4)
    for layer in (a, b):
        nn.init.eye_(layer.weight)
        nn.init.zeros_(layer.bias)
    return Of(lambda m, x: energy(torch.tanh(m.b(torch.tanh(m.a(x)))) - 1), a=a, b=b), {"x": randn(4)}


@model
def ones_and_signs():
    """Parameters that look like masks: of zeros and ones, of signs, in equal steps."""
    parts = dict(gate=nn.Parameter(torch.tensor([0.0, 1, 1, 0])), sign=nn.Parameter(torch.tensor([1.0, -1, 1, -1])), steps=nn.Parameter(torch.arange(4.0)))
    return Of(lambda m, x: energy((m.a(x) * m.gate + m.steps) * m.sign), a=nn.Linear(4, 4), **parts), {"x": randn(4)}


@model
def ones_and_signs_fresh():
    return ones_and_signs()


@model
def embedding_of_pairs():
    """Factorised embeddings; rows read by position and by class."""
    return Of(lambda m, i, c: next_token(m.head(m.project(m.small(i)) + m.klass(c)[:, None] + m.place.weight[: i.shape[1]]), i),
              small=nn.Embedding(9, 2), project=nn.Linear(2, 4, bias=False), klass=nn.Embedding(3, 4), place=nn.Embedding(8, 4), head=nn.Linear(4, 9)), {
                  "i": ids(9, 5), "c": ids(3)}


@model
def group_conv_shuffled():
    return Of(lambda m, x: energy(m.b(F.relu(m.a(x)).reshape(-1, 2, 2, 4, 4).transpose(1, 2).flatten(1, 2))),
              a=nn.Conv2d(4, 4, 3, groups=2, padding=1), b=nn.Conv2d(4, 4, 1, groups=4, bias=False)), {"x": randn(4, 4, 4)}


@model
def no_grad_part():
    """Gradients do not go through a teacher; no file says so."""

    def forward(m, x):
        with torch.no_grad():
            target = m.teacher(x)
        return energy(m.student(x) - target)

    return Of(forward, teacher=nn.Linear(4, 3), student=nn.Linear(4, 3)), {"x": randn(4)}


@model
def learned_prior_mixture():
    def forward(m, x):
        log_p = -gaussian(x[:, None].expand(-1, 3, -1).flatten(0, 1), m.mean.repeat(x.shape[0], 1), m.log_var.repeat(x.shape[0], 1)).reshape(-1, 3)
        return -torch.logsumexp(log_p + torch.log_softmax(m.logits, 0), 1)

    return Of(forward, mean=weight(3, 4), log_var=weight(3, 4), logits=weight(3)), {"x": rand(4)}
