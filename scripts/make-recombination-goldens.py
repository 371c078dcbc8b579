"""Examples recombined by NumPy, as test/data/goldens/recombinations.jsonl: what src/data/recombine.test.ts compares our own with.

    python3 -m venv VENV && VENV/bin/pip install numpy==2.4.6
    VENV/bin/python scripts/make-recombination-goldens.py

Every kind is written for an example whose spatial axes, all longer than 1, are the last ones; channels come before.
"""

import itertools
import json
import pathlib

import numpy as np

# Shape, spatial axes, what the values are. Odd sizes, shorter than the grid, of 1; one, two and three axes; channels last.
CASES = [
    ((1, 8, 8), (1, 2), "pixels"),
    ((3, 7, 5), (1, 2), "pixels"),
    ((6, 5, 3), (0, 1), "pixels"),
    ((2, 5, 9), (1, 2), "floats"),
    ((2, 3, 2), (1, 2), "floats"),
    ((3, 9, 1), (1,), "floats"),
    ((2, 4, 3, 2), (1, 2, 3), "floats"),
    ((11, 2), (0,), "floats"),
    ((13,), (0,), "floats"),
    ((2,), (0,), "floats"),
    ((21,), (0,), "tokens"),
    ((16,), (0,), "tokens"),
    ((5,), (0,), "tokens"),
]


def splice(inputs, n, drawn, case):
    a, b = (np.array_split(x, 2, axis=-1) for x in inputs[:2])  # the first part is the longer one
    return np.concatenate([a[0], b[1]], axis=-1)


def grid_of(n, case):
    return 8 if case["type"] == "tokens" else 4


