"""Runs fisher-ood check over what export.py wrote, and prints a matrix of model and way; --write puts it into docs/exporters.md.

    npm run build && python scripts/exporters/matrix.py FOLDER [--packages] [--only REGEX] [--write]

With --packages: over what packages.py and others.py wrote, into the page's other matrix.

Needs Python alone. A cell is one of
    exact            every parameter under its name, every norm and loss as PyTorch's in float64, to float32's rounding
    exact, k folded  the same, but k parameters are not in the file; fisher-ood names them
    exact, k lost    the same, but fisher-ood cannot know of the k: the file says nothing of them
    …, k unsure      tensors that are no parameters, taken as some, of which fisher-ood says that it is not sure
    …, k renamed     every norm is right, k of them under names that the exporter made
    refused          fisher-ood takes none of it, and says why
    another loss     the loss itself is not PyTorch's, so no norm can be: the exporter has written another model
    WRONG            a number that is not PyTorch's, or a layer that is no parameter
    –                PyTorch does not export it so
"""

import argparse
import collections
import json
import os
import pathlib
import re
import subprocess

WAYS = ("fixed", "dynamic", "unoptimised", "torchscript")
PACKAGE_WAYS = (*WAYS, "usual", "own")
ROOT = pathlib.Path(__file__).resolve().parents[2]
DOC = ROOT / "docs" / "exporters.md"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--only", default="", help="models whose names match")
    parser.add_argument("--packages", action="store_true", help="the folder is that of packages.py and others.py")
    parser.add_argument("--write", action="store_true", help="put the matrix into docs/exporters.md")
    parser.add_argument("--again", default="", help="check again only cells that match, such as WRONG; take the others from the last run")
    args = parser.parse_args()
    kept_path = args.folder / "cells.json"
    kept = json.loads(kept_path.read_text()) if kept_path.exists() else {}
    names = sorted(path.name.removesuffix(".check.npz") for path in args.folder.glob("*.check.npz") if not path.name.endswith(".own.check.npz"))
    cells = {}
    ways = PACKAGE_WAYS if args.packages else WAYS
    for name in names:
        for way in ways:
            old = kept.get(f"{name}.{way}")
            skip = not re.search(args.only, name) or (args.again and old is not None and not re.search(args.again, old))
            cell = old if skip else check(args.folder, name, way)
            if cell is None:
                continue
            cells[f"{name}.{way}"] = cell
            if not skip:
                print(f"{name}  {way}  {cell}", flush=True)
        kept_path.write_text(json.dumps({**kept, **cells}, indent=0))
    matrix = package_matrix(args.folder, names, cells) if args.packages else markdown(names, cells)
    print(matrix)
    if args.write:
        kind = "packages" if args.packages else "models"
        start, end = f"<!-- {kind}: written by scripts/exporters/matrix.py -->", f"<!-- end of {kind} -->"
        before, rest = DOC.read_text().split(start)
        DOC.write_text(f"{before}{start}\n\n{matrix}\n{end}{rest.split(end)[1]}")


