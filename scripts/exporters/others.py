"""Tiny models of JAX (flax, plain functions) and Keras, exported as their users export them and by the examples' exporters, with right answers.

    python3 -m venv VENV2 && VENV2/bin/pip install -r scripts/exporters/requirements-others.txt
    VENV2/bin/python scripts/exporters/others.py FOLDER [--only REGEX]

Writes FOLDER/NAME.usual.onnx, FOLDER/NAME.own.onnx, FOLDER/NAME.check.npz and FOLDER/NAME.options, as packages.py does. Usual: jax2onnx with
the parameters as constants, model.export(format="onnx"). Own: examples/jax/fisher_ood_export.py and examples/keras/fisher_ood_export.py, the
latter by tf2onnx; what they write beside the file is held to the answers here, which are made apart.
"""

import argparse
import importlib.util
import json
import os
import pathlib
import re

os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", KERAS_BACKEND="tensorflow", CUDA_VISIBLE_DEVICES="-1", JAX_PLATFORMS="cpu")

import numpy as np

RNG = np.random.default_rng(7)
#: By name: (package, options for the usual file, function of name and folder).
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


def exporter(kind):
    """The one-file exporter of examples/KIND."""
    path = pathlib.Path(__file__).resolve().parents[2] / "examples" / kind / "fisher_ood_export.py"
    spec = importlib.util.spec_from_file_location(f"fisher_ood_export_{kind}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.export


def compare_answers(folder, name):
    """What the exporter wrote beside its file says what is said here."""
    here, there = (np.load(folder / f"{name}.{end}") for end in ("check.npz", "own.check.npz"))
    order = [list(there["names"]).index(key) for key in here["names"]]
    np.testing.assert_allclose(there["nll"], here["nll"], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(there["sqnorm"][:, order], here["sqnorm"], rtol=1e-6, atol=1e-9)
    assert len(order) == len(there["names"])


def attempt(path, work):
    """Runs `work`, which writes `path`; else says beside it why it did not."""
    failed = path.with_suffix(".failed")
    failed.unlink(missing_ok=True)
    try:
        work()
    except Exception as error:
        path.unlink(missing_ok=True)
        failed.write_text(f"{type(error).__name__}: {error}")
        print(f"{path.name}: {type(error).__name__}: {str(error)[:400]}", flush=True)


def main():
    import others_jax
    import others_keras

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--only", default="", help="models whose names match")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    registered = {**others_jax.OTHERS, **others_keras.OTHERS}
    for name, (pip, options, function) in registered.items():
        if not re.search(args.only, name):
            continue
        (args.folder / f"{name}.options").write_text(json.dumps({"package": pip, "options": options}))
        function(name, args.folder)
        print(name, flush=True)


if __name__ == "__main__":
    main()
