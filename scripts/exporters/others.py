"""Tiny models of JAX (flax by jax2onnx) and Keras, exported as their users export them, with right answers in float64.

    python3 -m venv VENV2 && VENV2/bin/pip install -r scripts/exporters/requirements-others.txt
    VENV2/bin/python scripts/exporters/others.py FOLDER [--only REGEX]

Writes FOLDER/NAME.usual.onnx, FOLDER/NAME.check.npz and FOLDER/NAME.options, as packages.py does.
"""

import argparse
import json
import math
import os
import pathlib
import re

os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", KERAS_BACKEND="tensorflow", CUDA_VISIBLE_DEVICES="-1")

import numpy as np

RNG = np.random.default_rng(7)
OTHERS = {}


def other(pip, *options):
    def register(function):
        OTHERS[function.__name__] = (pip, list(options), function)
        return function

    return register


def normal(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def write_answers(path, names, inputs, losses_and_gradients):
    """`losses_and_gradients`: a function of one example's inputs in float64, (loss, [gradient])."""
    found = [losses_and_gradients({k: v[i : i + 1].astype(np.float64) if v.dtype == np.float32 else v[i : i + 1] for k, v in inputs.items()}) for i in range(2)]
    nll = np.array([loss for loss, _ in found], np.float64)
    norms = np.array([[0.0 if g is None else float(np.sum(np.square(np.asarray(g, np.float64)))) for g in gs] for _, gs in found])
    np.savez(path, nll=nll, sqnorm=norms, names=np.array(names), **{f"input.{k}": v for k, v in inputs.items()})


# JAX ----------------------------------------------------------------------------------------------------------------------------------


def jax_model(name, folder, loss, params, inputs):
    """loss(params, *inputs) -> [n]. The parameters are constants of what jax2onnx sees, as they are for its users."""
    import jax
    import jax.numpy as jnp
    from jax2onnx import to_onnx

    leaves = jax.tree_util.tree_flatten_with_path(params)[0]
    names = [".".join(str(getattr(k, "key", getattr(k, "name", getattr(k, "idx", k)))) for k in path).removeprefix("params.") for path, _ in leaves]
    specs = [jax.ShapeDtypeStruct(("n", *v.shape[1:]), v.dtype) if v.dtype != np.float32 else ("n", *v.shape[1:]) for v in inputs.values()]
    to_onnx(lambda *xs: loss(params, *xs), specs, input_names=list(inputs), output_names=["loss"], return_mode="file", output_path=str(folder / f"{name}.usual.onnx"))

    jax.config.update("jax_enable_x64", True)
    exact = jax.tree_util.tree_map(lambda p: jnp.asarray(np.asarray(p), jnp.float64), params)

    def one(values):
        value, gradients = jax.value_and_grad(lambda p: loss(p, *[jnp.asarray(v) for v in values.values()]).sum())(exact)
        return float(value), jax.tree_util.tree_leaves(gradients)

    write_answers(folder / f"{name}.check.npz", names, inputs, one)
    jax.config.update("jax_enable_x64", False)


@other("flax, jax2onnx")
def flax_mlp(name, folder):
    import flax.linen as nn
    import jax
    import jax.numpy as jnp

    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            h = nn.LayerNorm(param_dtype=x.dtype)(nn.gelu(nn.Dense(8, param_dtype=x.dtype)(x)))
            return nn.Dense(10, param_dtype=x.dtype)(h)

    net, x = Net(), normal(2, 5)
    params = net.init(jax.random.PRNGKey(0), jnp.asarray(x))
    params = jax.tree_util.tree_map(lambda p: p + 0.1 * normal(*p.shape), params)

    def loss(p, x):
        mean, log_s = jnp.split(net.apply(p, x), 2, axis=1)
        return jnp.sum(0.5 * ((x - mean) * jnp.exp(-log_s)) ** 2 + log_s + 0.5 * math.log(2 * math.pi), axis=1)

    jax_model(name, folder, loss, params, {"x": x})


@other("flax, jax2onnx")
def flax_conv_vae(name, folder):
    import flax.linen as nn
    import jax
    import jax.numpy as jnp

    class Vae(nn.Module):
        @nn.compact
        def __call__(self, x, eps):
            kind = {"param_dtype": x.dtype}
            h = nn.relu(nn.Conv(4, (3, 3), strides=(2, 2), **kind)(x))
            mean, log_var = jnp.split(nn.Dense(6, **kind)(h.reshape(h.shape[0], 64)), 2, axis=1)
            z = mean + eps * jnp.exp(0.5 * log_var)
            h = nn.relu(nn.Dense(64, **kind)(z)).reshape(h.shape[0], 4, 4, 4)
            y = nn.ConvTranspose(1, (3, 3), strides=(2, 2), **kind)(h)
            kl = 0.5 * jnp.sum(mean**2 + jnp.exp(log_var) - 1 - log_var, axis=1)
            return 0.5 * jnp.sum((x - y) ** 2, axis=(1, 2, 3)) + kl

    net, inputs = Vae(), {"x": normal(2, 8, 8, 1), "eps": normal(2, 3)}
    params = net.init(jax.random.PRNGKey(0), *map(jnp.asarray, inputs.values()))
    params = jax.tree_util.tree_map(lambda p: p + 0.1 * normal(*p.shape), params)
    jax_model(name, folder, net.apply, params, inputs)


@other("flax, jax2onnx")
def flax_transformer_lm(name, folder):
    import flax.linen as nn
    import jax
    import jax.numpy as jnp

    class Lm(nn.Module):
        kind: object = jnp.float32

        @nn.compact
        def __call__(self, ids):
            kind = {"param_dtype": self.kind, "dtype": self.kind}
            h = nn.Embed(11, 8, **kind)(ids)
            y = nn.LayerNorm(**kind)(h)
            q, k, v = (nn.Dense(8, **kind)(y) for _ in range(3))
            scores = jnp.einsum("nti,nsi->nts", q, k) / math.sqrt(8)
            scores = jnp.where(jnp.tril(jnp.ones((6, 6), bool)), scores, -1e9)
            h = h + jnp.einsum("nts,nsi->nti", jax.nn.softmax(scores, axis=-1), v)
            logits = nn.Dense(11, **kind)(nn.LayerNorm(**kind)(h))
            picked = jax.nn.log_softmax(logits[:, :-1]) * jax.nn.one_hot(ids[:, 1:], 11)
            return -jnp.sum(picked, axis=(1, 2))

    ids = RNG.integers(0, 11, (2, 6)).astype(np.int32)
    params = Lm().init(jax.random.PRNGKey(0), jnp.asarray(ids))
    params = jax.tree_util.tree_map(lambda p: p + 0.1 * normal(*p.shape), params)
    jax_model(name, folder, lambda p, x: Lm(jnp.float64 if jax.config.jax_enable_x64 else jnp.float32).apply(p, x), params, {"ids": ids})


# Keras --------------------------------------------------------------------------------------------------------------------------------


def keras_model(name, folder, build, inputs, loss):
    """build() -> keras.Model; loss(outputs, *inputs) -> [n], as fisher-ood makes it from the outputs."""
    import keras
    import tensorflow as tf

    model = build()
    model.set_weights([w + 0.05 * normal(*w.shape) if np.issubdtype(w.dtype, np.floating) else w for w in model.get_weights()])
    model([v for v in inputs.values()] if len(inputs) > 1 else next(iter(inputs.values())))  # export wants a model that was called
    model.export(str(folder / f"{name}.usual.onnx"), format="onnx", verbose=False)
    keras.config.set_dtype_policy("float64")
    exact = build()
    exact.set_weights(model.get_weights())
    keras.config.set_dtype_policy("float32")
    assert all(v.dtype == "float64" for v in exact.trainable_variables)

    def one(values):
        with tf.GradientTape() as tape:
            tensors = [tf.constant(v) for v in values.values()]
            outputs = exact(tensors if len(tensors) > 1 else tensors[0])
            value = tf.reduce_sum(loss(outputs, *tensors))
        gradients = tape.gradient(value, exact.trainable_variables)
        return float(value), [None if g is None else tf.convert_to_tensor(g).numpy() for g in gradients]

    write_answers(folder / f"{name}.check.npz", [v.path for v in exact.trainable_variables], inputs, one)


@other("keras", "--objective", "elbo", "--input", "x")
def keras_vae(name, folder):
    import keras
    import tensorflow as tf
    from keras import layers, ops

    def build():
        x, eps = keras.Input((8, 8, 1), name="x"), keras.Input((3,), name="eps")
        h = layers.Flatten()(layers.Conv2D(4, 3, strides=2, activation="relu", name="c1")(x))
        mean, logvar = layers.Dense(3, name="mean")(h), layers.Dense(3, name="logvar")(h)
        z = mean + eps * ops.exp(0.5 * logvar)
        h = layers.Reshape((4, 4, 4))(layers.Dense(64, activation="relu", name="d1")(z))
        y = layers.Conv2DTranspose(1, 3, strides=2, padding="same", name="y")(h)
        return keras.Model([x, eps], [y, mean, logvar])

    def loss(outputs, x, eps):
        y, mean, logvar = outputs
        kl = 0.5 * tf.reduce_sum(mean**2 + tf.exp(logvar) - 1 - logvar, 1)
        return 0.5 * tf.reduce_sum((x - y) ** 2, (1, 2, 3)) + 32 * math.log(2 * math.pi) + kl

    keras_model(name, folder, build, {"x": normal(2, 8, 8, 1), "eps": normal(2, 3)}, loss)


@other("keras", "--objective", "causal-lm")
def keras_lstm_lm(name, folder):
    import keras
    import tensorflow as tf
    from keras import layers

    def build():
        ids = keras.Input((6,), dtype="int32", name="ids")
        h = layers.LSTM(8, return_sequences=True, name="rnn")(layers.Embedding(11, 6, name="wte")(ids))
        return keras.Model(ids, layers.Dense(11, name="head")(layers.LayerNormalization(name="norm")(h)))

    def loss(logits, ids):
        log_p = tf.nn.log_softmax(logits[:, :-1])
        return -tf.reduce_sum(tf.gather(log_p, ids[:, 1:], axis=2, batch_dims=2), 1)

    keras_model(name, folder, build, {"ids": RNG.integers(0, 11, (2, 6)).astype(np.int32)}, loss)


@other("keras")
def keras_batchnorm(name, folder):
    import keras
    from keras import layers, ops

    class Energy(layers.Layer):
        def call(self, h):
            return ops.sum(ops.square(h), axis=1) * 0.5

    def build():
        x = keras.Input((5,), name="x")
        h = layers.BatchNormalization(name="norm")(layers.Dense(6, activation="silu", name="a")(x))
        return keras.Model(x, Energy(name="energy")(layers.Dense(3, name="b")(h)))

    keras_model(name, folder, build, {"x": normal(2, 5)}, lambda outputs, x: outputs)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--only", default="", help="models whose names match")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    for name, (pip, options, function) in OTHERS.items():
        if not re.search(args.only, name):
            continue
        (args.folder / f"{name}.options").write_text(json.dumps({"package": pip, "options": options}))
        try:
            function(name, args.folder)
            print(name, flush=True)
        except Exception as error:
            (args.folder / f"{name}.usual.failed").write_text(f"{type(error).__name__}: {error}")
            print(f"{name}: {type(error).__name__}: {str(error)[:500]}", flush=True)


if __name__ == "__main__":
    main()
