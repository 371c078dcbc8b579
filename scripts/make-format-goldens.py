"""Small files of every format as other tools write them, and what those read from them: test/data/formats/, which test/data/formats.test.ts reads.

    python3 -m venv VENV && VENV/bin/pip install pillow==13.0.0 numpy==2.4.6 scipy pyarrow==26.0.1 duckdb==2.0.1 soundfile==0.14.0
    VENV/bin/python scripts/make-format-goldens.py
"""

import base64
import datetime
import gzip
import io
import json
import pathlib
import shutil
import tarfile

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import scipy.io
import soundfile as sf
from PIL import Image

OUT = pathlib.Path(__file__).parent.parent / "test" / "data" / "formats"
random = np.random.default_rng(18)
cases = []
refused = []


def case(spec, values, ids=None, within=0, **options):
    """`spec` as a DATA argument within the folder, and the examples [n, …] under 'x' that it holds; `ids` are what they are called."""
    array = np.ascontiguousarray(values, np.float32)
    cases.append({
        "spec": spec,
        "options": options,
        "shape": list(array.shape),
        "values": base64.b64encode(array.astype("<f4").tobytes()).decode(),
        **({} if ids is None else {"ids": ids}),
        **({} if within == 0 else {"within": within}),
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


def many_types():
    """NPY of every type; and big-endian, and in Fortran order."""
    for dtype in ("float16", "int8", "int16", "uint16", "bool", "uint32", "uint64", "int64", ">f2", ">i2", ">u4"):
        values = (random.standard_normal((5, 6)) * 50).astype(np.float64)
        array = (values > 0) if dtype == "bool" else np.abs(values).astype(dtype) if "u" in dtype else values.astype(dtype)
        name = f"type-{array.dtype.name}{'-swapped' if dtype[0] == '>' else ''}.npy"
        np.save(OUT / name, np.asfortranarray(array) if dtype == "int16" else array)
        case(name, array)


def choice():
    """One of several arrays, variables and columns."""
    train, test = noise(3, 1, 4, 5), noise(2, 1, 4, 5)
    np.savez(OUT / "keras.npz", x_train=train, y_train=np.arange(3), x_test=test, y_test=np.arange(2))
    case("keras.npz:x_test", test)
    case("keras.npz:x_train[1:]", train[1:])
    case("keras.npz", test, column="x_test")

    grey, colour = noise(4, 6, 5), noise(4, 6, 5, 3)
    bits = grey > 127
    vectors = random.standard_normal((5, 3))
    scipy.io.savemat(OUT / "several.mat", {
        "svhn": colour.transpose(1, 2, 3, 0),
        "bits": bits[:, :5, :5],
        "grey": grey[:, :5, :5].transpose(1, 2, 0),
        "vectors": vectors,
        "whole": np.round(vectors * 20),
        "single": vectors.astype(np.float32),
        "y": np.arange(4),
    }, do_compression=True)
    case("several.mat:svhn", colour.transpose(0, 3, 1, 2))
    case("several.mat", colour.transpose(0, 3, 1, 2))
    case("several.mat:bits", bits[:, None, :5, :5])
    case("several.mat:grey", grey[:, None, :5, :5])
    case("several.mat:vectors", vectors)
    case("several.mat:whole", np.round(vectors * 20))
    case("several.mat", vectors.astype(np.float32), column="single")
    scipy.io.savemat(OUT / "alone.mat", {"x": vectors, "y": np.arange(5)})
    case("alone.mat", vectors)


def png(array):
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return file.getvalue()


def parquet():
    """As pyarrow and DuckDB write them: encodings, versions of pages, codecs, columns of every kind."""
    pictures = noise(40, 4, 5)
    encoded = [png(picture) for picture in pictures]
    expected = pictures[:, None]
    pq.write_table(pa.table({"image": pa.array(encoded, pa.binary())}), OUT / "binary.parquet")
    case("binary.parquet", expected)
    pq.write_table(pa.table({"photo": encoded, "name": [f"p{i}" for i in range(40)]}), OUT / "photo.parquet")
    case("photo.parquet", expected, id="name", ids=[f"p{i}" for i in range(40)])
    hub = [{"bytes": one, "path": f"{i}.png"} for i, one in enumerate(encoded)]
    pq.write_table(pa.table({"scan": hub, "label": list(range(40))}), OUT / "struct.parquet", row_group_size=7)
    case("struct.parquet", expected, id="label", ids=[str(i) for i in range(40)])
    case("struct.parquet[3:9]", expected[3:9], id="scan.path", ids=[f"{i}.png" for i in range(3, 9)])
    for encoding in ("PLAIN", "DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"):
        for version in ("1.0", "2.0"):
            name = f"{encoding}-{version[0]}.parquet"
            pq.write_table(
                pa.table({"image": encoded}), OUT / name, use_dictionary=False, column_encoding=encoding,
                data_page_version=version, compression="zstd", data_page_size=600,
            )
            case(name, expected)
    same = [{"bytes": encoded[0], "path": None}] * 5000
    pq.write_table(pa.table({"image": same}), OUT / "equal.parquet")
    case("equal.parquet[4990:]", np.repeat(expected[:1], 10, axis=0))
    duck = duckdb.connect()
    rows = pa.table({"image": encoded})  # DuckDB finds it by its name
    duck.execute(f"COPY (SELECT * FROM rows) TO '{OUT / 'duckdb.parquet'}' (FORMAT parquet, PARQUET_VERSION v2)")
    case("duckdb.parquet", expected)

    floats = random.standard_normal((30, 6)).astype(np.float32)
    grids = noise(30, 3, 4)
    whole = random.integers(-1000, 1000, (30, 6))
    columns = {
        "floats": pa.array(list(floats)),
        "doubles": pa.array(list(floats.astype(np.float64))),
        "fixed": pa.FixedSizeListArray.from_arrays(pa.array(floats.ravel()), 6),
        "halves": pa.array(list(floats.astype(np.float16))),
        "bytes": pa.array([list(map(list, grid)) for grid in grids], pa.list_(pa.list_(pa.uint8()))),
        "whole": pa.array([list(map(int, row)) for row in whole], pa.list_(pa.int32())),
        "a": pa.array(floats[:, 0]),
        "b": pa.array(whole[:, 1], pa.int16()),
        "flag": pa.array([bool(i % 3) for i in range(30)]),
        "row": pa.array([f"row {i}" for i in range(30)]),
    }
    table = pa.table(columns)
    written = {
        "lists.parquet": dict(row_group_size=11),
        "lists-v2.parquet": dict(data_page_version="2.0", use_dictionary=False, data_page_size=100, compression="gzip"),
        "lists-delta.parquet": dict(
            use_dictionary=False,
            column_encoding={
                **{f"{name}.list.element": "BYTE_STREAM_SPLIT" for name in ("floats", "doubles", "fixed", "halves")},
                "bytes.list.element.list.element": "DELTA_BINARY_PACKED",
                "whole.list.element": "DELTA_BINARY_PACKED",
                "a": "BYTE_STREAM_SPLIT",
                "b": "DELTA_BINARY_PACKED",
                "flag": "RLE",
                "row": "DELTA_BYTE_ARRAY",
            },
        ),
    }
    for name, options in written.items():
        pq.write_table(table, OUT / name, **options)
        for column in ("floats", "doubles", "fixed"):
            case(f"{name}:{column}", floats)
        case(f"{name}:halves", floats.astype(np.float16))
        case(f"{name}:bytes", grids)
        case(f"{name}:whole", whole)
        case(name, np.stack([floats[:, 0], whole[:, 1].astype(np.float32), np.arange(30) % 3 > 0], 1), column="a,b,flag", id="row", ids=[f"row {i}" for i in range(30)])
    rows = table.select(["floats", "whole", "a", "row"])
    duck.execute(f"COPY (SELECT * FROM rows) TO '{OUT / 'duckdb-lists.parquet'}' (FORMAT parquet, PARQUET_VERSION v2)")
    case("duckdb-lists.parquet:floats", floats)
    case("duckdb-lists.parquet:whole", whole)
    case("duckdb-lists.parquet:a", floats[:, :1])
    pq.write_table(pa.table({"a": floats[:, 0], "b": floats[:, 1]}), OUT / "numbers.parquet")
    case("numbers.parquet", floats[:, :2])


def tables():
    """CSV as pandas, spreadsheets and others write it; JSON lines."""
    floats = np.round(random.standard_normal((12, 3)), 4)
    rows = [",".join(map(str, row)) for row in floats]
    (OUT / "bare.csv").write_text("\n".join(rows) + "\n")
    case("bare.csv", floats)
    (OUT / "named.csv").write_bytes(b"\xef\xbb\xbfa,b,c\r\n" + "\r\n".join(rows).encode())
    case("named.csv", floats)
    case("named.csv:b", floats[:, 1:2])
    case("named.csv", floats[:, [2, 0]], column="c,a")
    (OUT / "quoted.csv").write_text('id,"first, value",b\n' + "".join(f'"n {i}",{a},{b}\n' for i, (a, b, _) in enumerate(floats)))
    case("quoted.csv", floats[:, :2], id="id", ids=[f"n {i}" for i in range(12)])
    case("quoted.csv", floats[:, :1], column="first, value")
    (OUT / "tabs.tsv").write_text("a\tb\n" + "".join(f"{a:e}\t{b}\n" for a, b, _ in floats))
    case("tabs.tsv", floats[:, :2])
    (OUT / "semicolons.csv").write_text("a;b\n" + "".join(f"{a};{b}\n" for a, b, _ in floats))
    case("semicolons.csv", floats[:, :2])
    (OUT / "lists.jsonl").write_text("".join(json.dumps({"x": list(row), "k": f"r{i}"}) + "\n" for i, row in enumerate(floats)))
    case("lists.jsonl:x", floats)
    case("lists.jsonl", floats, column="x", id="k", ids=[f"r{i}" for i in range(12)])
    (OUT / "bare.jsonl").write_text("".join(json.dumps([[a, b], [b, c]]) + "\n" for a, b, c in floats.tolist()))
    case("bare.jsonl", np.stack([floats[:, [0, 1]], floats[:, [1, 2]]], 1))
    (OUT / "scalars.jsonl").write_text("".join(json.dumps({"a": a, "b": b}) + "\n" for a, b, _ in floats.tolist()))
    case("scalars.jsonl", floats[:, :2])
    texts = ["Ein Satz über Öl, ".encode() * 5, b"another line " * 9, b"end" * 20]
    joined = np.frombuffer(b"\n".join(texts), np.uint8)
    windows = joined[: len(joined) // 128 * 128].reshape(-1, 128)
    (OUT / "text.jsonl").write_text("".join(json.dumps({"text": t.decode(), "k": 1}) + "\n" for t in texts))
    case("text.jsonl:text", windows)
    (OUT / "text.csv").write_text("text\n" + "".join(f'"{t.decode()}"\n' for t in texts))
    case("text.csv", windows)
    pq.write_table(pa.table({"text": [t.decode() for t in texts], "k": [1, 2, 3]}), OUT / "text.parquet")
    case("text.parquet", windows)


def shards():
    """One set in several files."""
    pictures = noise(23, 4, 5)
    parts = [pictures[:9], pictures[9:12], pictures[12:]]
    names = ("train-00002-of-00011", "train-00009-of-00011", "train-00010-of-00011")
    for kind in ("parquet", "npy", "idx", "tar", "csv"):
        path = OUT / f"shards-{kind}"
        path.mkdir()
        for k, (name, part) in enumerate(zip(("part-2", "part-9", "part-10") if kind != "parquet" else names, parts)):
            file = path / f"{name}.{kind}"
            if kind == "parquet":
                hub = [{"bytes": png(one), "path": f"{k}/{i}.png"} for i, one in enumerate(part)]
                pq.write_table(pa.table({"image": hub}), file, row_group_size=4)
            elif kind == "npy":
                np.save(file, part[:, None])
            elif kind == "idx":
                file = path / f"{name}-images-idx3-ubyte"
                file.write_bytes(bytes([0, 0, 8, 3]) + np.array(part.shape, ">u4").tobytes() + part.tobytes())
                labels = path / f"{name}-labels-idx1-ubyte"
                labels.write_bytes(bytes([0, 0, 8, 1]) + np.array(part.shape[:1], ">u4").tobytes() + bytes(len(part)))
            elif kind == "tar":
                with tarfile.open(file, "w", format=(tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT)[k]) as out:
                    for i, one in enumerate(part):
                        for ending, content in (("png", png(one)), ("cls", b"3")):
                            info = tarfile.TarInfo(f"{'long/' * (30 if k < 2 else 20)}{i:03}.{ending}")
                            info.size = len(content)
                            out.addfile(info, io.BytesIO(content))
            else:
                file.write_text("".join(",".join(map(str, one.ravel())) + "\n" for one in part))
        values = pictures.reshape(23, 20) if kind == "csv" else pictures[:, None]
        case(f"shards-{kind}", values)
        case(f"shards-{kind}[-2:]", values[-2:])
        case(f"shards-{kind}[8:13]", values[8:13])
        stem = "part-*-images-idx3-ubyte" if kind == "idx" else f"*.{kind}"
        case(f"shards-{kind}/{stem}", values)
        case(f"shards-{kind}/{'train-0000?-*' if kind == 'parquet' else 'part-?[-.]' + stem.split('*')[-1][1:]}[:-1]", values[:11])


def lone_pictures():
    """Slices, a folder that is called like one, a single picture, patterns of pictures, natural order."""
    pictures = noise(11, 4, 5)
    folder("pictures", {f"{i}.png": (lambda path, i=i: Image.fromarray(pictures[i]).save(path)) for i in range(11)})
    expected = pictures[:, None]
    names = [f"{i}.png" for i in range(11)]
    case("pictures", expected, ids=names)
    case("pictures[:3]", expected[:3], ids=names[:3])
    case("pictures[2:]", expected[2:], ids=names[2:])
    case("pictures[-2:]", expected[-2:], ids=names[-2:])
    case("pictures[2:-3][1:]", expected[3:-3], ids=names[3:-3])
    case("pictures/10.png", expected[10:], ids=names[10:])
    case("pictures/?.png", expected[:10], ids=names[:10])
    folder("pictures[3:7]", {"a.png": lambda path: Image.fromarray(pictures[0]).save(path)})
    case("pictures[3:7]", expected[:1], ids=["a.png"])
    case("pictures[3:7][0:1]", expected[:1], ids=["a.png"])
    case("pictures[3:8]", expected[3:8], ids=names[3:8])


def log_mel(samples):
    """Samples at 8 kHz as the picture that docs/data.md describes."""
    covered = 256 + 31 * 160
    offset = (covered - len(samples)) // 2
    held = np.zeros(covered)
    if offset >= 0:
        held[offset : offset + len(samples)] = samples
    else:
        held = samples[-offset : -offset + covered]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(256) / 256)
    power = np.abs(np.fft.rfft([held[160 * k : 160 * k + 256] * window for k in range(32)])) ** 2
    mel = lambda hertz: 2595 * np.log10(1 + hertz / 700)
    edges = 700 * (10 ** (np.linspace(mel(60), mel(4000), 34) / 2595) - 1)
    bins = np.arange(129) * 8000 / 256
    weights = np.stack([
        np.maximum(0, np.minimum((bins - a) / (b - a), (c - bins) / (c - b))) for a, b, c in zip(edges, edges[1:], edges[2:])
    ])
    bands = (power @ weights.T).T[::-1]
    level = 1 + 10 * np.log10(np.maximum(bands, 1e-300) / bands.max()) / 80
    return np.round(255 * np.maximum(0, level))[None]


def sound():
    """WAV as libsndfile reads it: every kind of integer and float, sizes that are not known, more than 4 GiB, a constant."""
    seconds = np.arange(3600) / 8000
    tone = 0.4 * np.sin(2 * np.pi * 440 * seconds) + 0.02 * random.standard_normal(3600)
    for kind in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"):
        sf.write(OUT / f"{kind}.wav", tone[:1800] if kind == "DOUBLE" else tone, 8000, subtype=kind)
    sf.write(OUT / "quiet8.wav", 0.05 * tone, 8000, subtype="PCM_U8")
    whole = (OUT / "PCM_16.wav").read_bytes()
    at = whole.index(b"data")
    for size in (0xFFFFFFFF, 0x7FFFF000):
        (OUT / f"pipe-{size:x}.wav").write_bytes(whole[:4] + size.to_bytes(4, "little") + whole[8 : at + 4] + size.to_bytes(4, "little") + whole[at + 8 :])
    (OUT / "rf64.wav").write_bytes(as_rf64(whole))
    for file in sorted(OUT.glob("*.wav")):
        case(file.name, log_mel(sf.read(file)[0])[None], within=1)
    # libsndfile reads no more than one chunk of samples, or none; a pipe may leave a size of 0.
    half = at + 8 + 3600
    first, second = whole[at + 8 : half], whole[half:]
    two = whole[:at] + b"data" + len(first).to_bytes(4, "little") + first + b"LIST\x04\0\0\0INFO" + b"data" + len(second).to_bytes(4, "little") + second
    (OUT / "two-chunks.wav").write_bytes(two[:4] + (len(two) - 8).to_bytes(4, "little") + two[8:])
    (OUT / "pipe-0.wav").write_bytes(whole[: at + 4] + bytes(4) + whole[at + 8 :])
    for name in ("two-chunks.wav", "pipe-0.wav"):
        case(name, log_mel(sf.read(OUT / "PCM_16.wav")[0])[None], within=1)
    for rate in (8000, 22050):
        sf.write(OUT / f"constant-{rate}.wav", np.full(rate * 3 // 4, 0.5), rate, subtype="PCM_16")
        case(f"constant-{rate}.wav", np.zeros((1, 1, 32, 32)))


def as_rf64(wav):
    """The same file with its sizes in 64 bits."""
    at = wav.index(b"data")
    size = int.from_bytes(wav[at + 4 : at + 8], "little")
    sizes = (len(wav) + 28).to_bytes(8, "little") + size.to_bytes(8, "little") + (size // 2).to_bytes(8, "little") + bytes(4)
    return b"RF64\xff\xff\xff\xffWAVEds64" + (28).to_bytes(4, "little") + sizes + wav[12:at] + b"data\xff\xff\xff\xff" + wav[at + 8 :]


def refuse(spec, message, **options):
    """`spec` is refused with these words."""
    refused.append({"spec": spec, "options": options, "message": message})


def tarred(name, entries, form=tarfile.PAX_FORMAT):
    """A tar file of (name, content), or of (name, link, type of link)."""
    with tarfile.open(OUT / name, "w", format=form) as out:
        for entry, content, *kind in entries:
            info = tarfile.TarInfo(entry)
            if kind:
                info.type, info.linkname = kind[0], content
                out.addfile(info)
            else:
                info.size = len(content)
                out.addfile(info, io.BytesIO(content))


def as_people_have_them():
    """What is common and was once read wrongly, or refused in words that mislead."""
    rows = noise(5, 2, 3)
    labels = np.arange(5) % 3
    table = {"label": labels, **{f"pixel{k}": rows.reshape(5, 6)[:, k] for k in range(6)}}
    lines = [",".join(str(column[i]) for column in table.values()) for i in range(5)]
    flat = rows.reshape(5, 6)
    (OUT / "kaggle.csv").write_text("\n".join([",".join(table), *lines]) + "\n")
    case("kaggle.csv", flat)
    case("kaggle.csv", rows[:, None], shape="2x3")
    case("kaggle.csv", flat, id="label", ids=[str(label) for label in labels])
    case("kaggle.csv:label", labels[:, None])
    (OUT / "images.jsonl").write_text("".join(json.dumps({"label": int(k), "image": row.tolist()}) + "\n" for k, row in zip(labels, flat)))
    case("images.jsonl", rows[:, None], shape="2x3")
    pq.write_table(pa.table({**table, "__index_level_0__": labels * 7}), OUT / "kaggle.parquet")
    case("kaggle.parquet", flat)
    colours = noise(4, 3, 2, 3)
    np.save(OUT / "planes.npy", colours.reshape(4, 18))
    case("planes.npy", colours, shape="3x2x3")
    # As pandas writes a table with its index.
    (OUT / "indexed.csv").write_text(",a,b\n" + "".join(f"{3 * i},{a},{b}\n" for i, (a, b, *_) in enumerate(flat)))
    case("indexed.csv", flat[:, :2])
    np.savez(OUT / "grouped.npz", **{"data/x": rows[:, None], "names": np.array([None, {}], object)})
    case("grouped.npz:data/x", rows[:, None])
    refuse("grouped.npz", "array 'names': holds Python objects")
    dotted = OUT / "dotted"
    dotted.mkdir()
    for kind, array in (("images.idx3", rows), ("labels.idx1", labels.astype(np.uint8))):
        sizes = np.array(array.shape, ">u4").tobytes()
        (dotted / f"t10k-{kind}-ubyte").write_bytes(bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes())
    case("dotted/t10k-images.idx3-ubyte{0,2}", rows[(labels == 0) | (labels == 2)][:, None])
    case("dotted", rows[:, None])
    encoded = [png(row) for row in rows]
    case_of_links = [("a/1.png", encoded[0]), ("a/2.png", encoded[1]), ("b/3.png", "a/2.png", tarfile.LNKTYPE), ("b/4.png", "../a/1.png", tarfile.SYMTYPE)]
    long = [(f"{'ü/' * 60}{'n' * 120}{i}.png", one) for i, one in enumerate(encoded)]
    for name, form in (("gnu", tarfile.GNU_FORMAT), ("pax", tarfile.PAX_FORMAT)):
        tarred(f"links-{name}.tar", case_of_links, form)
        case(f"links-{name}.tar", rows[[0, 1, 1, 0]][:, None], ids=["a/1.png", "a/2.png", "b/3.png", "b/4.png"])
        tarred(f"long-{name}.tar", long, form)
        case(f"long-{name}.tar", rows[:, None], ids=[name for name, _ in long])
    tarred("dangling.tar", [("a.png", encoded[0]), ("b.png", "c.png", tarfile.SYMTYPE)])
    refuse("dangling.tar", "b.png: is a link to what is not before it in the file")
    holes = tarfile.TarInfo("holes.png")
    holes.type = tarfile.GNUTYPE_SPARSE
    with tarfile.open(OUT / "sparse.tar", "w", format=tarfile.GNU_FORMAT) as out:
        out.addfile(holes)
    refuse("sparse.tar", "holes.png: is stored as a sparse file, which is not read; pack it as a plain one")
    scipy.io.savemat(OUT / "swapped.mat", {"x": rows.reshape(5, 6)})
    little = (OUT / "swapped.mat").read_bytes()
    (OUT / "swapped.mat").write_bytes(little[:124] + b"\1\0MI" + little[128:])
    refuse("swapped.mat", "has its numbers the other way round (big-endian); make ")
    (OUT / "packed.tar").write_bytes(gzip.compress((OUT / "links-gnu.tar").read_bytes(), mtime=0))
    refuse("packed.tar", "is no tar file, but seems to be a file that gzip has packed")
    pq.write_table(pa.table({"x": pa.array([[("a", 1)]] * 3, pa.map_(pa.string(), pa.int32()))}), OUT / "map.parquet")
    refuse("map.parquet", "has the columns x.key_value.key (map), x.key_value.value (map), expected pictures, numbers, lists of numbers or text")
    pq.write_table(pa.table({"x": pa.array([datetime.date(2020, 1, 1)] * 3)}), OUT / "dates.parquet")
    refuse("dates.parquet", "has the columns x (date), expected pictures, numbers")
    (OUT / "missing.csv").write_text("a,b\n1,NA\n")
    refuse("missing.csv", "line 2: 'b' is \"NA\", expected a number")
    (OUT / "whole.jsonl").write_text('[{"a": 1}, {"a": 2}]\n')
    refuse("whole.jsonl", "line 1: is a list of records, expected one record a line")
    scipy.io.savemat(OUT / "four.mat", {"x": rows.reshape(5, 6).astype(float)}, format="4")
    refuse("four.mat", "is a MATLAB 4 file, expected version 5; make ")


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    transparency()
    many_types()
    choice()
    parquet()
    tables()
    shards()
    lone_pictures()
    sound()
    as_people_have_them()
    lines = ",\n".join(json.dumps(one) for one in cases)
    (OUT / "cases.json").write_text(f"[\n{lines}\n]\n")
    lines = ",\n".join(json.dumps(one) for one in refused)
    (OUT / "refused.json").write_text(f"[\n{lines}\n]\n")


main()
