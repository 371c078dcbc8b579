"""Tiny models of JAX: flax.linen, flax.nnx and plain functions."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from jax2onnx import to_onnx

from others import OTHERS, RNG, attempt, compare_answers, exporter, normal, other, write_answers

export = exporter("jax")


def jax_model(name, folder, loss, params, inputs, model=None, **options):
    """
    loss(params, *inputs) -> [n]. Usual: the parameters are constants of what jax2onnx sees, as they are for its users. `model` and `options`:
    what the exporter is given in place of `loss`.
    """
    params = jax.tree_util.tree_map(lambda p: p + 0.1 * normal(*p.shape) if p.dtype == np.float32 else p, params)
    leaves = jax.tree_util.tree_flatten_with_path(params)[0]
    names = [".".join(str(getattr(k, "key", getattr(k, "name", getattr(k, "idx", k)))) for k in path) for path, _ in leaves]
    learned = [i for i, key in enumerate(names) if not key.startswith(("batch_stats", "constants"))]
    answers_of(name, folder, loss, params, [names[i].removeprefix("params.") for i in learned], learned, inputs)

    specs = [jax.ShapeDtypeStruct(("n", *v.shape[1:]), v.dtype) if v.dtype != np.float32 else ("n", *v.shape[1:]) for v in inputs.values()]
    path = folder / f"{name}.usual.onnx"
    attempt(path, lambda: to_onnx(
        lambda *xs: loss(params, *xs), specs, input_names=list(inputs), output_names=["loss"], return_mode="file", output_path=str(path)))
    attempt(folder / f"{name}.own.onnx", lambda: (export(model or loss, params, str(folder / f"{name}.own"), **options, **inputs), compare_answers(folder, name)))


def answers_of(name, folder, loss, params, names, learned, inputs):
    jax.config.update("jax_enable_x64", True)
    exact = jax.tree_util.tree_map(lambda p: jnp.asarray(np.asarray(p), jnp.float64) if p.dtype == np.float32 else p, params)
    flat, tree = jax.tree_util.tree_flatten(exact)

    def of(some, values):
        full = list(flat)
        for i, value in zip(learned, some):
            full[i] = value
        return loss(jax.tree_util.tree_unflatten(tree, full), *[jnp.asarray(v) for v in values.values()]).sum()

    def one(values):
        value, gradients = jax.value_and_grad(of)([flat[i] for i in learned], values)
        return float(value), gradients

    write_answers(folder / f"{name}.check.npz", names, inputs, one)
    jax.config.update("jax_enable_x64", False)


def linen(name, folder, module, inputs, loss=lambda out, *xs: out, **options):
    """loss(outputs, *inputs) -> [n]; the exporter is given the module, and what `options` say makes the same of its outputs."""
    variables = module.init(jax.random.PRNGKey(0), *map(jnp.asarray, inputs.values()))
    jax_model(name, folder, lambda p, *xs: loss(module.apply(p, *xs), *xs), variables, inputs, model=module, **options)


def energy(h):
    return 0.5 * jnp.sum(h * h, axis=tuple(range(1, h.ndim)))


def next_token(logits, ids):
    picked = jax.nn.log_softmax(logits[:, :-1]) * jax.nn.one_hot(ids[:, 1:], logits.shape[-1], dtype=logits.dtype)
    return -jnp.sum(picked, axis=(1, 2))


def ids(high, *shape):
    return RNG.integers(0, high, (2, *shape)).astype(np.int32)


@other("flax, jax2onnx")
def flax_mlp(name, folder):
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            mean, log_s = jnp.split(nn.Dense(10)(nn.LayerNorm()(nn.gelu(nn.Dense(8)(x)))), 2, axis=1)
            return jnp.sum(0.5 * ((x - mean) * jnp.exp(-log_s)) ** 2 + log_s + 0.5 * math.log(2 * math.pi), axis=1)

    linen(name, folder, Net(), {"x": normal(2, 5)})


@other("flax, jax2onnx")
def flax_conv_vae(name, folder):
    class Vae(nn.Module):
        @nn.compact
        def __call__(self, x, eps):
            h = nn.relu(nn.Conv(4, (3, 3), strides=(2, 2))(x))
            mean, log_var = jnp.split(nn.Dense(6)(h.reshape(h.shape[0], 64)), 2, axis=1)
            z = mean + eps * jnp.exp(0.5 * log_var)
            h = nn.relu(nn.Dense(64)(z)).reshape(h.shape[0], 4, 4, 4)
            return nn.ConvTranspose(1, (3, 3), strides=(2, 2))(h), mean, log_var

    def loss(outputs, x, _):
        y, mean, log_var = outputs
        error = 0.5 * jnp.sum((x - y) ** 2, axis=(1, 2, 3)) + 32 * math.log(2 * math.pi)
        return error + 0.5 * jnp.sum(mean**2 + jnp.exp(log_var) - 1 - log_var, axis=1)

    linen(name, folder, Vae(), {"x": normal(2, 8, 8, 1), "eps": normal(2, 3)}, loss, objective="elbo", normal=["eps"])


@other("flax, jax2onnx")
def flax_transformer_lm(name, folder):
    class Lm(nn.Module):
        @nn.compact
        def __call__(self, ids):
            h = nn.Embed(11, 8)(ids)
            mask = nn.make_causal_mask(ids)
            h = h + nn.MultiHeadDotProductAttention(2)(nn.LayerNorm()(h), mask=mask)
            return nn.Dense(11)(nn.LayerNorm()(h))

    linen(name, folder, Lm(), {"ids": ids(11, 6)}, next_token, objective="causal-lm")


@other("flax, jax2onnx")
def flax_tied_lm(name, folder):
    class Lm(nn.Module):
        @nn.compact
        def __call__(self, ids):
            wte, wpe = nn.Embed(11, 8), self.param("wpe", nn.initializers.normal(0.1), (6, 8))
            h = wte(ids) + wpe
            return wte.attend(nn.LayerNorm()(h + nn.Dense(8)(nn.silu(nn.Dense(8)(h)))))

    linen(name, folder, Lm(), {"ids": ids(11, 6)}, next_token, objective="causal-lm")


@other("flax, jax2onnx")
def flax_batchnorm(name, folder):
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            h = nn.relu(nn.BatchNorm(use_running_average=True)(nn.Conv(4, (3, 3))(x)))
            return energy(nn.Dense(3)(nn.avg_pool(h, window_shape=(2, 2), strides=(2, 2)).reshape(x.shape[0], 64)))

    linen(name, folder, Net(), {"x": normal(2, 8, 8, 2)})


@other("flax, jax2onnx")
def flax_depthwise_groupnorm(name, folder):
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            h = nn.Conv(4, (3, 3), feature_group_count=4)(x)
            return energy(nn.Conv(3, (1, 1))(nn.swish(nn.GroupNorm(num_groups=2)(h))))

    linen(name, folder, Net(), {"x": normal(2, 6, 6, 4)})


@other("flax, jax2onnx")
def flax_gru_lm(name, folder):
    class Lm(nn.Module):
        @nn.compact
        def __call__(self, ids):
            h = nn.Embed(11, 6)(ids)
            return nn.Dense(11)(nn.RNN(nn.GRUCell(8, param_dtype=h.dtype))(h))

    linen(name, folder, Lm(), {"ids": ids(11, 5)}, next_token, objective="causal-lm")


@other("flax, jax2onnx")
def flax_lstm_loop(name, folder):
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            cell, h = nn.OptimizedLSTMCell(6), 0 * nn.Dense(6)(x[:, 0])
            carry, out = (h, h), []
            for t in range(x.shape[1]):
                carry, y = cell(carry, x[:, t])
                out.append(y)
            return energy(nn.Dense(3)(jnp.stack(out, axis=1)))

    linen(name, folder, Net(), {"x": normal(2, 4, 4)})


@other("flax, jax2onnx")
def flax_coupling_flow(name, folder):
    class Flow(nn.Module):
        @nn.compact
        def __call__(self, x):
            scale = self.param("scale", nn.initializers.ones, ())
            log_det = 0
            for _ in range(2):
                a, b = x[:, :2], x[:, 2:]
                shift, log_s = jnp.split(nn.Dense(4)(nn.tanh(nn.Dense(8)(a))), 2, axis=1)
                log_s = scale * nn.tanh(log_s)
                x = jnp.concatenate([b * jnp.exp(log_s) + shift, a], axis=1)
                log_det = log_det + jnp.sum(log_s, axis=1)
            return x, log_det

    def loss(outputs, x):
        return energy(outputs[0]) + 0.5 * math.log(2 * math.pi) * 4 - outputs[1]

    linen(name, folder, Flow(), {"x": normal(2, 4)}, loss, objective="flow")


@other("flax, jax2onnx")
def flax_stop_gradient(name, folder):
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            h = nn.Dense(4, name="a")(x)
            return energy(nn.Dense(3, name="b")(h) - jax.lax.stop_gradient(nn.Dense(3, name="c")(h)))

    linen(name, folder, Net(), {"x": normal(2, 5)})


@other("flax, jax2onnx")
def nnx_mlp(name, folder):
    nnx_model(name, folder, lambda nnx, rngs: Sequence(nnx, rngs), {"x": normal(2, 5)}, energy)


def Sequence(nnx, rngs):
    class Net(nnx.Module):
        def __init__(self):
            self.a, self.norm, self.b = nnx.Linear(5, 8, rngs=rngs), nnx.BatchNorm(8, use_running_average=True, rngs=rngs), nnx.Linear(8, 3, rngs=rngs)
            self.ln = nnx.LayerNorm(8, rngs=rngs)

        def __call__(self, x):
            return self.b(nnx.gelu(self.ln(self.norm(self.a(x)))))

    return Net()


@other("flax, jax2onnx")
def nnx_attention_lm(name, folder):
    def build(nnx, rngs):
        class Lm(nnx.Module):
            def __init__(self):
                self.wte, self.norm, self.head = nnx.Embed(11, 8, rngs=rngs), nnx.RMSNorm(8, rngs=rngs), nnx.Linear(8, 11, rngs=rngs)
                self.attention = nnx.MultiHeadAttention(num_heads=2, in_features=8, decode=False, rngs=rngs)
                self.conv = nnx.Conv(8, 8, (3,), padding="CAUSAL", rngs=rngs)

            def __call__(self, ids):
                h = self.conv(self.wte(ids))
                return self.head(self.norm(h + self.attention(h, mask=nnx.make_causal_mask(ids))))

        return Lm()

    nnx_model(name, folder, build, {"ids": ids(11, 6)}, next_token, objective="causal-lm")


def nnx_model(name, folder, build, inputs, loss, **options):
    from flax import nnx

    module = build(nnx, nnx.Rngs(0))
    definition, state, rest = nnx.split(module, nnx.Param, ...)
    flat = nnx.to_flat_state(state)
    paths = [path for path, _ in flat]
    params = {".".join(map(str, path)): leaf[...] + 0.1 * normal(*leaf.shape) for path, leaf in flat}

    def apply(values, *xs):
        state = nnx.from_flat_state([(path, leaf.replace(values[".".join(map(str, path))])) for path, leaf in flat])
        return nnx.merge(definition, state, wide(rest, values))(*xs)

    def wide(tree, values):
        kind = next(iter(values.values())).dtype
        return jax.tree_util.tree_map(lambda v: v.astype(kind) if hasattr(v, "dtype") and v.dtype == np.float32 else v, tree)

    two = lambda out, *xs: loss(out, *xs) if options else loss(out)
    names = sorted(params)
    params = {key: params[key] for key in names}
    answers_of(name, folder, lambda p, *xs: two(apply(p, *xs), *xs), params, names, list(range(len(names))), inputs)
    nnx.update(module, nnx.from_flat_state([(path, leaf.replace(params[".".join(map(str, path))])) for path, leaf in flat]))
    path = folder / f"{name}.usual.onnx"
    specs = [jax.ShapeDtypeStruct(("n", *v.shape[1:]), v.dtype) if v.dtype != np.float32 else ("n", *v.shape[1:]) for v in inputs.values()]
    attempt(path, lambda: to_onnx(lambda *xs: two(module(*xs), *xs), specs, input_names=list(inputs), output_names=["loss"], return_mode="file", output_path=str(path)))
    more = options or {"objective": lambda model, *xs: loss(model(*xs))}
    attempt(folder / f"{name}.own.onnx", lambda: (export(module, None, str(folder / f"{name}.own"), **more, **inputs), compare_answers(folder, name)))
    assert paths


@other("jax, jax2onnx")
def jax_plain_vae(name, folder):
    def dense(p, x):
        return x @ p["w"] + p["b"]

    def layer(i, o):
        return {"w": 0.4 * normal(i, o), "b": normal(o)}

    def loss(p, x, eps):
        h = jax.nn.tanh(dense(p["encoder"][0], x))
        mean, log_var = dense(p["encoder"][1], h), dense(p["encoder"][2], h)
        logits = dense(p["decoder"][1], jax.nn.relu(dense(p["decoder"][0], mean + eps * jnp.exp(0.5 * log_var))))
        error = jnp.sum(jax.nn.softplus(logits) - x * logits, axis=1)
        return error + 0.5 * jnp.sum(mean**2 + jnp.exp(log_var) - 1 - log_var, axis=1)

    params = {"encoder": [layer(6, 8), layer(8, 3), layer(8, 3)], "decoder": [layer(3, 8), layer(8, 6)]}
    jax_model(name, folder, loss, params, {"x": (normal(2, 6) > 0).astype(np.float32), "eps": normal(2, 3)}, normal=["eps"])


@other("jax, jax2onnx")
def jax_learned_temperature(name, folder):
    def loss(p, x):
        scores = jnp.einsum("ni,ki->nk", x, p["centres"]) / jnp.exp(p["log_t"]) + jax.nn.log_softmax(p["weights"])
        return -jax.scipy.special.logsumexp(scores, axis=1) + 0.5 * jnp.sum((x * p["scale"]) ** 2, axis=1)

    params = {"centres": normal(4, 5), "log_t": normal(), "weights": normal(4), "scale": normal(5)}
    jax_model(name, folder, loss, params, {"x": normal(2, 5)})


@other("jax, jax2onnx")
def jax_masked_scan(name, folder):
    """A masked autoregressive layer, and a linear recurrence by lax.scan."""

    mask = np.tril(np.ones((5, 5), np.float32), -1)

    def loss(p, x):
        mean = x @ (p["w"] * mask).T + p["b"]

        def step(h, v):
            h = jnp.tanh(p["a"] * h + v[:, None] * p["u"])
            return h, h @ p["c"]

        _, out = jax.lax.scan(step, jnp.zeros((x.shape[0], 3), x.dtype), x.T)
        return energy(x - mean) + energy(out.T)

    params = {"w": normal(5, 5), "b": normal(5), "a": normal(3), "u": normal(3), "c": normal(3)}
    jax_model(name, folder, loss, params, {"x": normal(2, 5)})
