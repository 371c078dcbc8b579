"""Writes test/onnx/axes: small models whose axes are left open, that are made for a fixed batch, or that take several inputs, each exported in some
of the ways, with float64 losses and norms of single examples, from PyTorch in eager mode.

    python scripts/exporters/axes.py test/onnx/axes [NAME ...]
"""
import contextlib, io, os, sys, warnings
import numpy as np, onnx, torch
from torch import nn
import torch.nn.functional as F
warnings.filterwarnings('ignore')
torch.manual_seed(0)
OUT = sys.argv[1] if len(sys.argv) > 1 else 'out'
only = sys.argv[2:] 
os.makedirs(OUT, exist_ok=True)
Dim = torch.export.Dim

def oracle(module, inputs, one):
    m = module.double()
    names = [n for n, _ in m.named_parameters()]
    nll, sq = [], []
    n = len(next(iter(inputs.values())))
    for i in range(n):
        args = [torch.tensor(v[i:i+1]) for v in inputs.values()]
        args = [a.double() if a.is_floating_point() else a for a in args]
        m.zero_grad()
        l = one(m, *args)
        l.backward()
        nll.append(l.item())
        sq.append([float((p.grad**2).sum()) if p.grad is not None else 0. for p in m.parameters()])
    return np.array(nll), np.array(sq), names

def strip(path):
    """Without the exporter's stack traces, which are most of a file."""
    model = onnx.load(path)
    for node in model.graph.node:
        kept = [p for p in node.metadata_props if p.key in ('pkg.torch.onnx.fx_node', 'pkg.onnxscript.optimizer.folded_from')]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)
        node.doc_string = ''
    onnx.save(model, path)

def export(module, args, path, way, names, dynamic, outputs):
    if way == 'ts':
        axes = {k: {a: str(getattr(d, '__name__', d)) for a, d in v.items()} for k, v in (dynamic or {}).items() if v}
        torch.onnx.export(module.float(), args, path, dynamo=False, input_names=names, output_names=outputs or ['loss'], dynamic_axes=axes,
                          do_constant_folding=False, training=torch.onnx.TrainingMode.PRESERVE)
    else:
        shapes = dynamic and tuple(dynamic[k] for k in names)
        torch.onnx.export(module.float(), args, path, dynamo=True, optimize=way == 'opt', input_names=names, dynamic_shapes=shapes,
                          external_data=False, verbose=False, output_names=outputs)
    strip(path)

def save(name, module, example, dynamic, sets, one=lambda m, *a: m(*a).sum(), ways=('dynamo',), outputs=None):
    """`sets`: arrays of several examples by suffix; `one`: the loss of a batch of one. `ways`: dynamo (optimize=False), opt (its defaults), ts."""
    if only and name not in only:
        return
    module.eval()
    for way in ways:
        with contextlib.redirect_stdout(io.StringIO()):
            export(module, tuple(torch.tensor(v) for v in example.values()), f'{OUT}/{name}.{way}.onnx', way, list(example), dynamic, outputs)
        print(name, way)
    for suffix, inputs in sets.items():
        nll, sqnorm, names = oracle(module, inputs, one)
        np.savez(f'{OUT}/{name}.{suffix}.inputs.npz', **inputs)
        np.savez(f'{OUT}/{name}.{suffix}.expected.npz', nll=nll, sqnorm=sqnorm, names=np.array(names))

r = np.random.default_rng(0)
f = lambda *s: r.standard_normal(s).astype(np.float32)
ids = lambda hi, *s: r.integers(0, hi, s)

# transformer encoder with dynamic sequence
class Encoder(nn.Module):
    def __init__(self, d=8):
        super().__init__()
        self.inp = nn.Linear(3, d); self.layer = nn.TransformerEncoderLayer(d, 2, 16, batch_first=True, dropout=0.); self.out = nn.Linear(d, 3)
    def forward(self, x):
        h = self.layer(self.inp(x))
        return ((self.out(h) - x)**2).sum((1, 2))
b, t = Dim('batch'), Dim('t', min=2, max=4096)
save('encoder', Encoder(), {'x': f(2, 7, 3)}, {'x': {0: b, 1: t}}, {'t7': {'x': f(4, 7, 3)}, 't12': {'x': f(3, 12, 3)}}, ways=('dynamo', 'ts'))

