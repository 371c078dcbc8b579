"""Small files of every format as other tools write them, and what those read from them: test/data/formats/, which test/data/formats.test.ts reads.

    python3 -m venv VENV && VENV/bin/pip install pillow==13.0.0 numpy==2.4.6
    VENV/bin/python scripts/make-format-goldens.py
"""

import base64
import json
import pathlib
import shutil

import numpy as np
from PIL import Image

OUT = pathlib.Path(__file__).parent.parent / "test" / "data" / "formats"
random = np.random.default_rng(18)
cases = []


def case(spec, values, **options):
    """`spec` as a DATA argument within the folder, and the examples [n, …] under 'x' that it holds."""
    array = np.ascontiguousarray(values, np.float32)
    cases.append({
        "spec": spec,
        "options": options,
        "shape": list(array.shape),
        "values": base64.b64encode(array.astype("<f4").tobytes()).decode(),
    })


def noise(*shape):
    return random.integers(0, 256, shape).astype(np.uint8)


def planes(image):
    """A picture [h, w] or [h, w, 3] as [c, h, w]."""
    array = np.asarray(image)
    return array[None] if array.ndim == 2 else array.transpose(2, 0, 1)


def folder(name, files):
    path = OUT / name
    path.mkdir()
    for file, write in files.items():
        write(path / file)


# Transparent pictures on a background, which Pillow puts them on by `paste` with their alpha as the mask.
def on(image, colour):
    rgba = image.convert("RGBA")
    ground = Image.new("RGB", image.size, colour)
    ground.paste(rgba.convert("RGB"), mask=rgba.getchannel("A"))
    return ground


def transparency():
    la = Image.merge("LA", [Image.fromarray(noise(6, 7)) for _ in range(2)])
    rgba = Image.merge("RGBA", [Image.fromarray(noise(6, 7)) for _ in range(4)])
    paletted = Image.fromarray(noise(6, 7, 3)).quantize(8)
    pictures = {
        "la": lambda path: la.save(path / "a.png"),
        "rgba": lambda path: rgba.save(path / "a.png"),
        "webp": lambda path: rgba.save(path / "a.webp", lossless=True, exact=True),
        "palette": lambda path: paletted.save(path / "a.png", transparency=3),
        "colour": lambda path: Image.fromarray(noise(6, 7, 3) // 128 * 255).save(path / "a.png", transparency=(255, 0, 255)),
        "grey-colour": lambda path: Image.fromarray(noise(6, 7) // 64 * 80).save(path / "a.png", transparency=160),
    }
    for name, write in pictures.items():
        path = OUT / f"alpha-{name}"
        path.mkdir()
        write(path)
        [file] = path.iterdir()
        grey = name in ("la", "grey-colour")
        grounds = {"white": (255, 255, 255), "black": (0, 0, 0), "100": (100, 100, 100), "#336699": (0x33, 0x66, 0x99)}
        for text, colour in grounds.items():
            if grey and text.startswith("#"):
                continue
            composed = on(Image.open(file), colour)
            case(f"alpha-{name}", planes(composed.convert("L") if grey else composed)[None], background=text)


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    transparency()
    lines = ",\n".join(json.dumps(one) for one in cases)
    (OUT / "cases.json").write_text(f"[\n{lines}\n]\n")


main()
