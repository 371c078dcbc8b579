"""Tiny Keras models; TensorFlow computes the right answers from models built in float64."""

import math

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from others import OTHERS, RNG, attempt, compare_answers, exporter, normal, other, write_answers

export = exporter("keras")


def keras_model(name, folder, build, inputs, loss, objective="nll", **options):
    """build() -> keras.Model; loss(outputs, *inputs) -> [n], as fisher-ood makes it from the outputs, and as `objective` says."""
    model = build()
    several = lambda xs: xs if len(xs) > 1 else xs[0]
    model(several([*inputs.values()]))
    model.set_weights([w + 0.05 * normal(*w.shape) if np.issubdtype(w.dtype, np.floating) else w for w in model.get_weights()])
    keras.config.set_dtype_policy("float64")
    keras.config.set_floatx("float64")
    exact = build()
    exact(several([v.astype(np.float64) if v.dtype == np.float32 else v for v in inputs.values()]))
    exact.set_weights(model.get_weights())
    keras.config.set_dtype_policy("float32")
    keras.config.set_floatx("float32")
    assert all(v.dtype == "float64" for v in exact.trainable_variables)

    def one(values):
        with tf.GradientTape() as tape:
            tensors = [tf.constant(v) for v in values.values()]
            value = tf.reduce_sum(loss(exact(several(tensors)), *tensors))
        gradients = tape.gradient(value, exact.trainable_variables)
        return float(value), [None if g is None else tf.convert_to_tensor(g).numpy() for g in gradients]

    write_answers(folder / f"{name}.check.npz", [v.path for v in exact.trainable_variables], inputs, one)
    path = folder / f"{name}.usual.onnx"
    attempt(path, lambda: model.export(str(path), format="onnx", verbose=False))
    attempt(folder / f"{name}.own.onnx", lambda: (
        export(model, str(folder / f"{name}.own"), objective=objective, **options, **inputs), compare_answers(folder, name)))


class Energy(layers.Layer):
    def call(self, h):
        return ops.sum(ops.square(h), axis=tuple(range(1, len(h.shape)))) * 0.5


def nll(outputs, *_):
    return outputs


def next_token(logits, ids):
    log_p = tf.nn.log_softmax(logits[:, :-1])
    return -tf.reduce_sum(tf.gather(log_p, ids[:, 1:], axis=2, batch_dims=2), 1)


def ids(high, *shape):
    return RNG.integers(0, high, (2, *shape)).astype(np.int32)


@other("keras", "--objective", "elbo", "--input", "x")
def keras_vae(name, folder):
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

    keras_model(name, folder, build, {"x": normal(2, 8, 8, 1), "eps": normal(2, 3)}, loss, "elbo", normal=["eps"])


def language_model(name, folder, middle):
    def build():
        ids = keras.Input((6,), dtype="int32", name="ids")
        h = middle(layers.Embedding(11, 6, name="wte")(ids))
        return keras.Model(ids, layers.Dense(11, name="head")(layers.LayerNormalization(name="norm")(h)))

    keras_model(name, folder, build, {"ids": ids(11, 6)}, next_token, "causal-lm")


@other("keras", "--objective", "causal-lm")
def keras_lstm_lm(name, folder):
    language_model(name, folder, lambda h: layers.LSTM(8, return_sequences=True, name="rnn")(h))


@other("keras", "--objective", "causal-lm")
def keras_gru_lm(name, folder):
    language_model(name, folder, lambda h: layers.GRU(8, return_sequences=True, name="rnn")(h))


@other("keras", "--objective", "causal-lm")
def keras_bidirectional(name, folder):
    language_model(name, folder, lambda h: layers.Bidirectional(layers.SimpleRNN(5, return_sequences=True, name="cell"), name="rnn")(h))


@other("keras", "--objective", "causal-lm")
def keras_attention_lm(name, folder):
    language_model(name, folder, lambda h: h + layers.MultiHeadAttention(2, 3, name="attention")(h, h, use_causal_mask=True))


@other("keras", "--objective", "causal-lm")
def keras_causal_conv_lm(name, folder):
    language_model(name, folder, lambda h: layers.Conv1D(8, 3, padding="causal", dilation_rate=2, activation="gelu", name="conv")(h))


