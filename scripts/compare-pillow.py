"""Pictures of every format and mode that is read, and what Pillow makes of them at several sizes: into the folder given, for compare-pillow.ts.

    python3 scripts/compare-pillow.py FOLDER COUNT SEED
"""

import json
import pathlib
import sys

import numpy as np
from PIL import Image, __version__

FILTERS = {
    "lanczos": Image.Resampling.LANCZOS,
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}
# (format, mode, options of the encoder)
KINDS = [
    ("png", "1", {}),
    ("png", "L", {}),
    ("png", "L", {"optimize": True}),
    ("png", "P", {}),
    ("png", "RGB", {}),
    ("png", "RGBA", {}),
    ("png", "LA", {}),
    ("jpg", "L", {"quality": 90}),
    ("jpg", "RGB", {"quality": 95, "subsampling": 0}),
    ("jpg", "RGB", {"quality": 80, "subsampling": 2}),
    ("jpg", "RGB", {"quality": 85, "progressive": True}),
    ("webp", "RGB", {"lossless": True}),
    ("webp", "RGB", {"quality": 80}),
]
TARGETS = [(32, 32), (28, 28), (64, 64), (17, 40), (1, 3), (97, 61)]


def main():
    folder, count, seed = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    random = np.random.default_rng(seed)
    index, resized, at = [], [], 0
    for i in range(count):
        kind, mode, options = KINDS[i % len(KINDS)]
        h, w = (int(d) for d in random.integers(1, 130, 2))
        # Hard edges, noise and slopes by turns: edges overshoot, so that clipping shows.
        shape = (h, w) if mode in ("1", "L", "LA") else (h, w, 3)
        slope = np.linspace(0, 255, w)[None, :] if len(shape) == 2 else np.linspace(0, 255, w)[None, :, None]
        pixels = (
            random.integers(0, 256, shape) if i % 3 == 0
            else random.integers(0, 2, shape) * 255 if i % 3 == 1
            else np.broadcast_to(slope, shape)
        ).astype(np.uint8)
        image = Image.fromarray(pixels)
        if mode in ("LA", "RGBA"):
            image.putalpha(255)
        elif mode == "P":
            image = image.quantize(64)
        else:
            image = image.convert(mode)
        name = f"{i}.{kind}"
        image.save(folder / name, **options)
        stored = Image.open(folder / name)
        plain = stored.convert("L" if stored.mode in ("1", "L", "LA") else "RGB")
        filter_name = list(FILTERS)[i // len(KINDS) % len(FILTERS)]
        for height, width in TARGETS:
            array = np.asarray(plain.resize((width, height), FILTERS[filter_name]))
            planes = array[None] if array.ndim == 2 else array.transpose(2, 0, 1)
            index.append({
                "file": name, "mode": mode, "from": [h, w], "to": [height, width], "filter": filter_name,
                "channels": len(planes), "at": at,
            })
            resized.append(planes.tobytes())
            at += planes.size
    (folder / "resized.bin").write_bytes(b"".join(resized))
    (folder / "index.json").write_text(json.dumps({"pillow": __version__, "cases": index}))


main()
