"""Exports the small models of models_*.py in every way, with right answers: FOLDER/NAME.WAY.onnx and FOLDER/NAME.check.npz.

    python3 -m venv VENV && VENV/bin/pip install -r scripts/exporters/requirements.txt
    VENV/bin/python scripts/exporters/export.py FOLDER [--only REGEX] [--fresh]

What is there already is kept, so a run that was stopped goes on; --fresh exports again. Then scripts/exporters/matrix.py.
"""

import importlib
import json
import re
import time

import torch

import ways
import zoo

KINDS = ("dense", "conv", "generative", "likelihood", "sequence", "hard")


def main():
    args = ways.command_line(__doc__)
    for kind in KINDS:
        importlib.import_module(f"models_{kind}")
    for name in zoo.ZOO:
        if not re.search(args.only, name):
            continue
        if args.fresh:
            for old in args.folder.glob(f"{name}.*"):
                old.unlink()
        start = time.monotonic()
        module, inputs = zoo.build(name)
        answers = args.folder / f"{name}.check.npz"
        if not answers.exists():
            try:
                ways.write_answers(answers, module, inputs)
            except Exception as error:
                print(f"{name}: {type(error).__name__}: {str(error)[:300]}", flush=True)
                continue
        if name in zoo.OPTIONS:
            (args.folder / f"{name}.options").write_text(json.dumps({"options": zoo.OPTIONS[name]}))
        ways.export_all(name, module, inputs, args.folder)
        failed = [path.suffixes[0][1:] for path in args.folder.glob(f"{name}.*.failed")]
        print(f"{name}  {time.monotonic() - start:.1f} s{'  not exported: ' + ', '.join(failed) if failed else ''}", flush=True)


if __name__ == "__main__":
    main()
