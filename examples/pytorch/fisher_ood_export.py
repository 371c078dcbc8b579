"""Exports a PyTorch model for fisher-ood, with two examples and their right answers. Copy this file beside your code.

    from fisher_ood_export import export

    export(model, "vae", x=images, eps=noise, normal=["eps"])              # forward gives the loss of each example, [n]
    export(model, "flow", x=points, objective="flow")                      # forward gives latent and log |det|
    export(model, "lm", ids=tokens, objective="causal-lm")                 # forward gives logits, [n, T, V]
    export(model, "ddpm", x=images, objective="denoise", pixels=(-1, 1))
    export(model, "any", x=points, objective=lambda model, x: -model.log_prob(x))

writes NAME.onnx, whose only output is the loss of each example, and NAME.check.npz: two examples, their losses and the squared norm of the
gradient in every parameter, in float64. Then

    npx fisher-ood check NAME.onnx NAME.check.npz

says whether fisher-ood reads the file right. Sample inputs are tensors with at least two examples along their first axis. Works with
PyTorch 2.0 and later; needs the packages onnx and, from PyTorch 2.6 on, onnxscript.
"""

import copy
import inspect
import json
import math
import types
import warnings

import numpy as np
import torch
from torch import nn

OBJECTIVES = ("nll", "flow", "elbo", "causal-lm", "denoise")


def export(model, name, *, objective="nll", pixels=None, normal=(), uniform=(), dynamic=None, opset=18, **inputs):
    """Writes NAME.onnx and NAME.check.npz; returns the names of the parameters that the file does not hold.

    model      an nn.Module; exported in eval mode, frozen parameters (requires_grad False) as constants
    objective  what turns forward's outputs into a loss per example: nll (they are one already), flow, elbo:likelihood=bernoulli,
               causal-lm, denoise:t=10,schedule=linear,steps=1000,predicts=noise,norm=l2 (as --objective of fisher-ood; without
               t the file takes it as an input, and fisher-ood looks at several steps), or a function of
               the model and the inputs that gives a tensor [n]
    pixels     (low, high): the file then takes pixels 0..255 and maps them to this range itself; samples are 0..255 too
    normal     names of the inputs that fisher-ood is to draw from a standard normal; uniform: from [0, 1). They need samples as well
    dynamic    further axes of any size, such as {"ids": {1: "seq"}}
    inputs     samples by the name that the input is to have in the file, in the order of forward's arguments
    """
    inputs = {key: torch.as_tensor(value) for key, value in inputs.items()}
    short = [key for key, value in inputs.items() if value.dim() == 0 or value.shape[0] < 2]
    if not inputs or short:
        raise ValueError(f"samples need at least two examples along their first axis; {', '.join(short) or 'none is'} given")
    inputs = {key: value[:2].detach() for key, value in inputs.items()}

    loss = _Loss(_copied(model).eval(), objective, pixels, next(iter(inputs)))
    if loss.fisher_ood.kind == "denoise":
        if "t" in inputs:
            raise ValueError("objective denoise makes the input t itself: the step, that the model takes after x")
        if "t" not in loss.fisher_ood.options:
            inputs["t"] = _some_steps(loss.fisher_ood.options)
        inputs["noise"] = torch.randn_like(_scaled(inputs[loss.fisher_ood.data], pixels))
        normal = [*normal, "noise"]
    _freeze(loss)
    names = [key for key, _ in loss.named_parameters()]
    if not names:
        raise ValueError("the model has no parameter that a gradient is wanted of: all have requires_grad False")
    nll, norms = _answers(loss, inputs)
    _detach_padding(loss)

    way = _write(loss, f"{name}.onnx", inputs, dynamic or {}, opset)
    np.savez(
        f"{name}.check.npz",
        nll=nll,
        sqnorm=norms,
        names=np.array(names),
        **{f"input.{key}": value.numpy() for key, value in inputs.items()},
    )
    held = _held(f"{name}.onnx")
    lost = [key for key in names if key not in held]
    draws = "".join(f" --normal {key}" for key in normal) + "".join(f" --uniform {key}" for key in uniform)
    if loss.fisher_ood.kind == "denoise" and "t" not in loss.fisher_ood.options:
        draws += f" --integer t=0..{_steps(loss.fisher_ood.options) - 1}"
    print(f"{name}.onnx: {len(names)} parameters, exported by {way}")
    if lost:
        print(f"  {len(lost)} of them are not in the file under their names: {', '.join(lost)}")
    print(f"  npx fisher-ood check {name}.onnx {name}.check.npz\n  npx fisher-ood inspect {name}.onnx{draws}")
    return lost