@other("keras", "--objective", "causal-lm")
def keras_tied_lm(name, folder):
    class Tied(layers.Layer):
        def __init__(self, **more):
            super().__init__(**more)
            self.wte = layers.Embedding(11, 6, name="wte")
            self.norm = layers.LayerNormalization(name="norm")
            self.mid = layers.Dense(6, activation="silu", name="mid")

        def call(self, ids):
            h = self.wte(ids)
            return ops.matmul(self.norm(h + self.mid(h)), ops.transpose(self.wte.embeddings))

    def build():
        ids = keras.Input((6,), dtype="int32", name="ids")
        return keras.Model(ids, Tied(name="lm")(ids))

    keras_model(name, folder, build, {"ids": ids(11, 6)}, next_token, "causal-lm")


@other("keras")
def keras_batchnorm(name, folder):
    def build():
        x = keras.Input((5,), name="x")
        h = layers.BatchNormalization(name="norm")(layers.Dense(6, activation="silu", name="a")(x))
        return keras.Model(x, Energy(name="energy")(layers.Dense(3, name="b")(h)))

    keras_model(name, folder, build, {"x": normal(2, 5)}, nll)


@other("keras")
def keras_conv_batchnorm(name, folder):
    def build():
        x = keras.Input((8, 8, 2), name="x")
        h = layers.ReLU()(layers.BatchNormalization(name="n1")(layers.Conv2D(4, 3, use_bias=False, name="c1")(x)))
        h = layers.MaxPooling2D()(layers.PReLU(name="act", shared_axes=[1, 2])(layers.Conv2D(4, 3, padding="same", name="c2")(h)))
        return keras.Model(x, Energy(name="energy")(layers.Dense(3, name="out")(layers.GlobalAveragePooling2D()(h))))

    keras_model(name, folder, build, {"x": normal(2, 8, 8, 2)}, nll)


@other("keras")
def keras_depthwise_groupnorm(name, folder):
    def build():
        x = keras.Input((6, 6, 4), name="x")
        h = layers.GroupNormalization(2, name="norm")(layers.DepthwiseConv2D(3, padding="same", name="depth")(x))
        h = layers.SeparableConv2D(4, 3, activation="swish", name="separable")(h)
        return keras.Model(x, Energy(name="energy")(layers.UpSampling2D()(h)))

    keras_model(name, folder, build, {"x": normal(2, 6, 6, 4)}, nll)


@other("keras", "--objective", "flow")
def keras_coupling_flow(name, folder):
    class Coupling(layers.Layer):
        def __init__(self, **more):
            super().__init__(**more)
            self.net = keras.Sequential([layers.Dense(8, activation="tanh", name="a"), layers.Dense(4, name="b")], name="net")
            self.scale = self.add_weight(name="scale", shape=(), initializer="ones")

        def call(self, x):
            a, b = x[:, :2], x[:, 2:]
            shift, log_s = ops.split(self.net(a), 2, axis=1)
            log_s = self.scale * ops.tanh(log_s)
            return ops.concatenate([b * ops.exp(log_s) + shift, a], axis=1), ops.sum(log_s, axis=1)

    def build():
        x = keras.Input((4,), name="x")
        h, first = Coupling(name="f1")(x)
        z, second = Coupling(name="f2")(h)
        return keras.Model(x, [z, first + second])

    def loss(outputs, x):
        return 0.5 * tf.reduce_sum(outputs[0] ** 2, 1) + 2 * math.log(2 * math.pi) - outputs[1]

    keras_model(name, folder, build, {"x": normal(2, 4)}, loss, "flow")


@other("keras", "--frozen", "fixed")
def keras_subclass_temperature(name, folder):
    """A subclass of keras.Model, with a scalar and a frozen layer."""

    class Scores(keras.Model):
        def __init__(self):
            super().__init__(name="scores")
            self.a = layers.Dense(6, name="a")
            self.fixed = layers.Dense(4, name="fixed", trainable=False)
            self.b = layers.Dense(4, name="b")
            self.log_t = self.add_weight(name="log_t", shape=(), initializer="zeros")

        def call(self, x):
            h = ops.tanh(self.a(x))
            return -ops.logsumexp((self.fixed(h) + self.b(ops.square(h))) / ops.exp(self.log_t), axis=1)

    keras_model(name, folder, Scores, {"x": normal(2, 5)}, nll)


@other("keras")
def keras_stop_gradient(name, folder):
    def build():
        x = keras.Input((5,), name="x")
        h = layers.Dense(4, activation="tanh", name="a")(x)
        return keras.Model(x, Energy(name="energy")(layers.Dense(3, name="b")(h) - ops.stop_gradient(layers.Dense(3, name="c")(h))))

    keras_model(name, folder, build, {"x": normal(2, 5)}, nll)
