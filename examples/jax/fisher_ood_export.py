"""Exports a JAX model for fisher-ood, with two examples and their right answers. Copy this file beside your code.

    from fisher_ood_export import export

    export(loss, params, "vae", x=images, eps=noise, normal=["eps"])       # loss(params, x, eps) gives the loss of each example, [n]
    export(model, params, "flow", x=points, objective="flow")              # flax.linen: apply gives latent and log |det|
    export(model, None, "lm", ids=tokens, objective="causal-lm")           # flax.nnx: the module has its parameters; logits [n, T, V]
    export(model, params, "ddpm", x=images, objective="denoise", pixels=(-1, 1))
    export(model, params, "any", x=points, objective=lambda apply, x: -apply(x, method="log_prob"))

writes NAME.onnx, whose only output is the loss of each example, and NAME.check.npz: two examples, their losses and the squared norm of the
gradient in every parameter, in float64. Then

    npx fisher-ood check NAME.onnx NAME.check.npz

says whether fisher-ood reads the file right. Sample inputs are arrays with at least two examples along their first axis. Needs the packages
jax2onnx and onnx; parameters are inputs of what jax2onnx sees, so that it computes nothing from them, and then become tensors of the file,
which names them in its metadata.
"""

import contextlib
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import onnx
from jax2onnx import to_onnx

OBJECTIVES = ("nll", "flow", "elbo", "causal-lm", "denoise")


def export(model, params, name, *, objective="nll", pixels=None, normal=(), uniform=(), frozen=(), opset=21, **inputs):
    """Writes NAME.onnx and NAME.check.npz; returns the names of the parameters that the file does not hold.

    model      a function of the parameters and the inputs; a flax.linen module, of whose variables (`params`, as init gives them) the
               collection 'params' is learned; or a flax.nnx module, with `params` None, of which every nnx.Param is learned
    objective  what turns the model's outputs into a loss per example: nll (they are one already), flow, elbo:likelihood=bernoulli,
               causal-lm, denoise:t=10,schedule=linear,steps=1000,predicts=noise,norm=l2 (as --objective of fisher-ood; without
               t the file takes it as an input, and fisher-ood looks at several steps), or a function of
               the model with its parameters and of the inputs that gives an array [n]
    pixels     (low, high): the file then takes pixels 0..255 and maps them to this range itself; samples are 0..255 too
    normal     names of the inputs that fisher-ood is to draw from a standard normal; uniform: from [0, 1). They need samples as well
    frozen     names of parameters that are not learned, such as 'encoder.kernel', or of all that begin so
    inputs     samples by the name that the input is to have in the file, in the order of the model's arguments
    """
    inputs = {key: np.asarray(value) for key, value in inputs.items()}
    short = [key for key, value in inputs.items() if value.ndim == 0 or value.shape[0] < 2]
    if not inputs or short:
        raise ValueError(f"samples need at least two examples along their first axis; {', '.join(short) or 'none is'} given")
    inputs = {key: _single(value[:2]) for key, value in inputs.items()}

    apply, leaves = _functional(model, params)
    loss = _Loss(apply, objective, pixels)
    if loss.kind == "denoise":
        shape = next(iter(inputs.values())).shape
        if "t" in inputs:
            raise ValueError("objective denoise makes the input t itself: the step, that the model takes after x")
        if "t" not in loss.options:
            inputs["t"] = _some_steps(loss.options)
        inputs["noise"] = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        normal = [*normal, "noise"]
    learned = {key: value for key, value in leaves.items() if not any(key == f or key.startswith(f"{f}.") for f in frozen)}
    fixed = {key: value for key, value in leaves.items() if key not in learned}
    if not learned:
        raise ValueError("the model has no parameter that a gradient is wanted of")

    def function(values, *xs):
        return loss({**fixed, **values}, *xs)

    nll, norms, single = _answers(function, learned, inputs)
    fixed_batch = _write(function, learned, f"{name}.onnx", inputs, opset)
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
    print(f"{name}.onnx: {len(learned)} parameters, exported by jax2onnx{' at a fixed batch of one' if fixed_batch else ''}")
    if lost:
        print(f"  {len(lost)} of them are not in the file: {', '.join(lost)}")
    if single:
        print("  a part of the model computes in float32, whatever it is given: so do the answers")
    print(f"  npx fisher-ood check {name}.onnx {name}.check.npz\n  npx fisher-ood inspect {name}.onnx{draws}")
    return lost


