"""A module and samples in; the files that each way of exporting writes, and the right answers in float64, out."""

import argparse
import copy
import inspect
import logging
import pathlib
import warnings

import numpy as np
import onnx
import torch

#: Short name: what a user types.
WAYS = {
    "fixed": "torch.onnx.export(model, args, path), one example",
    "dynamic": "torch.onnx.export(model, args, path, dynamic_shapes=…)",
    "unoptimised": "torch.onnx.export(…, dynamic_shapes=…, optimize=False)",
    "torchscript": "torch.onnx.export(…, dynamo=False, dynamic_axes=…)",
}


def command_line(about):
    """The arguments of a script that exports into a folder; one thread, no warnings."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--only", default="", help="models whose names match")
    parser.add_argument("--fresh", action="store_true", help="export again what is there")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    return args


def write_answers(path, module, inputs):
    """NAME.check.npz, as fisher_ood_export.py writes it: every example in a batch of its own, in float64."""
    left = [v for part in module.modules() for v in vars(part).values() if isinstance(v, torch.Tensor) and not v.is_leaf]  # of weight_norm
    exact = copy.deepcopy(module, {id(v): v.detach().clone() for v in left}).double().eval()
    torch.set_default_dtype(torch.float64)  # of what forward makes itself
    try:
        nll, norms = answers(exact, inputs)
    finally:
        torch.set_default_dtype(torch.float32)
    if not np.isfinite(nll).all() or not np.isfinite(norms).all():
        raise ValueError("losses or gradients are not finite in float64")
    names = np.array([name for name, p in exact.named_parameters() if p.requires_grad])
    np.savez(path, nll=nll, sqnorm=norms, names=names, **{f"input.{key}": v.numpy() for key, v in inputs.items()})


def answers(exact, inputs):
    """Losses [n] and squared gradient norms [n, L]."""
    parameters = [p for p in exact.parameters() if p.requires_grad]
    nll, norms = [], []
    n = len(next(iter(inputs.values())))
    for i in range(n):
        values = [v[i : i + 1].double() if v.is_floating_point() else v[i : i + 1] for v in inputs.values()]
        loss = exact(*values)
        if loss.numel() != 1:
            raise ValueError(f"the loss of one example has the shape {tuple(loss.shape)}")
        gradients = torch.autograd.grad(loss.sum(), parameters, allow_unused=True)
        nll.append(loss.item())
        norms.append([0.0 if g is None else g.square().sum().item() for g in gradients])
    return nll, norms


def export_all(name, module, inputs, folder: pathlib.Path, outputs=("loss",)):
    """Writes folder/NAME.WAY.onnx, or NAME.WAY.failed with PyTorch's reason, for every way that has neither."""
    jobs = {"fixed": ("fixed",), "dynamic": ("dynamic", "unoptimised"), "torchscript": ("torchscript",)}
    for job, ways in jobs.items():
        if all((folder / f"{name}.{way}.{end}").exists() for way in ways for end in ("onnx",)) or all(
            (folder / f"{name}.{way}.failed").exists() for way in ways
        ):
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                {"fixed": fixed, "dynamic": dynamic, "torchscript": torchscript}[job](name, module, inputs, folder, list(outputs))
        except Exception as error:  # a way that PyTorch does not go is an answer too
            reason = f"{type(error).__name__}: {error}".strip()
            for way in ways:
                (folder / f"{name}.{way}.failed").write_text(reason)


def fixed(name, module, inputs, folder, outputs):
    values = tuple(v[:1] for v in inputs.values())
    program = torch.onnx.export(module, values, input_names=list(inputs), output_names=outputs, verbose=False)
    program.save(folder / f"{name}.fixed.onnx", external_data=False)


def dynamic(name, module, inputs, folder, outputs):
    """Both ways with a batch of any size: PyTorch's optimize=True is the file of optimize=False, optimised."""
    shapes = tuple({0: torch.export.Dim("n")} for _ in inputs)
    program = torch.onnx.export(
        module, tuple(inputs.values()), dynamic_shapes=shapes_of(module, shapes), optimize=False, input_names=list(inputs), output_names=outputs, verbose=False
    )
    program.save(folder / f"{name}.unoptimised.onnx", external_data=False)
    program.optimize()
    program.save(folder / f"{name}.dynamic.onnx", external_data=False)


def shapes_of(module, shapes):
    """As the parameters of forward: in a list of their own where they are *inputs."""
    kinds = [p.kind for p in inspect.signature(module.forward).parameters.values()]
    return (shapes,) if kinds[0] == inspect.Parameter.VAR_POSITIONAL else shapes


def torchscript(name, module, inputs, folder, outputs):
    axes = {key: {0: "n"} for key in [*inputs, *outputs]}
    path = folder / f"{name}.torchscript.onnx"
    torch.onnx.export(
        module, tuple(inputs.values()), str(path), dynamo=False, dynamic_axes=axes, input_names=list(inputs), output_names=outputs
    )
    onnx.load(path)
