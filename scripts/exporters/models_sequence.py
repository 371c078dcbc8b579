"""Networks over sequences: recurrent ones, attention in all its spellings, embeddings, positions, masks, state spaces."""

import math

import torch
from torch import nn
from torch.nn import functional as F

from zoo import Of, energy, ids, mlp, model, next_token, randn, weight

V, T, D = 11, 6, 8


def recurrent_lm(cell, width):
    return Of(lambda m, x: next_token(m.head(m.rnn(m.wte(x))[0]), x), wte=nn.Embedding(V, D), rnn=cell, head=nn.Linear(width, V)), {"ids": ids(V, T)}


@model
def lstm_lm():
    return recurrent_lm(nn.LSTM(D, D, batch_first=True), D)


@model
def lstm_two_layers():
    return recurrent_lm(nn.LSTM(D, 5, num_layers=2, batch_first=True), 5)


@model
def lstm_bidirectional():
    rnn = nn.LSTM(3, 5, bidirectional=True, batch_first=True)
    return Of(lambda m, x: energy(m.head(m.rnn(x)[0])), rnn=rnn, head=nn.Linear(10, 2)), {"x": randn(T, 3)}


@model
def gru_lm():
    return recurrent_lm(nn.GRU(D, D, batch_first=True), D)


@model
def rnn_tanh():
    return recurrent_lm(nn.RNN(D, D, batch_first=True), D)


@model
def rnn_time_first():
    def loss(m, x):
        out, h = m.rnn(x.transpose(0, 1))
        return energy(m.head(out).transpose(0, 1)) + energy(h.transpose(0, 1))

    return Of(loss, rnn=nn.GRU(3, 4, num_layers=2), head=nn.Linear(4, 2)), {"x": randn(T, 3)}


@model
def lstm_states_given():
    def loss(m, x):
        h = torch.tanh(m.h0(x[:, 0]))[None]
        return energy(m.rnn(x, (h, m.c0.expand(1, x.shape[0], -1).contiguous()))[0])

    return Of(loss, rnn=nn.LSTM(3, 4, batch_first=True), h0=nn.Linear(3, 4), c0=weight(1, 1, 4)), {"x": randn(T, 3)}


@model
def lstm_cell_loop():
    def loss(m, x):
        h = c = torch.zeros(x.shape[0], 4)
        total = 0
        for t in range(4):
            total = total + energy(x[:, t] - m.out(h))
            h, c = m.cell(x[:, t], (h, c))
        return total

    return Of(loss, cell=nn.LSTMCell(3, 4), out=nn.Linear(4, 3)), {"x": randn(4, 3)}


@model
def gru_cell_loop():
    def loss(m, x):
        h = m.h0.expand(x.shape[0], -1)
        for t in range(4):
            h = m.cell(x[:, t], h)
        return energy(h)

    return Of(loss, cell=nn.GRUCell(3, 4), h0=weight(4)), {"x": randn(4, 3)}


@model
def multihead_attention():
    def loss(m, x):
        return energy(m.attn(x, x, x, need_weights=False)[0])

    return Of(loss, attn=nn.MultiheadAttention(D, 2, batch_first=True)), {"x": randn(T, D)}


@model
def multihead_cross_attention():
    def loss(m, x, y):
        out, weights = m.attn(x.transpose(0, 1), y.transpose(0, 1), y.transpose(0, 1))
        return energy(out.transpose(0, 1)) + energy(weights)

    return Of(loss, attn=nn.MultiheadAttention(D, 2, kdim=5, vdim=5)), {"x": randn(T, D), "y": randn(4, 5)}


@model
def transformer_encoder():
    layer = nn.TransformerEncoderLayer(D, 2, 16, batch_first=True)
    return Of(lambda m, x: energy(m.net(x)), net=nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)), {"x": randn(T, D)}


@model
def transformer_encoder_prenorm_fresh():
    layer = nn.TransformerEncoderLayer(D, 2, 16, batch_first=True, norm_first=True, activation="gelu")
    net = nn.TransformerEncoder(layer, 2, norm=nn.LayerNorm(D), enable_nested_tensor=False)
    return Of(lambda m, x: energy(m.head(m.net(x))), net=net, head=nn.Linear(D, 3)), {"x": randn(T, D)}


