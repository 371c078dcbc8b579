"""Exports a Keras 3 model for fisher-ood, with two examples and their right answers. Copy this file beside your code.

    from fisher_ood_export import export

    export(vae, "vae", x=images, eps=noise, normal=["eps"])                # the model gives the loss of each example, [n]
    export(vae, "vae", x=images, eps=noise, normal=["eps"], objective="elbo")      # it gives reconstruction, mean and log-variance
    export(flow, "flow", x=points, objective="flow")                       # it gives latent and log |det|
    export(lm, "lm", ids=tokens, objective="causal-lm")                    # it gives logits, [n, T, V]
    export(unet, "ddpm", x=images, objective="denoise", pixels=(-1, 1))
    export(model, "any", x=points, objective=lambda model, x: keras.ops.sum((model(x) - x) ** 2, axis=1))

writes NAME.onnx, whose only output is the loss of each example, and NAME.check.npz: two examples, their losses and the squared norm of the
gradient in every trainable variable, in float64. Then

    npx fisher-ood check NAME.onnx NAME.check.npz

says whether fisher-ood reads the file right. Sample inputs are arrays with at least two examples along their first axis. Whatever Keras runs
on does the work: TensorFlow (package tf2onnx), JAX (jax2onnx) or PyTorch (onnxscript); onnx is needed by all. Variables are inputs of what
the exporter sees, so that it computes nothing from them, and then become tensors of the file, which names them in its metadata.
"""

import contextlib
import json
import math
import warnings

import keras
import numpy as np
import onnx
from keras import ops

OBJECTIVES = ("nll", "flow", "elbo", "causal-lm", "denoise")


def export(model, name, *, objective="nll", pixels=None, normal=(), uniform=(), opset=18, **inputs):
    """Writes NAME.onnx and NAME.check.npz; returns the names of the variables that the file does not hold.

    model      a keras.Model of any kind; layers with trainable = False are constants
    objective  what turns the model's outputs into a loss per example: nll (they are one already), flow, elbo:likelihood=bernoulli,
               causal-lm, denoise:t=10,schedule=linear,steps=1000,predicts=noise,norm=l2 (as --objective of fisher-ood; without
               t the file takes it as an input, and fisher-ood looks at several steps), or a function of
               the model and the inputs, written with keras.ops, that gives a tensor [n]
    pixels     (low, high): the file then takes pixels 0..255 and maps them to this range itself; samples are 0..255 too
    normal     names of the inputs that fisher-ood is to draw from a standard normal; uniform: from [0, 1). They need samples as well
    inputs     samples by the name that the input is to have in the file, in the order of the model's inputs
    """
    inputs = {key: np.asarray(value) for key, value in inputs.items()}
    short = [key for key, value in inputs.items() if value.ndim == 0 or value.shape[0] < 2]
    if not inputs or short:
        raise ValueError(f"samples need at least two examples along their first axis; {', '.join(short) or 'none is'} given")
    inputs = {key: _single(value[:2]) for key, value in inputs.items()}

    loss = _Loss(model, objective, pixels)
    if loss.kind == "denoise":
        shape = next(iter(inputs.values())).shape
        if "t" in inputs:
            raise ValueError("objective denoise makes the input t itself: the step, that the model takes after x")
        if "t" not in loss.options:
            inputs["t"] = _some_steps(loss.options)
        inputs["noise"] = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        normal = [*normal, "noise"]
    if not model.built or not model.variables:
        loss(*[ops.convert_to_tensor(value) for value in inputs.values()])  # makes the variables
    learned = _named(model.trainable_variables)
    if not learned:
        raise ValueError("the model has no variable that a gradient is wanted of: all are not trainable")

    def function(values, *xs):
        fixed = [ops.cast(v.value, values[0].dtype) if _is_float(v) else v.value for v in model.non_trainable_variables]
        mapping = [*zip(learned.values(), values), *zip(model.non_trainable_variables, fixed)]
        with keras.StatelessScope(state_mapping=mapping):
            return loss(*xs)

    nll, norms = _answers(function, model, list(learned.values()), inputs)
    way = _write(function, learned, f"{name}.onnx", inputs, opset)
    np.savez(
        f"{name}.check.npz",
        nll=nll,
        sqnorm=norms,
        names=np.array(list(learned)),
        **{f"input.{key}": value for key, value in inputs.items()},
    )
    held = {tensor.name for tensor in onnx.load(f"{name}.onnx", load_external_data=False).graph.initializer}
    lost = [key for key in learned if key not in held]
    draws = "".join(f" --normal {key}" for key in normal) + "".join(f" --uniform {key}" for key in uniform)
    if loss.kind == "denoise" and "t" not in loss.options:
        draws += f" --integer t=0..{_steps(loss.options) - 1}"
    print(f"{name}.onnx: {len(learned)} variables, exported by {way}")
    if lost:
        print(f"  {len(lost)} of them are not in the file: {', '.join(lost)}")
    print(f"  npx fisher-ood check {name}.onnx {name}.check.npz\n  npx fisher-ood inspect {name}.onnx{draws}")
    return lost


