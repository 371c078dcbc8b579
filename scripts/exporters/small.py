"""Chooses the small files that run in the tests without Python: of every kind and way a few of the most telling, into test/onnx/exporters/zoo.

    python3 scripts/exporters/small.py MODELS PACKAGES

MODELS and PACKAGES are the folders of export.py and of packages.py and others.py, with the cells.json of matrix.py. Needs the package onnx.
"""

import argparse
import json
import pathlib
import re
import shutil

import matrix
import onnx

ROOT = pathlib.Path(__file__).resolve().parents[2]
TO = ROOT / "test" / "onnx" / "exporters" / "zoo"
#: Bytes of one file, and of all.
LARGEST, TOTAL = 30_000, 1_400_000
#: Models by what they are told apart by, and the ways that tell something of each.
CHOICE = {
    "what is a parameter": ("buffers_like_parameters buffers_used scalar_constants scalar_parameters ones_and_signs ranks_zero_to_five nested_containers", "dynamic torchscript"),
    "tied and shared": ("tied_transposed_layers tied_conv_transpose tied_square_linears tied_biases shared_block_thrice equal_layers_fresh clone_alias", "dynamic unoptimised torchscript"),
    "folded": ("weight_norm_old spectral_norm_old parametrizations_own lora_merged conv_batchnorm glow_plu maf low_rank planar_flow", "dynamic unoptimised torchscript"),
    "normalised": ("layernorm layernorm_fresh conv_groupnorm rmsnorm_by_hand batchnorm1d", "dynamic torchscript"),
    "recurrent": ("gru_cells_shared_start lstm_cell_loop gru_lm", "fixed unoptimised torchscript"),
    "attention": ("attention_bias_kv attention_masked_causal rotary_attention expanded_parameters", "dynamic torchscript"),
    "no gradient": ("detach straight_through unused_and_frozen frozen_base", "dynamic unoptimised"),
    "likelihoods": ("bce bernoulli_logits categorical mixture_of_logistics vae_mlp spline_flow", "unoptimised"),
    "others": ("flax_mlp flax_depthwise_groupnorm flax_coupling_flow flax_stop_gradient nnx_mlp jax_plain_vae jax_learned_temperature jax_masked_scan "
               "keras_batchnorm keras_conv_batchnorm keras_gru_lm keras_tied_lm keras_coupling_flow keras_stop_gradient", "usual own"),
    "packages": ("zuko_maf nflows_maf freia_glow_coupling", "unoptimised own"),
}  # fmt: skip


def copy(path: pathlib.Path) -> None:
    """Into the folder, without the exporter's stack traces, which name places of the machine that it ran on."""
    model = onnx.load(path)
    for graph in [model.graph, *model.functions]:
        for holder in [graph, *graph.node, *graph.value_info, *getattr(graph, "initializer", [])]:
            for trace in [p for p in holder.metadata_props if p.key.endswith("stack_trace")]:
                holder.metadata_props.remove(trace)
    onnx.save(model, TO / path.name)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=pathlib.Path, nargs=2)
    args = parser.parse_args()
    shutil.rmtree(TO, ignore_errors=True)
    TO.mkdir(parents=True)
    table, total = [], 0
    for kind, (names, ways) in CHOICE.items():
        for name in names.split():
            folder = next(f for f in args.folders if (f / f"{name}.check.npz").exists())
            cells = json.loads((folder / "cells.json").read_text())
            about = folder / f"{name}.options"
            options = json.loads(about.read_text())["options"] if about.exists() else []
            taken = []
            for way in ways.split():
                path = folder / f"{name}.{way}.onnx"
                cell = cells.get(f"{name}.{way}", "–")
                if not path.exists() or path.stat().st_size > LARGEST or cell.startswith("WRONG"):
                    continue
                taken.append((way, cell))
                copy(path)
                total += (TO / path.name).stat().st_size
                table.append({"kind": kind, "model": name, "way": way, "says": matrix.short(cell), "options": [] if way == "own" else options})
            if taken:
                shutil.copy(folder / f"{name}.check.npz", TO)
                total += (TO / f"{name}.check.npz").stat().st_size
    if total > TOTAL:
        raise SystemExit(f"{total} bytes, expected at most {TOTAL}")
    text = json.dumps(table, ensure_ascii=False, indent=1)
    (TO / "table.json").write_text(re.sub(r"\n  +(?=\")|\n (?=\})", " ", text) + "\n")
    print(f"{len(table)} files of {len({row['model'] for row in table})} models, {total} bytes")


if __name__ == "__main__":
    main()