@model
def transformer_causal_lm():
    def loss(m, x):
        h = m.wte(x) + m.wpe(torch.arange(T))
        mask = nn.Transformer.generate_square_subsequent_mask(T)
        return next_token(m.head(m.net(h, mask=mask, is_causal=True)), x)

    layer = nn.TransformerEncoderLayer(D, 2, 16, batch_first=True)
    return Of(loss, wte=nn.Embedding(V, D), wpe=nn.Embedding(T, D), net=nn.TransformerEncoder(layer, 1), head=nn.Linear(D, V)), {"ids": ids(V, T)}


@model
def transformer_decoder():
    def loss(m, x, memory):
        return energy(m.net(x, memory, tgt_mask=nn.Transformer.generate_square_subsequent_mask(T)))

    layer = nn.TransformerDecoderLayer(D, 2, 16, batch_first=True)
    return Of(loss, net=nn.TransformerDecoder(layer, 1)), {"x": randn(T, D), "memory": randn(4, D)}


class CausalAttention(nn.Module):
    """nanoGPT's: one projection for q, k, v, a mask as a buffer."""

    def __init__(self, flash):
        super().__init__()
        self.c_attn, self.c_proj, self.flash = nn.Linear(D, 3 * D), nn.Linear(D, D), flash
        self.register_buffer("bias", torch.tril(torch.ones(T, T))[None, None])

    def forward(self, x):
        n, t, _ = x.shape
        q, k, v = (y.view(n, t, 2, D // 2).transpose(1, 2) for y in self.c_attn(x).split(D, 2))
        if self.flash:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            att = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(k.size(-1)))
            y = F.softmax(att.masked_fill(self.bias[:, :, :t, :t] == 0, float("-inf")), -1) @ v
        return self.c_proj(y.transpose(1, 2).contiguous().view(n, t, D))


class GptBlock(nn.Module):
    def __init__(self, flash):
        super().__init__()
        self.ln_1, self.attn, self.ln_2 = nn.LayerNorm(D), CausalAttention(flash), nn.LayerNorm(D)
        self.mlp = nn.Sequential(nn.Linear(D, 2 * D), nn.GELU(), nn.Linear(2 * D, D))

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


def gpt(tied, flash):
    def loss(m, x):
        h = m.wte(x) + m.wpe(torch.arange(0, x.shape[1], dtype=torch.long, device=x.device))
        for block in m.blocks:
            h = block(h)
        return next_token(m.head(m.ln_f(h)), x)

    wte, head = nn.Embedding(V, D), nn.Linear(D, V, bias=False)
    if tied:
        wte.weight = head.weight
    blocks = nn.ModuleList(GptBlock(flash) for _ in range(2))
    return Of(loss, wte=wte, wpe=nn.Embedding(T, D), blocks=blocks, ln_f=nn.LayerNorm(D), head=head), {"ids": ids(V, T)}


@model
def gpt_tied():
    return gpt(True, True)


@model
def gpt_untied_by_hand():
    return gpt(False, False)


@model
def gpt_tied_fresh():
    return gpt(True, True)


@model
def rotary_attention():
    def loss(m, x):
        q, k, v = m.qkv(x).view(-1, T, 3, 2, 4).permute(2, 0, 3, 1, 4)
        angle = torch.arange(T).float()[:, None] * m.inv_freq
        cos, sin = torch.cat([angle, angle], -1).cos(), torch.cat([angle, angle], -1).sin()
        turn = lambda y: y * cos + torch.cat([-y[..., 2:], y[..., :2]], -1) * sin
        return energy(m.o(F.scaled_dot_product_attention(turn(q), turn(k), v, is_causal=True).transpose(1, 2).flatten(2)))

    return Of(loss, qkv=nn.Linear(D, 24), o=nn.Linear(D, D, bias=False), inv_freq=torch.tensor([1.0, 0.1])), {"x": randn(T, D)}


@model
def alibi_attention():
    def loss(m, x):
        q, k, v = m.qkv(x).view(-1, T, 3, 2, 4).permute(2, 0, 3, 1, 4)
        i = torch.arange(T)
        bias = -(i[:, None] - i).abs() * torch.tensor([0.5, 0.25])[:, None, None]
        scores = q @ k.mT / 2 + bias
        return energy((scores.masked_fill(i[:, None] < i, torch.finfo(torch.float32).min).softmax(-1) @ v).transpose(1, 2).flatten(2))

    return Of(loss, qkv=nn.Linear(D, 24)), {"x": randn(T, D)}


@model
def relative_bias_attention():
    def loss(m, x):
        q, k, v = m.qkv(x).view(-1, T, 3, 2, 4).permute(2, 0, 3, 1, 4)
        i = torch.arange(T)
        distance = i - i[:, None]
        bucket = (distance > 0).long() * 4 + distance.abs().clamp(max=3)
        bias = m.bias(bucket).permute(2, 0, 1)[None]
        return energy((torch.softmax(q @ k.mT + bias, -1) @ v).transpose(1, 2).flatten(2))

    return Of(loss, qkv=nn.Linear(D, 24), bias=nn.Embedding(8, 2)), {"x": randn(T, D)}


@model
def grouped_query_attention():
    def loss(m, x):
        q, k, v = m.q(x).view(-1, T, 4, 2).transpose(1, 2), m.k(x).view(-1, T, 2, 2).transpose(1, 2), m.v(x).view(-1, T, 2, 2).transpose(1, 2)
        k, v = (y[:, :, None].expand(-1, -1, 2, -1, -1).reshape(-1, 4, T, 2) for y in (k, v))
        return energy(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2))

    return Of(loss, q=nn.Linear(D, 8), k=nn.Linear(D, 4), v=nn.Linear(D, 4)), {"x": randn(T, D)}