class _Loss:
    """The loss of each example, [n], from the model's outputs."""

    def __init__(self, model, objective, pixels):
        self.model = model
        self.pixels = pixels
        self.function = objective if callable(objective) else None
        self.kind, self.options = ("", {}) if callable(objective) else _parse(objective)

    def __call__(self, x, *others):
        if self.pixels is not None:
            low, high = self.pixels
            x = x / 255 * (high - low) + low
        if self.function:
            return _per_example(self.function(self.model, x, *others))
        if self.kind == "denoise":
            return self._denoising(x, others[-1], others[:-1])
        outputs = self._outputs(x, *others)
        if self.kind == "flow":
            z, log_det = outputs[0], _per_example(outputs[1])
            return 0.5 * ops.sum(z * z, axis=_inner(z)) + 0.5 * math.log(2 * math.pi) * _count(z) - log_det
        if self.kind == "elbo":
            return self._elbo(x, *outputs[:3])
        if self.kind == "causal-lm":
            log_p = ops.log_softmax(outputs[0][:, :-1], axis=-1)
            return -ops.sum(log_p * ops.one_hot(x[:, 1:], log_p.shape[-1], dtype=log_p.dtype), axis=(1, 2))
        return _per_example(outputs[0])

    def _outputs(self, *xs):
        functional = bool(getattr(self.model, "inputs", None))  # takes a list of several; a subclass takes arguments
        outputs = self.model(list(xs)) if functional and len(xs) > 1 else self.model(*xs)
        return list(outputs.values()) if isinstance(outputs, dict) else outputs if isinstance(outputs, (tuple, list)) else (outputs,)

    def _elbo(self, x, reconstruction, mean, log_var):
        if self.options.get("likelihood", "gaussian") == "bernoulli":
            error = ops.sum(ops.softplus(reconstruction) - x * reconstruction, axis=_inner(x))
        else:
            error = 0.5 * ops.sum((x - reconstruction) ** 2, axis=_inner(x)) + 0.5 * math.log(2 * math.pi) * _count(x)
        return error + 0.5 * ops.sum(mean * mean + ops.exp(log_var) - 1 - log_var, axis=_inner(mean))

    def _denoising(self, x, noise, others):
        if "t" in self.options:
            step = ops.zeros_like(ops.reshape(x, (-1, _count(x)))[:, 0], dtype="int32") + int(self.options["t"])
        else:
            *others, step = others
        levels = (ops.take(ops.convert_to_tensor(level, x.dtype), step) for level in _levels(self.options))
        signal, spread = (ops.reshape(level, (-1, *[1] * (len(x.shape) - 1))) for level in levels)
        out = self._outputs(signal * x + spread * noise, step, *others)[0]
        predicts = self.options.get("predicts", "noise")
        target = {"noise": noise, "x0": x, "v": signal * noise - spread * x}[predicts]
        error = ops.abs(target - out) if self.options.get("norm", "l2") == "l1" else (target - out) ** 2
        return ops.sum(error, axis=_inner(error))