class _Loss(nn.Module):
    """The loss of each example, [n], from the model's outputs."""

    def __init__(self, model, objective, pixels, data):
        super().__init__()
        # The same parameters, buffers and modules under the same names: in the file they are called what the model calls them.
        # All of our own under one name that no model has: a part of many is called `model`.
        kind, options = ("", {}) if callable(objective) else _parse(objective)
        function = objective if callable(objective) else None
        own = types.SimpleNamespace(model=model, pixels=pixels, data=data, function=function, kind=kind, options=options)
        self.__dict__.update(fisher_ood=own, _parameters=model._parameters, _buffers=model._buffers, _modules=model._modules)

    def forward(self, *inputs):
        inputs = list(inputs)
        inputs[0] = _scaled(inputs[0], self.fisher_ood.pixels)
        x = inputs[0]
        if self.fisher_ood.function:
            return self.fisher_ood.function(self.fisher_ood.model, *inputs)
        if self.fisher_ood.kind == "denoise":
            return self._denoising(x, inputs[-1], inputs[1:-1])
        outputs = self.fisher_ood.model(*inputs)
        outputs = outputs if isinstance(outputs, (tuple, list)) else getattr(outputs, "to_tuple", lambda: (outputs,))()
        if self.fisher_ood.kind == "flow":
            z, log_det = outputs[0].flatten(1), _per_example(outputs[1])
            return 0.5 * (z * z).sum(1) + 0.5 * math.log(2 * math.pi) * z.shape[1] - log_det
        if self.fisher_ood.kind == "elbo":
            return self._elbo(x, *outputs[:3])
        if self.fisher_ood.kind == "causal-lm":
            logits = torch.log_softmax(outputs[0][:, :-1], -1)
            return -logits.gather(2, x[:, 1:, None]).sum((1, 2))
        return _per_example(outputs[0])

    def _elbo(self, x, reconstruction, mean, log_var):
        x, reconstruction = x.flatten(1), reconstruction.flatten(1)
        if self.fisher_ood.options.get("likelihood", "gaussian") == "bernoulli":
            error = nn.functional.binary_cross_entropy_with_logits(reconstruction, x, reduction="none").sum(1)
        else:
            error = 0.5 * ((x - reconstruction) ** 2).sum(1) + 0.5 * math.log(2 * math.pi) * x.shape[1]
        return error + 0.5 * (mean * mean + log_var.exp() - 1 - log_var).flatten(1).sum(1)

    def _denoising(self, x, noise, others):
        if "t" in self.fisher_ood.options:
            step = torch.full((x.shape[0],), int(self.fisher_ood.options["t"]), dtype=torch.long)
        else:
            *others, step = others
        levels = (torch.tensor(level, dtype=x.dtype)[step] for level in _levels(self.fisher_ood.options))
        signal, spread = (level.reshape(-1, *[1] * (x.dim() - 1)) for level in levels)
        out = self.fisher_ood.model(signal * x + spread * noise, step, *others)
        out = out if isinstance(out, torch.Tensor) else out[0]
        predicts = self.fisher_ood.options.get("predicts", "noise")
        target = {"noise": noise, "x0": x, "v": signal * noise - spread * x}[predicts]
        error = (target - out).flatten(1)
        return error.abs().sum(1) if self.fisher_ood.options.get("norm", "l2") == "l1" else (error * error).sum(1)