@model
def linear_attention():
    def loss(m, x):
        q, k, v = (F.elu(f(x)) + 1 for f in (m.q, m.k, m.v))
        kv = torch.einsum("nti,ntj->ntij", k, v).cumsum(1)
        return energy(torch.einsum("nti,ntij->ntj", q, kv) / (torch.einsum("nti,nti->nt", q, k.cumsum(1))[..., None] + 1e-6))

    return Of(loss, q=nn.Linear(D, 4), k=nn.Linear(D, 4), v=nn.Linear(D, 4)), {"x": randn(T, D)}


@model
def state_space_scan():
    """Mamba's selective scan, written as its slow path writes it."""

    def loss(m, x):
        u = F.silu(m.conv(x.transpose(1, 2))[:, :, :T].transpose(1, 2))
        dt, b, c = F.softplus(m.dt(u)), m.b(u), m.c(u)
        a = -torch.exp(m.a_log)
        h = torch.zeros(x.shape[0], D, 3)
        out = []
        for t in range(T):
            h = torch.exp(dt[:, t, :, None] * a) * h + dt[:, t, :, None] * b[:, t, None] * u[:, t, :, None]
            out.append((h * c[:, t, None]).sum(-1))
        return energy(torch.stack(out, 1) + u * m.d)

    parts = dict(conv=nn.Conv1d(D, D, 3, padding=2, groups=D), dt=nn.Linear(D, D), b=nn.Linear(D, 3, False), c=nn.Linear(D, 3, False))
    return Of(loss, **parts, a_log=weight(D, 3), d=weight(D)), {"x": randn(T, D)}


@model
def embedding_padding():
    def loss(m, x):
        keep = (x != 0).float()
        return energy(m.l((m.wte(x) * keep[..., None]).sum(1) / keep.sum(1, keepdim=True).clamp(min=1)))

    return Of(loss, wte=nn.Embedding(V, D, padding_idx=0), l=nn.Linear(D, 3)), {"ids": torch.tensor([[3, 4, 5, 0, 0, 0], [7, 8, 1, 2, 0, 0]])}


@model
def embedding_padding_seen():
    """The padding row is read without a mask: PyTorch gives it no gradient, the file does not say so."""
    return Of(lambda m, x: energy(m.l(m.wte(x).mean(1))), wte=nn.Embedding(V, D, padding_idx=0), l=nn.Linear(D, 3)), {
        "ids": torch.tensor([[3, 4, 5, 0, 0, 0], [7, 8, 1, 2, 0, 0]])}


