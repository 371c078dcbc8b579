"""The small models through examples/pytorch/fisher_ood_export.py, by whatever PyTorch is installed; each checked with fisher-ood.

    npm run build && VENV/bin/python scripts/exporters/own.py FOLDER [--only REGEX]

Prints a line a model, and what remained: nothing, where all are exact. Runs with PyTorch 2.0 and later, so it says which versions do.
"""

import contextlib
import importlib
import io
import pathlib
import re
import sys
import traceback

import torch

import export as zoo_export
import matrix
import ways
import zoo

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "examples" / "pytorch"))
from fisher_ood_export import export

#: A model of each kind that exporters treat in a way of their own; all are small and older than PyTorch 2.0.
MODELS = r"""^(mlp_relu|vae_mlp|vae_conv_batchnorm|vae_bernoulli|conv_batchnorm|batchnorm1d|conv_groupnorm|conv_transpose|layernorm|layernorm_fresh|lstm_lm|
gru_lm|lstm_bidirectional|gpt_tied|transformer_causal_lm|transformer_encoder|multihead_attention|coupling_flow|spline_flow|maf|glow_plu|made_bernoulli|
pixelcnn|weight_norm|scalar_parameters|buffers_used|fourier_features|detach|straight_through|vq_vae|embedding_padding_seen|frozen_base|ddpm_unet|
chunk_split_unbind|tied_autoencoder|shared_layer|prelu|rotary_attention|einsum|interpolate)$""".replace("\n", "")


def main():
    args = ways.command_line(__doc__)
    for kind in zoo_export.KINDS:
        importlib.import_module(f"models_{kind}")
    found = {}
    for name in zoo.ZOO:
        if not re.search(args.only or MODELS, name):
            continue
        said = io.StringIO()
        try:
            module, inputs = zoo.build(name)
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
                export(module, str(args.folder / f"{name}.own"), **inputs)
            (args.folder / f"{name}.own.check.npz").replace(args.folder / f"{name}.check.npz")
            way = re.search(r"exported by (.*)", said.getvalue()).group(1)
            cell = matrix.check(args.folder, name, "own")
        except Exception as error:
            if args.fresh:
                traceback.print_exc()
            way, cell = "-", f"not exported: {' '.join(str(error).split())[-300:]}"
        found.setdefault(cell, []).append(name)
        print(f"{name}  {way}  {cell}", flush=True)
    print(f"PyTorch {torch.__version__}: {len(found.get('exact', []))} of {sum(map(len, found.values()))} exact")


if __name__ == "__main__":
    main()