def _functional(model, params):
    """The model as a function of a dict of its parameters and of the inputs; the parameters by name: `Dense_0.kernel`."""
    if params is None:
        from flax import nnx

        definition, state, rest = nnx.split(model, nnx.Param, ...)
        paths = {_name(path): path for path, _ in nnx.to_flat_state(state)}
        flat = dict(nnx.to_flat_state(state))
        leaves = {key: jnp.asarray(flat[path][...]) for key, path in paths.items()}

        def apply(values, *xs, **more):
            state = nnx.from_flat_state([(path, flat[path].replace(values[key])) for key, path in paths.items()])
            return nnx.merge(definition, state, _double_like(rest, values))(*xs, **more)

        return apply, leaves
    paths, tree = jax.tree_util.tree_flatten_with_path(params)
    names = [_name([getattr(part, "key", getattr(part, "name", getattr(part, "idx", part))) for part in path]) for path, _ in paths]
    flax = hasattr(model, "apply") and not hasattr(model, "init_fn")
    learned = {key: jnp.asarray(leaf) for key, (_, leaf) in zip(names, paths) if not flax or key.startswith("params.")}
    learned = {key: leaf for key, leaf in learned.items() if jnp.issubdtype(leaf.dtype, jnp.floating)}
    call = model.apply if flax else model

    def apply(values, *xs, **more):
        given = [values[short(key)] if key in learned else _as(leaf, values) for key, (_, leaf) in zip(names, paths)]
        return call(jax.tree_util.tree_unflatten(tree, given), *xs, **more)

    def short(key):
        return key.removeprefix("params.") if flax else key

    return apply, {short(key): leaf for key, leaf in learned.items()}


def _name(path):
    return ".".join(str(part) for part in path)


def _as(leaf, values):
    """What is not learned, in the precision of what is."""
    leaf = jnp.asarray(leaf)
    wide = next(iter(values.values())).dtype
    return leaf.astype(wide) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf


def _double_like(tree, values):
    return jax.tree_util.tree_map(lambda leaf: _as(leaf, values) if isinstance(leaf, jax.Array) and not jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf, tree)


class _Loss:
    """The loss of each example, [n], from the model's outputs."""

    def __init__(self, apply, objective, pixels):
        self.apply = apply
        self.pixels = pixels
        self.function = objective if callable(objective) else None
        self.kind, self.options = ("", {}) if callable(objective) else _parse(objective)

    def __call__(self, values, x, *others):
        if self.pixels is not None:
            low, high = self.pixels
            x = x / 255 * (high - low) + low

        def model(*xs, **more):
            return self.apply(values, *xs, **more)

        if self.function:
            return _per_example(self.function(model, x, *others))
        if self.kind == "denoise":
            return self._denoising(model, x, others[-1], others[:-1])
        outputs = model(x, *others)
        outputs = outputs if isinstance(outputs, (tuple, list)) else (outputs,)
        if self.kind == "flow":
            z, log_det = outputs[0].reshape(x.shape[0], -1), _per_example(outputs[1])
            return 0.5 * jnp.sum(z * z, axis=1) + 0.5 * math.log(2 * math.pi) * z.shape[1] - log_det
        if self.kind == "elbo":
            return self._elbo(x, *outputs[:3])
        if self.kind == "causal-lm":
            log_p = jax.nn.log_softmax(outputs[0][:, :-1], axis=-1)
            return -jnp.sum(log_p * jax.nn.one_hot(x[:, 1:], log_p.shape[-1], dtype=log_p.dtype), axis=(1, 2))
        return _per_example(outputs[0])

    def _elbo(self, x, reconstruction, mean, log_var):
        inner = tuple(range(1, x.ndim))
        if self.options.get("likelihood", "gaussian") == "bernoulli":
            error = jnp.sum(jax.nn.softplus(reconstruction) - x * reconstruction, axis=inner)
        else:
            error = 0.5 * jnp.sum((x - reconstruction) ** 2, axis=inner) + 0.5 * math.log(2 * math.pi) * math.prod(x.shape[1:])
        return error + 0.5 * jnp.sum(mean * mean + jnp.exp(log_var) - 1 - log_var, axis=tuple(range(1, mean.ndim)))

    def _denoising(self, model, x, noise, others):
        if "t" in self.options:
            step = jnp.full((x.shape[0],), int(self.options["t"]), jnp.int32)
        else:
            *others, step = others
        levels = jnp.asarray(_levels(self.options), x.dtype)[:, step]
        signal, spread = (level.reshape(-1, *[1] * (x.ndim - 1)) for level in levels)
        out = model(signal * x + spread * noise, step, *others)
        out = out[0] if isinstance(out, (tuple, list)) else out
        predicts = self.options.get("predicts", "noise")
        target = {"noise": noise, "x0": x, "v": signal * noise - spread * x}[predicts]
        error = jnp.abs(target - out) if self.options.get("norm", "l2") == "l1" else (target - out) ** 2
        return jnp.sum(error, axis=tuple(range(1, error.ndim)))