# conv VAE with dynamic height and width
class ConvVae(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Conv2d(1, 4, 3, 2, 1); self.m = nn.Conv2d(4, 2, 1); self.v = nn.Conv2d(4, 2, 1); self.d = nn.ConvTranspose2d(2, 1, 4, 2, 1)
    def forward(self, x, eps):
        h = F.relu(self.e(x)); m, v = self.m(h), self.v(h)
        z = m + eps * (v / 2).exp()
        rec = F.binary_cross_entropy_with_logits(self.d(z), x, reduction='none').sum((1, 2, 3))
        return rec + .5 * (v.exp() + m * m - 1 - v).sum((1, 2, 3))
h, w = Dim('h', min=2, max=512), Dim('w', min=2, max=512)
u = lambda *s: r.random(s).astype(np.float32)
save('convvae', ConvVae(), {'x': u(2, 1, 8, 12), 'eps': f(2, 2, 4, 6)}, {'x': {0: b, 2: 2*h, 3: 2*w}, 'eps': {0: b, 2: h, 3: w}},
     {'a': {'x': u(3, 1, 8, 8), 'eps': f(3, 2, 4, 4)}, 'b': {'x': u(3, 1, 12, 16), 'eps': f(3, 2, 6, 8)}}, ways=('dynamo',))

# causal LM with dynamic batch and sequence, positions learned
class LM(nn.Module):
    def __init__(self, d=8, V=11, n=32):
        super().__init__()
        self.wte = nn.Embedding(V, d); self.wpe = nn.Embedding(n, d); self.a = nn.MultiheadAttention(d, 2, batch_first=True); self.h = nn.Linear(d, V)
    def forward(self, ids):
        T = ids.shape[1]
        x = self.wte(ids) + self.wpe(torch.arange(T))
        m = torch.triu(torch.full((T, T), float('-inf'), dtype=x.dtype), 1)
        y, _ = self.a(x, x, x, attn_mask=m, need_weights=False)
        lo = self.h(x + y)[:, :-1]
        return F.cross_entropy(lo.transpose(1, 2), ids[:, 1:], reduction='none').sum(1)
s = Dim('s', min=3, max=32)
save('lm', LM(), {'ids': ids(11, 2, 9)}, {'ids': {0: b, 1: s}}, {'s6': {'ids': ids(11, 4, 6)}, 's17': {'ids': ids(11, 3, 17)}})

# the same symbol in two inputs
class Two(nn.Module):
    def __init__(self):
        super().__init__(); self.l = nn.Linear(3, 4); self.k = nn.Linear(4, 1)
    def forward(self, x, mask):
        return ((self.k(torch.tanh(self.l(x))).squeeze(-1)**2) * mask).sum(1)
save('two', Two(), {'x': f(2, 5, 3), 'mask': (u(2, 5) > .3).astype(np.float32)}, {'x': {0: b, 1: t}, 'mask': {0: b, 1: t}},
     {'t6': {'x': f(3, 6, 3), 'mask': (u(3, 6) > .3).astype(np.float32)}}, ways=('ts',))

# one input one longer than the other
class Shift(nn.Module):
    def __init__(self):
        super().__init__(); self.e = nn.Embedding(7, 4); self.h = nn.Linear(4, 3)
    def forward(self, ids, y):
        lo = self.h(torch.tanh(self.e(ids)))
        return ((lo - y[:, 1:])**2).sum((1, 2))
save('shift', Shift(), {'ids': ids(7, 2, 5), 'y': f(2, 6, 3)}, {'ids': {0: b, 1: t}, 'y': {0: b, 1: t + 1}},
     {'t4': {'ids': ids(7, 3, 4), 'y': f(3, 5, 3)}}, ways=('dynamo',))

# fixed batches
class Flat(nn.Module):
    def __init__(self):
        super().__init__(); self.l = nn.Linear(6, 4)
    def forward(self, x):
        return torch.tanh(self.l(x.reshape(x.shape[0], 6))).sum(1)
class Sum(nn.Module):
    def __init__(self, how):
        super().__init__(); self.l = nn.Linear(4, 3); self.how = how
    def forward(self, x):
        y = (torch.tanh(self.l(x))**2).sum(1) - torch.zeros(x.shape[0])
        if self.how == 'sum': return y.sum()
        if self.how == 'mean': return y.mean()
        if self.how == 'div': return y.sum() / x.shape[0]
        if self.how == 'half': return .5 * y.sum()
        if self.how == 'mse': return (torch.tanh(self.l(x))**2 + torch.zeros(x.shape[0], 1)).mean()
        if self.how == 'two': return y.mean() + (self.l(x)**2).sum(1).mean() * .1
        if self.how == 'mixed': return y.mean() + (self.l(x)**2).sum() * .1
class Rnn(nn.Module):
    def __init__(self):
        super().__init__(); self.e = nn.Embedding(5, 3); self.r = nn.LSTM(3, 4, batch_first=True); self.h = nn.Linear(4, 5)
    def forward(self, ids):
        y, _ = self.r(self.e(ids))
        return F.cross_entropy(self.h(y)[:, :-1].transpose(1, 2), ids[:, 1:], reduction='none').sum(1)
class BatchNormed(nn.Module):
    def __init__(self):
        super().__init__(); self.l = nn.Linear(4, 3)
    def forward(self, x):
        y = self.l(x).reshape(x.shape[0], 3); y = y - y.mean(0)
        return (y**2).sum(1)
class Noisy(nn.Module):
    def __init__(self, k):
        super().__init__(); self.l = nn.Linear(4, 3); self.register_buffer('noise', torch.randn(k, 3))
    def forward(self, x):
        return ((self.l(x) + self.noise)**2).sum(1)
one_of = {'flat2': ('ts',), 'flat3': ('opt',), 'flat4': ('dynamo',)}
for k in (2, 3, 4):
    save(f'flat{k}', Flat(), {'x': f(k, 2, 3)}, None, {'n5': {'x': f(5, 2, 3)}}, ways=one_of[f'flat{k}'])
save('rnn3', Rnn(), {'ids': ids(5, 3, 6)}, None, {'n5': {'ids': ids(5, 5, 6)}}, ways=('ts',))
save('encoder2', Encoder(), {'x': f(2, 7, 3)}, None, {'n5': {'x': f(5, 7, 3)}}, ways=('ts',))
save('noisy2', Noisy(2), {'x': f(2, 4)}, None, {})
save('interacting3', BatchNormed(), {'x': f(3, 4)}, None, {})
for how, k in [('sum', 3), ('mean', 2), ('mean', 3), ('div', 3), ('div', 2), ('half', 2), ('half', 3), ('mse', 4), ('two', 2), ('two', 3), ('mixed', 3)]:
    save(f'{how}{k}', Sum(how), {'x': f(k, 4)}, None, {'n5': {'x': f(5, 4)}}, ways=('opt',))

# a diffusion loss with a timestep
class Diffusion(nn.Module):
    def __init__(self, T=20):
        super().__init__(); self.l = nn.Linear(4, 8); self.t = nn.Embedding(T, 8); self.o = nn.Linear(8, 4)
        self.register_buffer('abar', torch.linspace(.99, .01, T))
    def forward(self, x, t, noise):
        a = self.abar[t][:, None]
        e = self.o(torch.tanh(self.l(a.sqrt() * x + (1 - a).sqrt() * noise) + self.t(t)))
        return ((e - noise)**2).sum(1)
save('diffusion', Diffusion(), {'x': f(2, 4), 't': ids(20, 2), 'noise': f(2, 4)}, {'x': {0: b}, 't': {0: b}, 'noise': {0: b}},
     {'n4': {'x': f(4, 4), 't': ids(20, 4), 'noise': f(4, 4)}}, ways=('ts',))

# a VAE with several outputs
class Several(nn.Module):
    def __init__(self, n=2):
        super().__init__(); self.l = nn.Linear(4, 3); self.d = nn.Linear(3, 4); self.n = n
    def forward(self, x):
        z = torch.tanh(self.l(x)); rec = self.d(z); a = ((rec - x)**2).sum(1); k = (z**2).sum(1)
        return (a + k, rec, z) if self.n == 1 else (a + k, a, k, rec)
save('several1', Several(1), {'x': f(2, 4)}, {'x': {0: b}}, {'n3': {'x': f(3, 4)}}, one=lambda m, x: m(x)[0].sum(), ways=('opt',))
save('several3', Several(3), {'x': f(2, 4)}, {'x': {0: b}}, {'n3': {'x': f(3, 4)}}, one=lambda m, x: m(x)[0].sum(), ways=('opt',))
# an autoencoder of flat images
class Mlp(nn.Module):
    def __init__(self):
        super().__init__(); self.l = nn.Linear(16, 3); self.d = nn.Linear(3, 16)
    def forward(self, x): return ((self.d(torch.tanh(self.l(x))) - x)**2).sum(1)
save('mlp', Mlp(), {'x': u(2, 16)}, {'x': {0: b}}, {'n3': {'x': u(3, 16)}}, ways=('opt',))
