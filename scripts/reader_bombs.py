"""Small files that ask for much, made from sound ones: for each reader what a declared size or depth could do."""

from __future__ import annotations

import gzip
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["BOMBS"]


def _npy_of_zeros(shape: tuple[int, ...], bytes_there: int) -> bytes:
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}"
    packed = text.encode() + b" " * 20 + b"\n"
    return b"\x93NUMPY\x01\x00" + len(packed).to_bytes(2, "little") + packed + bytes(bytes_there)


def _zip_bomb(declared: tuple[int, ...], there: int) -> Callable[[list[bytes]], bytes]:
    def make(seeds: list[bytes]) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(seeds[0])) as sound, zipfile.ZipFile(buffer, "w", 8) as archive:
            for name in sound.namelist():
                whole = _npy_of_zeros(declared, there) if name == "x_train.npy" else sound.read(name)
                archive.writestr(name, whole)
        return buffer.getvalue()

    return make


def _gzip_bomb(seeds: list[bytes]) -> bytes:

    rows = 3_000_000_000 // 784
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=9) as file:
        file.write(bytes((0, 0, 8, 3)) + np.array((rows, 28, 28), ">u4").tobytes())
        for _ in range(3000):
            file.write(bytes(10**6))
    return buffer.getvalue()


def _png_bomb(width: int, height: int) -> Callable[[list[bytes]], bytes]:
    def make(seeds: list[bytes]) -> bytes:
        packer = zlib.compressobj(9)
        data = b"".join(packer.compress(bytes(1 + width)) for _ in range(height)) + packer.flush()
        parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)), (b"IDAT", data), (b"IEND", b"")]
        made = [struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c)) for n, c in parts]
        return b"\x89PNG\r\n\x1a\n" + b"".join(made)

    return make


def _png_text_bomb(seeds: list[bytes]) -> bytes:
    content = b"a\0\0" + zlib.compress(bytes(2 * 10**9 // 4), 9)
    chunk = struct.pack(">I", len(content)) + b"zTXt" + content + struct.pack(">I", zlib.crc32(b"zTXt" + content))
    return seeds[0][:33] + chunk + seeds[0][33:]


def _is_matrix(node: Any) -> bool:
    return getattr(node, "ndim", 0) == 2


def _hdf5_bomb(elements: int) -> Callable[[list[bytes]], bytes]:
    def make(seeds: list[bytes]) -> bytes:
        import h5py

        buffer = io.BytesIO(seeds[0])
        with h5py.File(buffer, "r+") as file:
            names: list[str] = []
            file.visit(names.append)
            weights = next(n for n in names if _is_matrix(file[n]))
            del file[weights]
            file.create_dataset(weights, (4, elements // 4), "f4", chunks=(4, 2**16), compression="gzip")
        return buffer.getvalue()

    return make


def _deep(opening: str, closing: str, depth: int) -> Callable[[list[bytes]], bytes]:
    return lambda seeds: (opening * depth + closing * depth).encode()


def _deep_header(seeds: list[bytes]) -> bytes:
    inner = json.dumps({"__metadata__": {"conntra": '{"a":' * 10**5}}).encode()
    return len(inner).to_bytes(8, "little") + inner


def _body(change: Callable[[dict[str, Any]], None]) -> Callable[[list[bytes]], bytes]:
    """Return a maker of containers with a changed body and a sound checksum."""

    def make(seeds: list[bytes]) -> bytes:
        from safetensors.numpy import load

        from conntra_hardware.base.files import container_bytes

        size = int.from_bytes(seeds[0][:8], "little")
        header = json.loads(json.loads(seeds[0][8 : 8 + size])["__metadata__"]["conntra"])
        change(header["body"])
        return container_bytes(header["kind"], header["body"], load(seeds[0]))

    return make


def _many_features(body: dict[str, Any]) -> None:
    if body.get("encoder"):
        body["encoder"]["n_features"] = 10**10


def _onnx_zeros(elements: int) -> Callable[[list[bytes]], bytes]:
    def make(seeds: list[bytes]) -> bytes:
        import onnx
        from onnx import helper, numpy_helper

        model = onnx.ModelProto.FromString(seeds[0])
        shape = numpy_helper.from_array(np.array([4, elements // 4]), "shape")
        model.graph.initializer.append(shape)
        model.graph.node.insert(0, helper.make_node("ConstantOfShape", ["shape"], ["zeros"]))
        model.graph.node[2].input[1] = "zeros"
        return model.SerializeToString()

    return make


def _wav_header(at: int, value: int, size: int) -> Callable[[list[bytes]], bytes]:
    return lambda seeds: seeds[0][:at] + value.to_bytes(size, "little") + seeds[0][at + size :]


BOMBS: dict[tuple[str, str], Callable[[list[bytes]], bytes]] = {
    ("npz", "2 GB of zeros, zipped"): _zip_bomb((16, 125_000_000), 2 * 10**9),
    ("npz", "a declared shape of 10^15"): _zip_bomb((16, 10**15), 100),
    ("idx", "3 GB of zeros, gzipped"): _gzip_bomb,
    ("images", "a PNG of 20,000 x 20,000"): _png_bomb(20_000, 20_000),
    ("images", "a PNG of 9,000 x 9,000"): _png_bomb(9_000, 9_000),
    ("images", "a PNG with 500 MB of text"): _png_text_bomb,
    ("nir", "HDF5 chunks of 10^8 zeros"): _hdf5_bomb(10**8),
    ("nir", "HDF5 chunks of 10^12 zeros"): _hdf5_bomb(10**12),
    ("netx", "HDF5 chunks of 10^8 zeros"): _hdf5_bomb(10**8),
    ("result", "JSON 100,000 deep"): _deep("[", "]", 100_000),
    ("result", "JSON objects 100,000 deep"): _deep('{"a":', "}", 100_000),
    ("certificate", "JSON 100,000 deep"): _deep("[", "]", 100_000),
    ("chip", "TOML 100,000 deep"): lambda seeds: b"a = " + b"[" * 100_000,
    ("run-file", "TOML 100,000 deep"): lambda seeds: b"data = " + b"[" * 100_000,
    ("run-file", "4 billion time steps"): lambda seeds: b'data = "npz:data.npz"\nneuron = "lif:163@4000000000"\n',
    ("show-json", "JSON 100,000 deep"): _deep("[", "]", 100_000),
    ("show-toml", "TOML 100,000 deep"): lambda seeds: b"data = " + b"[" * 100_000,
    ("audio", "4 billion samples a second"): _wav_header(24, 2**32 - 50, 4),
    ("audio", "100 million samples a second"): _wav_header(24, 10**8, 4),
    ("audio", "data of 4 GB"): _wav_header(40, 2**32 - 2, 4),
    ("audio", "60,000 channels"): _wav_header(22, 60_000, 2),
    ("model", "a header 100,000 deep"): _deep_header,
    ("model", "an encoder of 10^10 features"): _body(_many_features),
    ("program", "an encoder of 10^10 features"): _body(_many_features),
    ("onnx", "a constant of 10^9 zeros"): _onnx_zeros(10**9),
    ("onnx", "a constant of 2 * 10^8 zeros"): _onnx_zeros(2 * 10**8),
}
"""Small files that ask for much, by reader and name; each is made from the reader's sound ones."""