def _per_example(values):
    """[n] or [n, 1, ...] as [n]."""
    if values.ndim == 0 or math.prod(values.shape[1:]) != 1:
        raise ValueError(f"the model gives an array of shape {values.shape}, expected one number per example: [n] or [n, 1]")
    return values if values.ndim == 1 else values.reshape(values.shape[0])


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


def _answers(function, learned, inputs):
    """Losses [2] and squared gradient norms [2, L] in float64, each example in a batch of its own; whether any of it was in float32."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    try:
        try:
            return _norms(function, learned, inputs, jnp.float64)
        except TypeError:  # a scan whose first state is of float32, whatever its inputs are
            jax.config.update("jax_enable_x64", False)
            return _norms(function, learned, inputs, jnp.float32)
    finally:
        jax.config.update("jax_enable_x64", before)


def _norms(function, learned, inputs, kind):
    exact = {key: jnp.asarray(np.asarray(value), kind) for key, value in learned.items()}
    nll, norms = [], []
    for i in range(2):
        values = [jnp.asarray(v[i : i + 1], kind if v.dtype == np.float32 else None) for v in inputs.values()]
        out = function(exact, *values)
        if out.shape != (1,):
            raise ValueError(f"the loss of one example has the shape {out.shape}, expected [1]: never a mean over the batch")
        gradients = jax.grad(lambda p: function(p, *values).sum())(exact)
        nll.append(float(out[0]))
        norms.append([float(np.sum(np.square(np.asarray(gradients[key], np.float64)))) for key in learned])
    return np.array(nll), np.array(norms), out.dtype != jnp.float64


def _write(function, learned, path, inputs, opset):
    """Writes the file, with a batch of any size where jax2onnx can; whether it could not."""
    names = [f"parameter.{i}" for i in range(len(learned))]

    def flat(*arguments):
        with _marked(jax.lax, arguments[-1]):
            return function(dict(zip(learned, arguments)), *arguments[len(learned) : -1])

    failures = []
    for batch in ("n", 1):
        specs = [jax.ShapeDtypeStruct(value.shape, jnp.float32) for value in learned.values()]
        specs += [*(_spec(value, batch) for value in inputs.values()), jax.ShapeDtypeStruct((), jnp.float32)]
        try:
            model = to_onnx(flat, specs, opset=opset, input_names=[*names, *inputs, STOP], output_names=["loss"])
        except Exception as error:
            failures.append(f"with a batch of {'any size' if batch == 'n' else 'one'}: {error}")
            continue
        _hold(model, dict(zip(names, learned.items())))
        onnx.save(model, path)
        return batch == 1
    raise RuntimeError("jax2onnx does not take this model:\n" + "\n".join(failures))


def _spec(value, batch):
    if value.dtype == np.float32:
        return (batch, *value.shape[1:])
    return jax.ShapeDtypeStruct((batch if batch == 1 else jax.export.symbolic_shape("n")[0], *value.shape[1:]), value.dtype)


#: An input by which is multiplied whatever goes through stop_gradient, of which exporters write nothing.
STOP = "fisher_ood_stop"


@contextlib.contextmanager
def _marked(owner, marker):
    """stop_gradient as a product with `marker`, for as long as the file is made."""
    own = owner.stop_gradient
    owner.stop_gradient = lambda tree: jax.tree_util.tree_map(lambda x: x * marker if jnp.issubdtype(jnp.result_type(x), jnp.floating) else x, tree)
    try:
        yield
    finally:
        owner.stop_gradient = own


def _stopped(graph):
    """The products with the marker become what they stand for; their names."""
    found = []
    for node in graph.node:
        if STOP in node.input:
            others = [key for key in node.input if key != STOP]
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
        if graph.input[i].name == STOP:
            del graph.input[i]
    return found


def _hold(model, parameters):
    """Inputs that are parameters become tensors of the file, under the parameters' names."""
    graph = model.graph
    taken = {value.name for value in [*graph.input, *graph.output, *graph.initializer]} | {key for node in graph.node for key in node.output}
    rename = {}
    for held, (name, value) in parameters.items():
        if name in taken:
            raise ValueError(f"the parameter '{name}' has the name of another value of the file; rename the input or the module")
        rename[held] = name
        graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(value, np.float32), name))
    for i in reversed(range(len(graph.input))):
        if graph.input[i].name in rename:
            del graph.input[i]
    for node in graph.node:
        for i, key in enumerate(node.input):
            if key in rename:
                node.input[i] = rename[key]
    for key, value in {"parameters": [name for name, _ in parameters.values()], "stop-gradient": _stopped(graph)}.items():
        model.metadata_props.add(key=f"fisher-ood.{key}", value=json.dumps(value))
