"""What ``fuzz_readers.py`` reads: for each kind of file sound examples, and the command that reads one."""

from __future__ import annotations

import gzip
import io
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from reader_recordings import RECORDINGS

__all__ = ["READERS", "Reader"]


@dataclass(frozen=True)
class Reader:
    """A kind of file. ``seeds`` are sound ones, made from the folder of ``sound_files.py``; ``place`` puts bytes into a
    folder and returns the command line that reads them there.
    """

    suffix: str
    seeds: Callable[[Path], list[bytes]]
    place: Callable[[bytes, Path, Path], list[str]]


def _result_seeds(sound: Path) -> list[bytes]:
    """Return a result without its pictures, which take a second to draw, a certificate, a fuzz report, a whole one."""
    import json

    document = json.loads((sound / "result.json").read_text())
    bare = {key: value for key, value in document.items() if key not in ("confusion", "recorded", "mesh")}
    bare["energy"] = bare["energy"][:1]
    small = json.dumps(bare).encode()
    return [small, *_of("certificate.json", "fuzz.json", "result.json")(sound)]


def _of(*names: str) -> Callable[[Path], list[bytes]]:
    return lambda sound: [(sound / name).read_bytes() for name in names]


def _alone(name: str, *arguments: str) -> Callable[[bytes, Path, Path], list[str]]:
    """Return a ``place`` that writes one file; SOUND in an argument is the folder of sound files."""

    def place(data: bytes, folder: Path, sound: Path) -> list[str]:
        (folder / name).write_bytes(data)
        return [argument.replace("SOUND", str(sound)) for argument in arguments]

    return place


def _in_state(data: bytes, folder: Path, sound: Path) -> list[str]:
    (folder / "state").mkdir()
    (folder / "state" / "checkpoint.conntra").write_bytes(data)
    return [
        *("train", "--quiet", f"npz:{sound / 'data.npz'}", "--layers", "4", "--sweeps", "2"),
        *("--resume", "state", "--out", "again.conntra"),
    ]


def _idx_seeds(sound: Path) -> list[bytes]:
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (30, 28, 28)).astype(np.uint8)
    plain = bytes((0, 0, 8, 3)) + np.array(images.shape, ">u4").tobytes() + images.tobytes()
    return [plain, gzip.compress(plain)]


def _beside_labels(data: bytes, folder: Path, sound: Path) -> list[str]:
    labels = (np.arange(30) % 3).astype(np.uint8)
    (folder / "mnist").mkdir()
    (folder / "mnist" / "train-images-idx3-ubyte").write_bytes(data)
    header = bytes((0, 0, 8, 1)) + np.array([30], ">u4").tobytes()
    (folder / "mnist" / "train-labels-idx1-ubyte").write_bytes(header + labels.tobytes())
    return ["train", "--quiet", "mnist:mnist", "--layers", "3", "--sweeps", "1", "--out", "m.conntra"]


def _image_seeds(sound: Path) -> list[bytes]:
    from PIL import Image

    rng = np.random.default_rng(2)
    pixels = rng.integers(0, 256, (12, 10, 3)).astype(np.uint8)
    images = [(Image.fromarray(pixels), kind) for kind in ("PNG", "JPEG", "BMP")]
    images += [(Image.fromarray(pixels).convert(mode), "PNG") for mode in ("L", "P", "1", "RGBA", "LA")]
    images.append((Image.fromarray(pixels[..., 0].astype(np.uint16) * 200), "PNG"))
    found = []
    for image, kind in images:
        buffer = io.BytesIO()
        image.save(buffer, kind)
        found.append(buffer.getvalue())
    return found


def _among_images(data: bytes, folder: Path, sound: Path) -> list[str]:
    sane = _image_seeds(sound)[0]
    for name in ("a", "b"):
        (folder / "images" / "train" / name).mkdir(parents=True)
        for index in range(6):
            (folder / "images" / "train" / name / f"{index}.png").write_bytes(sane)
    (folder / "images" / "train" / "a" / "0.png").write_bytes(data)
    return ["train", "--quiet", "images:images?size=8", "--layers", "3", "--sweeps", "1", "--out", "m.conntra"]


def _chips(sound: Path) -> list[bytes]:
    import conntra_hardware.chip as chip

    limits = Path(chip.__file__).parent / "limits"
    return [(limits / f"{name}.toml").read_bytes() for name in ("loihi1", "loihi2")]