class Commands:
    """fisher-ood's command line, many times in one process; a new one where it ends before its time."""

    def __init__(self):
        self.process = None

    def run(self, *args):
        """(exit code, standard output, standard error)"""
        if self.process is None or self.process.poll() is not None:
            command = ["node", str(ROOT / "scripts" / "exporters" / "commands.mjs")]
            env = {**os.environ, "FISHER_OOD_CACHE": ""}  # no graphs kept: every file is read once
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env)
        self.process.stdin.write(json.dumps([str(arg) for arg in args]) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            return self.process.wait(), "", "fisher-ood ended without a word"
        found = json.loads(line)
        return found["code"], found["out"], found["err"]


COMMANDS = Commands()


def check(folder, name, way):
    """The cell of a file; None where export.py has not been there yet. A file of the examples' exporters needs no options."""
    path = folder / f"{name}.{way}.onnx"
    if not path.exists():
        return "–" if (folder / f"{name}.{way}.failed").exists() else None
    about = folder / f"{name}.options"
    more = json.loads(about.read_text())["options"] if way != "own" and about.exists() else []
    _, out, err = COMMANDS.run("check", path, folder / f"{name}.check.npz", "--json", *more)
    if not out.strip():
        return f"refused: {reason(err, path)}"
    return verdict(json.loads(out.strip().splitlines()[-1]))


def verdict(found):
    layers = collections.defaultdict(list)
    for layer in found["layers"]:
        layers[layer["verdict"]].append(layer["name"])
    folded, unsure = set(found["folded"]), set(found["unsure"])
    if found["nllError"] is None:
        return "another loss, not finite"
    if found["nllError"] > 1e-3:
        return f"another loss, by {found['nllError']:.0e}"
    wrong = [f"{layer} differs" for layer in layers["differs"]]
    wrong += [f"{layer} is no parameter" for layer in layers["extra"] if layer not in unsure]
    if wrong:
        return f"WRONG: {some(wrong)}"
    parts = {
        "folded": [m for m in layers["missing"] if m in folded],
        "lost": [m for m in layers["missing"] if m not in folded],
        "unsure": layers["extra"],
        "renamed": layers["renamed"],
    }
    return ", ".join(["exact", *(f"{len(names)} {what} ({some(names)})" for what, names in parts.items() if names)])


def some(names, most=6):
    return ", ".join(names[:most]) + (f", … {len(names) - most} more" if len(names) > most else "")


def reason(stderr, path):
    lines = [line for line in stderr.splitlines() if line.strip() and "onnxruntime" not in line]
    text = " ".join(lines).replace(f"{path}: ", "").replace(str(path), "the file").removeprefix("fisher-ood: ")
    return text[:200] or "nothing was said"


def kind(cell):
    return "another loss" if cell.startswith("another") else "WRONG" if cell.startswith("WRONG") else "refused" if cell.startswith("refused") else (
        "–" if cell == "–" else "exact, lost" if re.search(r"\d (lost|unsure) ", cell) else "exact, folded" if re.search(r"\d folded ", cell) else "exact")


def markdown(names, cells):
    """Counts, then a line a model, then notes: what stands behind a cell that is not simply exact."""
    rows = [[name, *(cells.get(f"{name}.{way}", "") for way in WAYS)] for name in names]
    kinds = ("exact", "exact, folded", "exact, lost", "refused", "another loss", "WRONG", "–")
    counts = {way: collections.Counter(kind(row[1 + i]) for row in rows if row[1 + i]) for i, way in enumerate(WAYS)}
    lines = [f"| of {len(names)} models | {' | '.join(kinds[:-1])} | not exported by PyTorch |", f"|{' --- |' * 8}"]
    lines += [f"| {way} | {' | '.join(str(counts[way][k]) for k in kinds)} |" for way in WAYS]
    lines += ["", f"| model | {' | '.join(WAYS)} |", f"|{' --- |' * 5}"]
    notes = []
    for name, *row in rows:
        lines.append(f"| {name} | {' | '.join(short(cell) for cell in row)} |")
        said = {}
        for way, cell in zip(WAYS, row):
            if kind(cell) not in ("exact", "–") and cell:
                said.setdefault(cell, []).append(way)
        notes += [f"- {name}, {' and '.join(ways)}: {escaped(cell)}" for cell, ways in said.items()]
    return "\n".join([*lines, "", *notes, ""])


def package_matrix(folder, names, cells):
    """A line a model: whose it is, what to type after check, and what each export gives."""
    lines = ["| model | package | options | export | fisher-ood says |", f"|{' --- |' * 5}"]
    for name in names:
        about = json.loads((folder / f"{name}.options").read_text())
        options = " ".join(about["options"])
        said = {}
        for way in PACKAGE_WAYS:
            cell = cells.get(f"{name}.{way}")
            if cell:
                said.setdefault("PyTorch does not export it" if cell == "–" else cell, []).append(way)
        for cell, ways in said.items():
            lines.append(f"| {name} | {about['package']} | {f'`{options}`' if options else ''} | {', '.join(ways)} | {escaped(cell)} |")
    return "\n".join([*lines, ""])


def short(cell):
    """Without names and reasons."""
    return re.sub(r" \([^)]*\)", "", cell) if cell.startswith("exact") else cell.split(":")[0]


def escaped(text):
    return text.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    main()
