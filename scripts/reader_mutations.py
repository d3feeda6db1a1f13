"""Mutations of files that keep most of their structure sound, so that more than the first check is reached.

Containers get their checksum anew, PNG chunks and zip members theirs; JSON, HDF5, protobuf and TOML are changed entry
by entry. A part of all mutations are plain ones of bytes. Everything follows from a generator.
"""

from __future__ import annotations

import io
import json
import random
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from reader_recordings import RECORDING_MUTATIONS
from reader_values import FLOATS, NUMBERS, TEXTS, changed_bytes, changed_tree, hostile, hostile_array

__all__ = ["mutate"]


def mutate(reader: str, data: bytes, other: bytes, rng: random.Random) -> bytes:
    """Return a mutation of ``data``, a file of the kind ``reader``; ``other`` is one to take parts from."""
    structured = _STRUCTURED.get(reader)
    if structured is None or rng.random() < 0.2:
        return changed_bytes(data, other, rng)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for _ in range(rng.choice((1, 1, 1, 2, 4))):
                data = structured(data, other, rng)
        except Exception:  # what is no longer sound enough to be changed by its structure
            return changed_bytes(data, other, rng)
    return data


def _json(data: bytes, other: bytes, rng: random.Random) -> bytes:
    text = json.dumps(changed_tree(json.loads(data), rng))
    if rng.random() < 0.02:
        text = text.replace("{", "{" * rng.choice((2, 2000)), 1)
    return text.encode()


def _container(data: bytes, other: bytes, rng: random.Random) -> bytes:
    from safetensors.numpy import load

    from conntra_hardware.base.files import container_bytes

    size = int.from_bytes(data[:8], "little")
    header = json.loads(json.loads(data[8 : 8 + size])["__metadata__"]["conntra"])
    tensors, body = load(data), header["body"]
    kind = rng.randrange(10)
    if kind < 6:
        body = changed_tree(body, rng)
    elif tensors:
        name = rng.choice(sorted(tensors))
        if kind < 9:
            tensors[name] = hostile_array(rng, tensors[name])
        else:
            tensors[rng.choice(sorted(tensors))] = tensors.pop(name)
    if not isinstance(body, dict):
        return changed_bytes(data, other, rng)
    tensors = {name: array for name, array in tensors.items() if array.dtype.kind in "iufb"}
    return container_bytes(header["kind"], body, tensors)


def _hdf5(data: bytes, other: bytes, rng: random.Random) -> bytes:
    import h5py

    buffer = io.BytesIO(data)
    with h5py.File(buffer, "r+") as file:
        names: list[str] = []
        file.visit(names.append)
        name = rng.choice(names)
        found: Any = file[name]
        parent: Any = found.parent
        kind = rng.randrange(8)
        if kind == 0:
            del file[name]
        elif kind == 1:
            parent.move(found.name, rng.choice((*TEXTS[3:6], rng.choice(names).rpartition("/")[2] + "x")))
        elif kind == 2:
            file.copy(rng.choice(names), parent, f"copy{rng.randrange(9)}")
        elif isinstance(found, h5py.Dataset):
            like, text = found[()], h5py.check_string_dtype(found.dtype) is not None
            del file[name]
            if text:
                datasets: Any = [file[n] for n in names if n in file and isinstance(file[n], h5py.Dataset)]
                known = [dataset[()] for dataset in datasets]
                strings = [value for value in known if isinstance(value, bytes)]
                file[name] = rng.choice((*TEXTS[:5], *strings, 3.5))
            elif rng.random() < 0.1:
                file.create_dataset(name, (rng.choice((10**3, 10**6, 10**9)),), "u1", chunks=True, compression="gzip")
            else:
                file[name] = hostile_array(rng, np.asarray(like))
        elif kind < 6:
            file[f"{name}/{rng.choice(('type', 'weight', 'shape', 'neuron', 'x'))}y"] = rng.choice(NUMBERS[:12])
        else:
            del file[name]
            file[name] = hostile_array(rng)
    return buffer.getvalue()