def _onnx_seeds(sound: Path) -> list[bytes]:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(3)

    def model(nodes: list[Any], constants: list[Any], shape: list[Any]) -> bytes:
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *shape])
        y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])
        graph = helper.make_graph(nodes, "net", [x], [y], constants)
        made: onnx.ModelProto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        return made.SerializeToString()

    def array(name: str, *shape: int) -> Any:
        return numpy_helper.from_array(rng.choice([-1.0, 1.0], shape).astype(np.float32), name)

    dense = [
        helper.make_node("Sign", ["x"], ["s0"]),
        helper.make_node("Gemm", ["s0", "w", "b"], ["u"], transB=1),
        helper.make_node("Sign", ["u"], ["s"]),
        helper.make_node("Gemm", ["s", "v"], ["y"], transB=1),
    ]
    conv = [
        helper.make_node("Sign", ["x"], ["s0"]),
        helper.make_node("Conv", ["s0", "k", "b2"], ["c"], kernel_shape=[3, 3]),
        helper.make_node("Sign", ["c"], ["s"]),
        helper.make_node("MaxPool", ["s"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "v"], ["y"], transB=1),
    ]
    half, halves = (numpy_helper.from_array(np.full(n, 0.5, np.float32), name) for n, name in ((5, "b"), (2, "b2")))
    return [
        model(dense, [array("w", 5, 8), half, array("v", 3, 5)], [8]),
        model(conv, [array("k", 2, 1, 3, 3), halves, array("v", 3, 8)], [1, 6, 6]),
    ]


def _table_seeds(sound: Path) -> list[bytes]:
    rows = [[1.5 * i, -(i % 7), f"{i}e-3", "ab"[i % 2]] for i in range(24)]
    lines = [";".join(map(str, row)) for row in rows]
    named = ["id,a,b,label", *(",".join(map(str, [f'"{i}"', *row[:2], i % 3])) for i, row in enumerate(rows))]
    return ["\n".join(named).encode(), "\r\n".join(lines).encode("utf-8-sig")]


def _spikes_seeds(sound: Path) -> list[bytes]:
    found = []
    for array in (np.random.default_rng(4).integers(0, 2, (8, 8)).astype(np.uint8), np.ones((8, 8))):
        buffer = io.BytesIO()
        np.save(buffer, array)
        found.append(buffer.getvalue())
    return found


def _beside_certificate(data: bytes, folder: Path, sound: Path) -> list[str]:
    import json

    document = json.loads((sound / "certificate.json").read_text())
    document["chosen"] = {"spikes": "spikes.npy"}
    (folder / "spikes.npy").write_bytes(data)
    (folder / "certificate.json").write_text(json.dumps(document))
    return ["verify", str(sound / "program.conntra"), "--certificate", "certificate.json"]


_RUN_FILE = """\
# a comment
data = "npz:data.npz"
layers = [4, "3"]
levels = "ternary"
neuron = "threshold"
encoder = "thermometer:4"
seed = 3
sweeps = 2
penalty = "energy=0.1"
method = "conntra"
gear = "blocks"
validation-fraction = 0.0

[option]
sparsity = 0.02
batch = 8
"""


def _run_file_seeds(sound: Path) -> list[bytes]:
    """Return run files: one by hand, and that of a model."""
    from conntra_neuro.cli.run_file import run_file
    from conntra_neuro.network.storage import load_info

    made = run_file(load_info(sound / "model.conntra")["run"], "0")
    lines = [line for line in made.splitlines(keepends=True) if not line.startswith("data")]
    known = "".join(line for line in _RUN_FILE.splitlines(keepends=True) if not line.startswith("validation"))
    return [known.encode(), ("data = 'npz:data.npz'\n" + "".join(lines)).encode()]


def _as_run_file(data: bytes, folder: Path, sound: Path) -> list[str]:
    """Train as it says, but no longer than a moment: a run file may well ask for days."""
    (folder / "run.toml").write_bytes(data)
    shutil.copy(sound / "data.npz", folder / "data.npz")
    short = ("--layers", "3", "--sweeps", "1", "--time-limit", "1", "--method", "conntra")
    return ["train", "--quiet", "--config", "run.toml", *short, "--out", "m.conntra"]