@model
def embedding_bag():
    return Of(lambda m, x: energy(m.l(m.wte(x))), wte=nn.EmbeddingBag(V, D, mode="mean"), l=nn.Linear(D, 3)), {"ids": ids(V, T)}


@model
def positions_from_mask():
    def loss(m, x, mask):
        positions = (mask.cumsum(1) - 1).clamp(min=0)
        h = torch.tanh(m.l(m.wte(x) + m.wpe(positions)))
        return -(F.log_softmax(m.head(h), -1).gather(2, x[..., None])[..., 0] * mask).sum(1)

    return Of(loss, wte=nn.Embedding(V, D), wpe=nn.Embedding(T, D), l=nn.Linear(D, D), head=nn.Linear(D, V)), {
        "ids": ids(V, T), "mask": torch.tensor([[1, 1, 1, 1, 0, 0], [0, 0, 1, 1, 1, 1]])}


@model
def bytes_to_classes():
    def loss(m, x):
        return energy(m.wte(m.table[x]))

    return Of(loss, wte=nn.Embedding(5, 4), table=torch.randint(0, 5, (V,))), {"ids": ids(V, T)}


@model
def sorted_tokens():
    def loss(m, x):
        h = m.l(x)[..., 0]
        top, where = h.topk(3, 1)
        return energy(top * m.w) + energy(h.sort(1, descending=True)[0]) + energy(h.take_along_dim(where, 1)) + h.argmax(1)

    return Of(loss, l=nn.Linear(3, 1), w=weight(3)), {"x": randn(T, 3)}


@model
def gather_scatter():
    def loss(m, x, index):
        h = torch.tanh(m.l(x))
        a = h.gather(1, index[:, :, None].expand(-1, -1, 4))
        b = torch.zeros_like(h).scatter_add(1, index[:, :, None].expand(-1, -1, 4), h)
        c = h.index_select(1, torch.tensor([0, 2])) * m.w[torch.tensor([1, 0])]
        d = h.masked_fill(index[..., None] > 2, 0.5)
        return energy(a) + energy(b) + energy(c) + energy(d) + energy(h[torch.arange(h.shape[0]), index[:, 0]])

    return Of(loss, l=nn.Linear(3, 4), w=weight(2, 4)), {"x": randn(T, 3), "index": ids(T, T)}


@model
def masked_language_model():
    def loss(m, x, mask):
        h = m.wte(torch.where(mask == 1, torch.full_like(x, V), x)) + m.wpe
        h = m.norm(h + m.mix(h.transpose(1, 2)).transpose(1, 2))
        return (F.cross_entropy(m.head(h).flatten(0, 1), x.flatten(), reduction="none").view(-1, T) * mask).sum(1)

    parts = dict(wte=nn.Embedding(V + 1, D), wpe=weight(T, D), mix=nn.Linear(T, T), norm=nn.LayerNorm(D), head=nn.Linear(D, V))
    return Of(loss, **parts), {"ids": ids(V, T), "mask": torch.tensor([[0, 1, 0, 0, 1, 0], [1, 0, 0, 1, 0, 1]])}


@model
def vision_transformer():
    def loss(m, x):
        h = m.patch(x).flatten(2).transpose(1, 2)
        h = torch.cat([m.cls.expand(x.shape[0], -1, -1), h], 1) + m.pos
        return energy(m.head(m.net(h)[:, 0]))

    net = nn.TransformerEncoder(nn.TransformerEncoderLayer(D, 2, 16, batch_first=True, norm_first=True), 1, enable_nested_tensor=False)
    return Of(loss, patch=nn.Conv2d(1, D, 4, 4), cls=weight(1, 1, D), pos=weight(1, 5, D), net=net, head=nn.Linear(D, 3)), {"x": randn(1, 8, 8)}


@model
def mlp_mixer():
    def loss(m, x):
        h = m.embed(x)
        h = h + m.tokens(m.n1(h).transpose(1, 2)).transpose(1, 2)
        return energy(h + m.channels(m.n2(h)))

    parts = dict(embed=nn.Linear(3, D), n1=nn.LayerNorm(D), tokens=mlp(T, 8, T, act=nn.GELU), n2=nn.LayerNorm(D), channels=mlp(D, 8, D, act=nn.GELU))
    return Of(loss, **parts), {"x": randn(T, 3)}