def _inner(x):
    return tuple(range(1, len(x.shape)))


def _count(x):
    return math.prod(x.shape[1:])


def _per_example(values):
    """[n] or [n, 1, ...] as [n]."""
    if len(values.shape) == 0 or math.prod(values.shape[1:]) != 1:
        raise ValueError(f"the model gives a tensor of shape {tuple(values.shape)}, expected one number per example: [n] or [n, 1]")
    return values if len(values.shape) == 1 else ops.reshape(values, (-1,))


def _parse(objective):
    kind, _, rest = objective.partition(":")
    if kind not in OBJECTIVES:
        raise ValueError(f"objective is '{objective}', expected one of {', '.join(OBJECTIVES)}, or a function")
    options = dict(part.split("=", 1) for part in rest.split(",") if part)
    if kind == "denoise" and not 0 <= int(options.get("t", 0)) < _steps(options):
        raise ValueError(f"objective denoise: t={options['t']} is not one of the {_steps(options)} steps")
    return kind, options


def _some_steps(options):
    """Of two examples, for a file that takes the step as an input."""
    return np.array([min(1, _steps(options) - 1), _steps(options) // 4], dtype=np.int32)


def _steps(options):
    return int(options.get("steps", 1000))


def _levels(options):
    """What the image and the noise are multiplied by at each step, [2, steps] (Ho et al. 2020; cosine: Nichol & Dhariwal 2021)."""
    steps = _steps(options)
    if options.get("schedule", "linear") == "linear":
        betas = np.linspace(1e-4, 0.02, steps)
    else:
        f = np.cos((np.arange(steps + 1) / steps + 0.008) / 1.008 * math.pi / 2) ** 2
        betas = np.minimum(1 - f[1:] / f[:-1], 0.999)
    alphas = np.cumprod(1 - betas)
    return np.sqrt([alphas, 1 - alphas])


def _single(value):
    """In the types that files have: float32 and int32."""
    if np.issubdtype(value.dtype, np.floating):
        return value.astype(np.float32)
    return value.astype(np.int32) if value.dtype != np.bool_ else value


def _is_float(variable):
    return str(variable.dtype).startswith(("float", "bfloat"))


def _named(variables):
    """By the path that Keras gives them, `dense/kernel`; a second one of that path has #2 after it."""
    found = {}
    for variable in variables:
        name, k = variable.path, 1
        while name in found:
            k += 1
            name = f"{variable.path}#{k}"
        found[name] = variable
    return found


@contextlib.contextmanager
def _double(model):
    """The model computes in float64: its layers and its variables say so, for a while."""
    layers = list(dict.fromkeys([model, *model._flatten_layers()]))
    policies = [(layer, layer._dtype_policy) for layer in layers if hasattr(layer, "_dtype_policy")]
    types = [(variable, variable._dtype) for variable in model.variables if _is_float(variable)]
    before = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    wide = keras.dtype_policies.DTypePolicy("float64")
    for layer, _ in policies:
        layer._dtype_policy = wide
    for variable, _ in types:
        variable._dtype = "float64"
    try:
        yield
    finally:
        for layer, policy in policies:
            layer._dtype_policy = policy
        for variable, kind in types:
            variable._dtype = kind
        keras.config.set_floatx(before[0])
        keras.config.set_dtype_policy(before[1])


def _answers(function, model, learned, inputs):
    """Losses [2] and squared gradient norms [2, L] in float64, each example in a batch of its own."""
    kept = [np.asarray(ops.convert_to_numpy(variable.value), np.float64) for variable in learned]
    gradient = {"tensorflow": _tensorflow_gradient, "jax": _jax_gradient, "torch": _torch_gradient}[keras.backend.backend()]
    nll, norms = [], []
    with _double(model):
        for i in range(2):
            values = [v[i : i + 1].astype(np.float64) if v.dtype == np.float32 else v[i : i + 1] for v in inputs.values()]
            out, gradients = gradient(function, kept, values)
            if out.shape != (1,):
                raise ValueError(f"the loss of one example has the shape {out.shape}, expected [1]: never a mean over the batch")
            if out.dtype != np.float64:
                raise ValueError(f"a part of the model computes in {out.dtype}, whatever its layers' policy says; expected float64")
            nll.append(float(out[0]))
            norms.append([0.0 if g is None else float(np.sum(np.square(np.asarray(g, np.float64)))) for g in gradients])
    return np.array(nll), np.array(norms)


def _tensorflow_gradient(function, kept, values):
    import tensorflow as tf

    with tf.GradientTape() as tape:
        parameters = [tf.constant(value) for value in kept]
        tape.watch(parameters)
        out = function(parameters, *[tf.constant(value) for value in values])
    gradients = tape.gradient(out, parameters)
    return out.numpy(), [None if g is None else tf.convert_to_tensor(g).numpy() for g in gradients]


def _jax_gradient(function, kept, values):
    import jax

    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    try:
        xs = [jax.numpy.asarray(value) for value in values]
        out, back = jax.vjp(lambda *parameters: function(list(parameters), *xs), *[jax.numpy.asarray(value) for value in kept])
        return np.asarray(out), back(jax.numpy.ones_like(out))
    finally:
        jax.config.update("jax_enable_x64", before)


def _torch_gradient(function, kept, values):
    import torch

    parameters = [torch.tensor(value, requires_grad=True) for value in kept]
    out = function(parameters, *[torch.tensor(value) for value in values])
    gradients = torch.autograd.grad(out.sum(), parameters, allow_unused=True)
    return out.detach().numpy(), [None if g is None else g.numpy() for g in gradients]


def _write(function, learned, path, inputs, opset):
    """Writes the file by the exporter of what Keras runs on, with a batch of any size where it can; what that was."""
    held = [f"variable_{i}" for i in range(len(learned))]
    kept = [np.asarray(ops.convert_to_numpy(variable.value), np.float32) for variable in learned.values()]

    def flat(*arguments):
        with _marked(arguments[-1]):
            return function(list(arguments[: len(held)]), *arguments[len(held) : -1])

    way, write = {"tensorflow": ("tf2onnx", _by_tf2onnx), "jax": ("jax2onnx", _by_jax2onnx), "torch": ("torch.export", _by_torch)}[keras.backend.backend()]
    failures = []
    for batch in ("n", 1):
        try:
            model = write(flat, held, kept, inputs, batch, opset)
        except Exception as error:
            failures.append(f"with a batch of {'any size' if batch == 'n' else 'one'}: {error}")
            continue
        _hold(model, {key: (name, value) for key, name, value in zip(held, learned, kept)})
        onnx.save(model, path)
        return way if batch == "n" else f"{way} at a fixed batch of one"
    raise RuntimeError(f"{way} does not take this model:\n" + "\n".join(failures))


def _by_tf2onnx(flat, held, kept, inputs, batch, opset):
    import tensorflow as tf
    import tf2onnx

    size = None if batch == "n" else batch
    specs = [tf.TensorSpec(value.shape, tf.float32, name=key) for key, value in zip(held, kept)]
    specs += [tf.TensorSpec((size, *value.shape[1:]), value.dtype, name=key) for key, value in inputs.items()]
    specs += [tf.TensorSpec((), tf.float32, name=STOP)]

    def erfc(ctx, node, name, args):
        """1 - erf, as ONNX has no erfc."""
        node.type = "Erf"
        one = ctx.make_const(f"{name}_one", np.ones((), np.float32))
        ctx.insert_new_node_on_output("Sub", node.output[0], inputs=[one.output[0], node.output[0]], name=f"{name}_complement")

    function = tf.function(lambda *xs: tf.identity(flat(*xs), name="loss"))
    model, _ = tf2onnx.convert.from_function(function, input_signature=specs, opset=opset, custom_op_handlers={"Erfc": (erfc, [])})
    return model


def _by_jax2onnx(flat, held, kept, inputs, batch, opset):
    import jax
    from jax2onnx import to_onnx

    size = batch if batch == 1 else jax.export.symbolic_shape("n")[0]
    specs = [jax.ShapeDtypeStruct(value.shape, value.dtype) for value in kept]
    specs += [jax.ShapeDtypeStruct((size, *value.shape[1:]), value.dtype) for value in inputs.values()]
    specs += [jax.ShapeDtypeStruct((), np.float32)]
    return to_onnx(flat, specs, opset=max(opset, 21), input_names=[*held, *inputs, STOP], output_names=["loss"])


def _by_torch(flat, held, kept, inputs, batch, opset):
    import torch

    class Flat(torch.nn.Module):
        def forward(self, *xs):
            return flat(*xs)

    two = 2 if batch == "n" else 1
    arguments = tuple(torch.tensor(value) for value in [*kept, *(value[:two] for value in inputs.values()), np.float32(1)])
    shapes = None if batch == 1 else (tuple([None] * len(kept) + [{0: torch.export.Dim("n")}] * len(inputs) + [None]),)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            Flat().eval(), arguments, dynamo=True, optimize=False, input_names=[*held, *inputs, STOP], output_names=["loss"], dynamic_shapes=shapes,
            opset_version=opset, verbose=False,
        )
    return program.model_proto


#: An input by which is multiplied whatever goes through stop_gradient, of which exporters write nothing.
STOP = "fisher_ood_stop"


@contextlib.contextmanager
def _marked(marker):
    """stop_gradient as a product with `marker`, for as long as the file is made."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as owner
    elif keras.backend.backend() == "jax":
        from jax import lax as owner
    else:
        owner = None
    places = [(place, "stop_gradient", place.stop_gradient) for place in (owner, ops, keras.src.ops) if place is not None]

    def product(x, **_):
        return x * marker if keras.backend.is_float_dtype(keras.backend.standardize_dtype(x.dtype)) else x

    for place, key, _ in places:
        setattr(place, key, product)
    try:
        yield
    finally:
        for place, key, own in places:
            setattr(place, key, own)


def _stopped(graph):
    """The products with the marker become what they stand for; their names."""
    found = []
    for node in graph.node:
        if STOP in [key.split(":")[0] for key in node.input]:
            others = [key for key in node.input if key.split(":")[0] != STOP]
            if node.op_type != "Mul" or len(others) != 1:
                raise ValueError(f"stop_gradient is written as {node.op_type}({', '.join(node.input)}), expected a product")
            node.op_type = "Identity"
            del node.input[:]
            node.input.append(others[0])
            found.append(node.output[0])
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                found += _stopped(attribute.g)
    for i in reversed(range(len(graph.input))):
        if graph.input[i].name.split(":")[0] == STOP:
            del graph.input[i]
    return found


def _hold(model, variables):
    """Inputs that are variables become tensors of the file, under the variables' names."""
    graph = model.graph
    taken = {value.name for value in [*graph.input, *graph.output, *graph.initializer]} | {key for node in graph.node for key in node.output}
    rename = {}
    for held, (name, value) in variables.items():
        if name in taken:
            raise ValueError(f"the variable '{name}' has the name of another value of the file; rename the input or the layer")
        graph.initializer.append(onnx.numpy_helper.from_array(value, name))
        rename[held] = name
    for i in reversed(range(len(graph.input))):
        if graph.input[i].name.split(":")[0] in rename:
            del graph.input[i]
    _rename(graph, rename)
    for key, value in {"parameters": [name for name, _ in variables.values()], "stop-gradient": _stopped(graph)}.items():
        model.metadata_props.add(key=f"fisher-ood.{key}", value=json.dumps(value))


def _rename(graph, rename):
    for node in graph.node:
        for i, key in enumerate(node.input):
            if key.split(":")[0] in rename:
                node.input[i] = rename[key.split(":")[0]]
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                _rename(attribute.g, rename)