def _onnx(data: bytes, other: bytes, rng: random.Random) -> bytes:
    import onnx

    model = onnx.ModelProto.FromString(data)
    messages: list[Any] = []

    def walk(message: Any) -> None:
        messages.append(message)
        for field, value in message.ListFields():
            if field.message_type is not None:
                for inner in value if field.is_repeated else [value]:
                    walk(inner)

    walk(model.graph)
    message = rng.choice([found for found in messages if found.ListFields()])
    field, value = rng.choice(message.ListFields())
    kind = rng.randrange(6)
    if kind == 0:
        message.ClearField(field.name)
    elif field.message_type is not None:
        if field.is_repeated and kind < 3:
            value.add().CopyFrom(rng.choice(list(value)))
        elif field.is_repeated and kind < 5:
            del value[rng.randrange(len(value))]
        elif field.is_repeated:
            value[rng.randrange(len(value))].CopyFrom(rng.choice(list(value)))
    else:
        new = _scalar(field, rng, messages)
        if not field.is_repeated:
            setattr(message, field.name, new)
        elif kind < 3:
            value[rng.randrange(len(value))] = new
        else:
            value.append(new)
    return model.SerializeToString()


def _scalar(field: Any, rng: random.Random, messages: list[Any]) -> Any:
    """Return a value for a field of protobuf: extreme, or one that another field of its kind has."""
    alike = [getattr(m, field.name) for m in messages if type(m).__name__ == field.containing_type.name]
    alike = [a for a in alike if isinstance(a, (str, bytes))]
    if field.cpp_type == field.CPPTYPE_STRING:
        if field.type == field.TYPE_BYTES:
            return rng.choice((b"", b"\xff" * 7, rng.randbytes(12)))
        ops = (
            "Add",
            "Mul",
            "Div",
            "Pad",
            "Reshape",
            "Gather",
            "Tile",
            "Expand",
            "ConstantOfShape",
            "Range",
            "Transpose",
        )
        return rng.choice((*TEXTS[:9], *ops, *alike))
    if field.cpp_type in (field.CPPTYPE_FLOAT, field.CPPTYPE_DOUBLE):
        return rng.choice(FLOATS)
    if field.cpp_type == field.CPPTYPE_ENUM:
        return rng.choice([v.number for v in field.enum_type.values])
    return rng.choice(NUMBERS[:13])


def _npy(data: bytes, other: bytes, rng: random.Random) -> bytes:
    kind = rng.randrange(4)
    if kind < 3:
        array = hostile_array(rng, np.load(io.BytesIO(data), allow_pickle=False))
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        return buffer.getvalue()
    header = data[10 : 10 + int.from_bytes(data[8:10], "little")].decode("latin1").rstrip()
    numbers = list(re.finditer(r"\d+", header)) or list(re.finditer(r".", header))
    match = rng.choice(numbers)
    changed = header[: match.start()] + str(rng.choice(NUMBERS)) + header[match.end() :]
    packed = changed.encode("latin1") + b"\n"
    return data[:8] + len(packed).to_bytes(2, "little") + packed + data[10 + int.from_bytes(data[8:10], "little") :]


def _npz(data: bytes, other: bytes, rng: random.Random) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice(sorted(members))
    kind = rng.randrange(10)
    if kind == 0:
        del members[name]
    elif kind == 1:
        members[rng.choice((*sorted(members), *TEXTS[3:6]))] = members.pop(name)
    elif kind == 2:
        members[name] = changed_bytes(members[name], other, rng)
    else:
        members[name] = _npy(members[name], other, rng)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", rng.choice((0, 0, 8, 12, 14))) as archive:
        for each, content in members.items():
            archive.writestr(each.replace("\x00", "0"), content)
    return buffer.getvalue()


