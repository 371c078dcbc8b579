"""Images resized by Pillow, as test/data/goldens/resample.jsonl: what src/data/resample.test.ts compares our own resampler with.

    python3 -m venv VENV && VENV/bin/pip install pillow==13.0.0 numpy==2.4.6
    VENV/bin/python scripts/make-resample-goldens.py
"""

import base64
import json
import pathlib

import numpy as np
from PIL import Image, __version__

FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
# (height, width) before and after: upwards, by odd factors, shrinking, one axis alone, both ways at once, to and from one pixel.
SIZES = [
    ((7, 9), (21, 13)),
    ((7, 9), (8, 10)),
    ((9, 7), (4, 3)),
    ((20, 23), (5, 7)),
    ((8, 8), (16, 8)),
    ((8, 8), (8, 3)),
    ((5, 12), (11, 4)),
    ((1, 1), (3, 2)),
    ((6, 5), (1, 1)),
    ((2, 3), (17, 11)),
    ((28, 28), (10, 12)),
    ((10, 10), (15, 15)),
    # Here Pillow begins with the columns, from version 13 on; the last is just short of it.
    ((6, 7), (2, 28)),
    ((31, 8), (12, 1)),
    ((16, 3), (12, 1)),
]


def pack(array):
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def main():
    random = np.random.default_rng(20)
    cases = []
    for (h, w), (height, width) in SIZES:
        # Noise and hard edges: both overshoot, so that clipping shows.
        pixels = np.where(random.random((h, w)) < 0.3, 255, random.integers(0, 256, (h, w))).astype(np.uint8)
        floats = (random.standard_normal((h, w)) * 10 ** random.uniform(-3, 4)).astype(np.float32)
        for name, resampling in FILTERS.items():
            of_bytes = np.asarray(Image.fromarray(pixels).resize((width, height), resampling))
            of_floats = np.asarray(Image.fromarray(floats).resize((width, height), resampling))
            cases.append({
                "filter": name,
                "from": [h, w],
                "to": [height, width],
                "bytes": pack(pixels) if name == "nearest" else None,
                "floats": pack(floats.astype("<f4")) if name == "nearest" else None,
                "resizedBytes": pack(of_bytes),
                "resizedFloats": pack(of_floats.astype("<f4")),
            })
    path = pathlib.Path(__file__).parent.parent / "test" / "data" / "goldens" / "resample.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps({key: value for key, value in case.items() if value is not None}) for case in cases]
    path.write_text("\n".join([json.dumps({"pillow": __version__}), *lines, ""]))


main()