def _per_example(values):
    """[n] or [n, 1, ...] as [n]."""
    if values.dim() == 0 or values[0].numel() != 1:
        raise ValueError(f"forward gives a tensor of shape {tuple(values.shape)}, expected one number per example: [n] or [n, 1]")
    return values if values.dim() == 1 else values.flatten()


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
    return torch.tensor([min(1, _steps(options) - 1), _steps(options) // 4])


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


def _scaled(x, pixels):
    if pixels is None:
        return x
    low, high = pixels
    return x / 255 * (high - low) + low


def _copied(module):
    """What forward left in the module from parameters, as the old weight_norm does, cannot be copied as it is."""
    left = [v for part in module.modules() for v in vars(part).values() if isinstance(v, torch.Tensor) and not v.is_leaf]
    return copy.deepcopy(module, {id(v): v.detach().clone() for v in left})


def _freeze(module):
    """Frozen parameters become buffers, which the file tells apart from parameters."""
    for part in module.modules():
        for key, parameter in list(part._parameters.items()):
            if parameter is not None and not parameter.requires_grad:
                del part._parameters[key]
                part.register_buffer(key, parameter.data)


class _PaddedEmbedding(nn.Embedding):
    """The padding's row is not learned: no file says so, but a detach it can hold."""

    def forward(self, ids):
        padding = (torch.arange(self.num_embeddings) == self.padding_idx)[:, None]
        return nn.functional.embedding(ids, torch.where(padding, self.weight.detach(), self.weight))


def _detach_padding(module):
    for part in module.modules():
        if type(part) is nn.Embedding and part.padding_idx is not None and part.max_norm is None:
            part.__class__ = _PaddedEmbedding


def _answers(loss, inputs):
    """Loss [2] and squared gradient norms [2, L] in float64, each example in a batch of its own."""
    exact = _copied(loss).double()
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)  # of what forward makes itself
    try:
        return _norms(exact, inputs)
    finally:
        torch.set_default_dtype(before)


def _norms(exact, inputs):
    parameters = list(exact.parameters())
    nll, norms = [], []
    for i in range(2):
        values = [v[i : i + 1].double() if v.is_floating_point() else v[i : i + 1] for v in inputs.values()]
        out = exact(*values)
        if out.numel() != 1:
            raise ValueError(f"the loss of one example has the shape {tuple(out.shape)}, expected one number: never a mean over the batch")
        gradients = torch.autograd.grad(out.sum(), parameters, allow_unused=True)
        nll.append(out.item())
        norms.append([0.0 if g is None else g.square().sum().item() for g in gradients])
    return np.array(nll), np.array(norms)


def _write(loss, path, inputs, dynamic, opset):
    """Writes the file by the best way that this PyTorch has; what that way was."""
    arguments = tuple(inputs.values())
    options = inspect.signature(torch.onnx.export).parameters
    failures = []
    if "dynamo" in options and "optimize" in options:
        shapes = tuple({0: torch.export.Dim("n"), **{k: torch.export.Dim(v) for k, v in dynamic.get(key, {}).items()}} for key in inputs)
        eager = [part for part in loss.modules() if hasattr(part, "set_attn_implementation")]  # of transformers: its other ways may not export
        ways = [("", shapes, arguments), (" at a fixed batch of one", None, tuple(v[:1] for v in arguments))]
        for attention in (None, "eager")[: 1 + bool(eager)]:
            for part in eager if attention else ():
                part.set_attn_implementation(attention)
            for what, shape, values in ways:
                what += f" with {attention} attention" if attention else ""
                try:
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")
                        program = torch.onnx.export(
                            loss, values, dynamo=True, optimize=False, input_names=[f"{INPUT}{key}" for key in inputs], output_names=["loss"],
                            dynamic_shapes=shape and (shape,), opset_version=opset, verbose=False,
                        )
                    program.save(path)
                    _declare(loss, path, None if shape is None else len(arguments[0]))
                    return f"torch.export{what}"
                except Exception as error:  # the next way may do
                    failures.append(f"torch.export{what}: {error}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _torchscript(loss, path, inputs, dynamic, min(opset, 17), {"dynamo": False} if "dynamo" in options else {})
        return "TorchScript"
    except Exception as error:
        raise RuntimeError("no way of exporting takes this model:\n" + "\n".join([*failures, f"TorchScript: {error}"])) from error


def _attention(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, **_):
    scores = query @ key.transpose(-2, -1) * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    if is_causal:
        attn_mask = torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool).tril()
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        scores = scores.masked_fill(~attn_mask, -math.inf)
    elif attn_mask is not None:
        scores = scores + attn_mask
    return torch.softmax(scores, -1) @ value


def _unflatten(x, dim, sizes, *_):
    dim = dim % x.dim()
    return x.reshape(*x.shape[:dim], *sizes, *x.shape[dim + 1 :])


def _binary_cross_entropy(input, target, weight=None, reduction="mean", **_):
    error = -target * torch.log(input).clamp(min=-100) - (1 - target) * torch.log(1 - input).clamp(min=-100)
    error = error if weight is None else error * weight
    return error if reduction == "none" else error.sum() if reduction == "sum" else error.mean()


def _diag(x):
    return x[:, None] * torch.eye(x.shape[0], dtype=x.dtype) if x.dim() == 1 else (x * torch.eye(len(x), dtype=x.dtype)).sum(1)


#: What TorchScript's exporter does not know, or did not in early versions: where it is, and the same in terms that it knows.
PLAIN = (
    (nn.functional, "scaled_dot_product_attention", _attention),
    (nn.functional, "binary_cross_entropy", _binary_cross_entropy),
    (torch.Tensor, "unflatten", _unflatten),
    (torch, "diag", _diag),
)


def _torchscript(loss, path, inputs, dynamic, opset, more):
    """A detach, which this exporter drops, becomes a node of its own."""
    axes = {key: {0: "n", **dynamic.get(key, {})} for key in inputs} | {"loss": {0: "n"}}
    torch.onnx.register_custom_op_symbolic("aten::detach", lambda g, x: g.op("fisher_ood::Detach", x).setType(x.type()), opset)
    replaced = [(owner, key, getattr(owner, key)) for owner, key, _ in PLAIN]
    for owner, key, plain in PLAIN:
        setattr(owner, key, plain)
    try:
        torch.onnx.export(
            loss, tuple(inputs.values()), path, input_names=list(inputs), output_names=["loss"], dynamic_axes=axes, opset_version=opset,
            do_constant_folding=False, training=torch.onnx.TrainingMode.PRESERVE, **more,
        )
    finally:
        for owner, key, own in replaced:
            setattr(owner, key, own)
        torch.onnx.unregister_custom_op_symbolic("aten::detach", opset)
    _declare(loss, path)


#: Before inputs' names while the file is written: the exporter gives values of its own the names of the traced program, `index` for one.
INPUT = "fisher-ood-input-"


def _declare(loss, path, samples=None):
    """
    Writes into the file's metadata which of its tensors are parameters and where no gradient goes; fisher-ood reads both there. Refuses a file
    that is made for as many examples as there are samples.
    """
    import onnx

    file = onnx.load(path, load_external_data=False)
    sizes = [d.dim_value for value in [*file.graph.input, *file.graph.output] for d in value.type.tensor_type.shape.dim[:1]]
    if samples in sizes:
        raise ValueError(f"PyTorch has made the file for {samples} examples")
    names = [value.name for value in file.graph.input]
    inputs = {name: name[len(INPUT) :] for name in names if name.startswith(INPUT)}
    others = {key: f"{key}.value" for node in file.graph.node for key in node.output if key in inputs.values() and inputs}
    _rename(file.graph, others)
    _rename(file.graph, inputs)
    stopped = []
    for node in file.graph.node:
        if node.domain == "fisher_ood":
            node.op_type, node.domain = "Identity", ""
            stopped.append(node.output[0])
    for i in reversed(range(len(file.opset_import))):
        if file.opset_import[i].domain == "fisher_ood":
            del file.opset_import[i]
    _untie(loss, file.graph)
    for key, value in {"parameters": [name for name, _ in loss.named_parameters()], "stop-gradient": stopped}.items():
        file.metadata_props.add(key=f"fisher-ood.{key}", value=json.dumps(value))
    onnx.save(file, path)


def _untie(loss, graph):
    """A tied parameter has several names; the file is given the one that named_parameters gives."""
    first = {id(parameter): name for name, parameter in loss.named_parameters()}
    others = {name: first[id(p)] for name, p in loss.named_parameters(remove_duplicate=False) if first[id(p)] != name}
    held = {tensor.name for tensor in graph.initializer}
    for i in reversed(range(len(graph.initializer))):
        tensor = graph.initializer[i]
        name = others.get(tensor.name)
        if name is None:
            continue
        if name in held:
            del graph.initializer[i]
        else:
            held.add(name)
            tensor.name = name
    _rename(graph, others)


def _rename(graph, names):
    for value in [*graph.input, *graph.value_info]:
        value.name = names.get(value.name, value.name)
    for node in graph.node:
        for keys in (node.input, node.output):
            for i, key in enumerate(keys):
                keys[i] = names.get(key, key)
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _rename(attribute.g, names)


def _held(path):
    import onnx

    return {tensor.name for tensor in onnx.load(path, load_external_data=False).graph.initializer}