def swap(inputs, n, drawn, case):
    blocks = grid_of(n, case)
    mask = np.array(drawn).reshape([blocks] * n)
    for axis in range(n):
        size = inputs[0].shape[axis - n]
        mask = np.take(mask, np.arange(size) * blocks // size, axis=axis)
    return np.where(mask == 0, inputs[0], inputs[1])


def permute(inputs, n, drawn, case):
    out = inputs[0].copy()
    sizes = out.shape[-n:]
    counts = [min(grid_of(n, case), s) for s in sizes]
    slices = []
    for block in itertools.product(*map(range, counts)):
        lengths = [s // c for s, c in zip(sizes, counts)]
        slices.append((..., *(slice(b * l, (b + 1) * l) for b, l in zip(block, lengths))))
    for to, source in enumerate(drawn):
        out[slices[to]] = inputs[0][slices[source]]
    return out


def halve(x, n):
    pads = [(0, 0)] * (x.ndim - n) + [(0, s % 2) for s in x.shape[-n:]]
    x = np.pad(x, pads, mode="edge")
    for axis in range(-n, 0):
        shape = list(x.shape)
        at = x.ndim + axis
        x = x.reshape(*shape[:at], shape[at] // 2, 2, *shape[at + 1:]).mean(axis=at + 1)
    return x


def tile(inputs, n, drawn, case):
    parts = [halve(x, n) for x in inputs[: 2**n]]
    for axis in range(-1, -n - 1, -1):
        parts = [np.concatenate(two, axis=axis) for two in zip(parts[::2], parts[1::2])]
    return parts[0][(..., *(slice(0, s) for s in inputs[0].shape[-n:]))]


def cutout(inputs, n, drawn, case):
    out = inputs[0].copy()
    *starts, part = drawn
    low, high = case["bounds"]
    where = (slice(int(at), int(at) + s // 2) for at, s in zip(starts, out.shape[-n:]))
    out[(..., *where)] = low + part * (high - low)
    return out


def noise(inputs, n, drawn, case):
    low, high = case["bounds"]
    return inputs[0] + 0.08 * (high - low) * np.moveaxis(np.array(drawn).reshape(case["shape"]), *case["moves"])


def blur(inputs, n, drawn, case):
    x = inputs[0]
    for _ in range(2):
        padded = np.pad(x, [(0, 0)] * (x.ndim - n) + [(1, 1)] * n, mode="edge")
        shifts = itertools.product(range(3), repeat=n)
        x = sum(padded[(..., *(slice(d, d + s) for d, s in zip(shift, x.shape[-n:])))] for shift in shifts) / 3**n
    return x


def sharpen(inputs, n, drawn, case):
    return 2 * inputs[0] - blur(inputs, n, drawn, case)


def contrast(factor):
    def by(inputs, n, drawn, case):
        mean = inputs[0].mean()
        return mean + factor * (inputs[0] - mean)

    return by


def zoom(inputs, n, drawn, case):
    x = inputs[0]
    for axis in range(-n, 0):
        size = x.shape[axis]
        centre = (size - 1) / 2
        at = centre + (np.arange(size) - centre) / 2
        x = np.apply_along_axis(lambda line: np.interp(at, np.arange(size), line), axis, x)
    return x


MOVING = {"splice": splice, "swap": swap, "permute": permute}
MAKING = {
    "tile": tile,
    "cutout": cutout,
    "noise": noise,
    "blur": blur,
    "sharpen": sharpen,
    "low-contrast": contrast(0.5),
    "high-contrast": contrast(1.8),
    "zoom": zoom,
}


def draw(kind, sizes, case, random):
    blocks = grid_of(len(sizes), case)
    if kind == "swap":
        return random.integers(0, 2, blocks ** len(sizes)).tolist()
    if kind == "permute":
        return random.permutation(np.prod([min(blocks, s) for s in sizes])).tolist()
    if kind == "cutout":
        return [*(int(random.integers(0, s - s // 2 + 1)) for s in sizes), round(random.random(), 4)]
    if kind == "noise":
        return np.round(random.standard_normal(int(np.prod(case["shape"]))), 3).tolist()
    return []


def main():
    random = np.random.default_rng(19)
    lines = []
    for shape, axes, kind_of_values in CASES:
        n = len(axes)
        if kind_of_values == "floats":
            values = np.round(random.standard_normal((2**n, *shape)) * 3, 2).astype(np.float32)
        else:
            values = random.integers(0, 256 if kind_of_values == "pixels" else 1000, (2**n if n > 1 else 2, *shape))
        # Narrow bounds for floats, so that they show.
        bounds = [0, 255] if kind_of_values == "pixels" else [-5, 5.5]
        # Channels of size 1 behind the axes, and channels last, go to the front.
        order = [a for a in range(len(shape)) if a not in axes]
        moves = (order, list(range(len(order))))
        case = {"shape": list(shape), "type": kind_of_values, "bounds": bounds, "moves": moves}
        inputs = [np.moveaxis(x.astype(np.float64), *moves) for x in values]
        made = {}
        for kind, recombine in (MOVING if kind_of_values == "tokens" else MOVING | MAKING).items():
            drawn = draw(kind, [shape[a] for a in axes], case, random)
            out = recombine(inputs, n, drawn, case)
            if kind in MAKING:
                out = np.clip(np.floor(out + 0.5) if kind_of_values == "pixels" else out, *bounds)
            out = np.moveaxis(out, *reversed(moves)).astype(np.float32)
            made[kind] = {"drawn": drawn, "out": [float(f"{v:.9g}") if v % 1 else int(v) for v in out.ravel().tolist()]}
        lines.append(json.dumps({
            "shape": list(shape),
            "type": kind_of_values,
            "bounds": bounds,
            "inputs": [[float(f"{v:.9g}") if v % 1 else int(v) for v in x.ravel().tolist()] for x in values],
            "made": made,
        }))
    path = pathlib.Path(__file__).parent.parent / "test" / "data" / "goldens" / "recombinations.jsonl"
    path.write_text("\n".join([json.dumps({"numpy": np.__version__}), *lines, ""]))


main()