def _audio_seeds(sound: Path) -> list[bytes]:
    import wave

    rng, found = np.random.default_rng(5), []
    for width, channels, rate in ((2, 1, 8000), (1, 2, 8000), (3, 1, 8000), (4, 1, 8000)):
        buffer = io.BytesIO()
        with wave.open(buffer, "wb") as file:
            file.setnchannels(channels)
            file.setsampwidth(width)
            file.setframerate(rate)
            file.writeframes(rng.integers(0, 256, 1200 * width * channels).astype(np.uint8).tobytes())
        found.append(buffer.getvalue())
    return found


def _among_recordings(data: bytes, folder: Path, sound: Path) -> list[str]:
    """Let it be every recording, for they have to have one rate."""
    for label in ("a", "b"):
        (folder / "audio" / label).mkdir(parents=True)
        for index in range(3):
            (folder / "audio" / label / f"{index}.wav").write_bytes(data)
    train = ["train", "--quiet", "audio:audio?bands=4", "--layers", "3", "--sweeps", "1", "--neuron", "lif:163"]
    return [*train, "--out", "m.conntra"]


READERS: dict[str, Reader] = {
    "model": Reader(
        ".conntra", _of("model.conntra", "conv.conntra", "lif.conntra"), _alone("m.conntra", "check", "m.conntra")
    ),
    "program": Reader(
        ".conntra",
        _of("program.conntra"),
        _alone("p.conntra", "run", "p.conntra", "--data", "npz:SOUND/data.npz", "--out", "r.json"),
    ),
    "checkpoint": Reader(".conntra", _of("begun/checkpoint.conntra"), _in_state),
    "result": Reader(
        ".json",
        _result_seeds,
        _alone("r.json", "report", "r.json", "--out", "r.html"),
    ),
    "certificate": Reader(
        ".json",
        _of("certificate.json"),
        _alone(
            *("c.json", "verify", "SOUND/program.conntra", "--certificate", "c.json"),
            *("--data", "npz:SOUND/data.npz", "--backends", "reference,loop"),
        ),
    ),
    "spikes": Reader(".npy", _spikes_seeds, _beside_certificate),
    "nir": Reader(
        ".nir", _of("model.nir", "conv.nir", "lif.nir"), _alone("n.nir", "import", "n.nir", "--out", "n.conntra")
    ),
    "netx": Reader(
        ".net",
        _of("model.net", "lif.net"),
        _alone("n.net", "import", "n.net", "--semantics", "lava", "--out", "n.conntra"),
    ),
    "onnx": Reader(".onnx", _onnx_seeds, _alone("n.onnx", "import", "n.onnx", "--out", "n.conntra")),
    "npz": Reader(
        ".npz",
        _of("data.npz"),
        _alone("d.npz", "train", "--quiet", "npz:d.npz", "--layers", "3", "--sweeps", "1", "--out", "m.conntra"),
    ),
    "csv": Reader(
        ".csv",
        _table_seeds,
        _alone("d.csv", "train", "--quiet", "csv:d.csv", "--layers", "3", "--sweeps", "1", "--out", "m.conntra"),
    ),
    "events": Reader(
        ".npz",
        _of("events.npz"),
        _alone(
            *("d.npz", "train", "--quiet", "npz:d.npz", "--layers", "3", "--sweeps", "1", "--encoder", "none"),
            *("--neuron", "lif:163", "--out", "m.conntra"),
        ),
    ),
    "idx": Reader("", _idx_seeds, _beside_labels),
    "images": Reader(".png", _image_seeds, _among_images),
    "audio": Reader(".wav", _audio_seeds, _among_recordings),
    "run-file": Reader(".toml", _run_file_seeds, _as_run_file),
    "show": Reader(
        ".conntra",
        _of("model.conntra", "program.conntra", "begun/checkpoint.conntra", "lif.conntra"),
        _alone("f.conntra", "show", "f.conntra"),
    ),
    "show-json": Reader(
        ".json", _of("result.json", "certificate.json", "fuzz.json"), _alone("f.json", "show", "f.json")
    ),
    "show-toml": Reader(".toml", _run_file_seeds, _alone("f.toml", "show", "f.toml")),
    "chip": Reader(".toml", _chips, _alone("c.toml", "chips", "c.toml")),
    "chip-check": Reader(".toml", _chips, _alone("c.toml", "check", "SOUND/model.conntra", "--chip", "c.toml")),
    **{name: Reader(*parts) for name, parts in RECORDINGS.items()},
}
"""Every reader, by name."""