def _png(data: bytes, other: bytes, rng: random.Random) -> bytes:
    if not data.startswith(b"\x89PNG"):
        return changed_bytes(data, other, rng)
    chunks, at = [], 8
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += 12 + size
    index, kind = rng.randrange(len(chunks)), rng.randrange(5)
    name, content = chunks[index]
    if kind < 2:
        head = list(struct.unpack(">IIBBBBB", chunks[0][1]))
        head[rng.randrange(7)] = rng.choice((0, 1, 2, 3, 4, 6, 8, 16, 100, 20_000, 2**31 - 1))
        head = [h % 256 if i > 1 else h for i, h in enumerate(head)]
        chunks[0] = (chunks[0][0], struct.pack(">IIBBBBB", *head))
    elif kind == 2:
        chunks[index] = (name, changed_bytes(content, other, rng))
    elif kind == 3:
        extra = (
            rng.choice((b"tEXt", b"zTXt", b"iCCP", b"eXIf", b"tRNS", b"PLTE", b"acTL")),
            changed_bytes(content, other, rng),
        )
        chunks.insert(index, extra)
    else:
        del chunks[index]
    made = [struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c)) for n, c in chunks]
    return data[:8] + b"".join(made)


def _toml(data: bytes, other: bytes, rng: random.Random) -> bytes:
    text = data.decode()
    token = rng.choice(list(re.finditer(r"\"[^\"\n]*\"|-?\d+(?:\.\d+)?|\[[^\]\n]*\]|true|false|\w+", text)))
    value = hostile(rng)
    shown = '"none"' if value is None else json.dumps(value)  # TOML writes nan and inf otherwise: refused, too
    if rng.random() < 0.2:
        lines = text.splitlines(keepends=True)
        return "".join(line for line in lines if line is not rng.choice(lines)).encode()
    return (text[: token.start()] + shown + text[token.end() :]).encode("utf-8", "surrogatepass")


def _idx(data: bytes, other: bytes, rng: random.Random) -> bytes:
    import gzip

    plain = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    at = rng.randrange(4)
    value = rng.choice((0, 1, 29, 31, 28 * 28, 2**31 - 1, 2**32 - 1))
    changed = bytearray(plain)
    changed[4 * at : 4 * at + 4] = (
        value.to_bytes(4, "big") if at else bytes((0, 0, rng.choice((8, 9, 13)), rng.randrange(5)))
    )
    return gzip.compress(bytes(changed)) if rng.random() < 0.5 else bytes(changed)


def _wav(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """Change the header: format, channels, rate, bytes a second, block, bits; or the size of a part."""
    if len(data) < 44:
        return changed_bytes(data, other, rng)
    at, size = rng.choice(((4, 4), (16, 4), (20, 2), (22, 2), (24, 4), (28, 4), (32, 2), (34, 2), (40, 4)))
    values = (0, 1, 2, 3, 4, 7, 8, 16, 24, 32, 50, 8000, 8001, 44100, 48000, 65534, 2**20, 2**31 - 1, 2**32 - 1)
    changed = bytearray(data if rng.random() < 0.8 else data[: rng.randrange(44, len(data))])
    changed[at : at + size] = (rng.choice(values) % 256**size).to_bytes(size, "little")
    return bytes(changed)


_Structured = Callable[[bytes, bytes, random.Random], bytes]
_STRUCTURED: dict[str, _Structured] = {
    "model": _container, "program": _container, "checkpoint": _container, "result": _json, "certificate": _json,
    "spikes": _npy, "nir": _hdf5, "netx": _hdf5, "onnx": _onnx, "npz": _npz, "events": _npz, "idx": _idx,
    "images": _png, "chip": _toml, "chip-check": _toml, "audio": _wav, "run-file": _toml, "show": _container,
    "show-json": _json, "show-toml": _toml, "events-npz": _npz, "events-table": _npz, "series": _npz,
    "events-hdf5": _hdf5, **RECORDING_MUTATIONS,
}  # fmt: skip
