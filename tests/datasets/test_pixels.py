"""Every mode and depth of image means something definite, or is refused in one line."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conntra_hardware.base.errors import InputError
from conntra_neuro.datasets.images import read_images
from conntra_neuro.datasets.pixels import as_rgb


def png(path: Path, depth: int, colour: int, rows: list[bytes], width: int) -> Path:
    """Write a PNG by the bytes of its specification, which Pillow can not write in every depth."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, len(rows), depth, colour, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b""))
    return path


def read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        image.load()
        found = np.asarray(as_rgb(image, path))
    assert found.dtype == np.uint8
    return found


def test_sixteen_bits_of_grey_are_scaled(tmp_path: Path) -> None:
    path = png(tmp_path / "a.png", 16, 0, [struct.pack(">5H", 0, 6000, 52000, 65535, 128)], 5)
    assert read(path)[0].tolist() == [[v] * 3 for v in (0, 23, 202, 255, 0)]


def test_sixteen_bits_a_colour_keep_their_upper_eight(tmp_path: Path) -> None:
    path = png(tmp_path / "a.png", 16, 2, [struct.pack(">3H", 6000, 52000, 65535)], 1)
    assert read(path)[0, 0].tolist() == [6000 >> 8, 52000 >> 8, 255]


def test_one_bit_and_two_bits_of_grey(tmp_path: Path) -> None:
    assert read(png(tmp_path / "a.png", 1, 0, [b"\xa0"], 4))[0, :, 0].tolist() == [255, 0, 255, 0]
    assert read(png(tmp_path / "b.png", 2, 0, [b"\x1b"], 4))[0, :, 0].tolist() == [0, 85, 170, 255]


@pytest.mark.parametrize("alpha", [0, 128, 255])
def test_transparency_lies_on_white(tmp_path: Path, alpha: int) -> None:
    Image.new("RGBA", (2, 2), (10, 200, 30, alpha)).save(tmp_path / "a.png")
    expected = [round((c * alpha + 255 * (255 - alpha)) / 255) for c in (10, 200, 30)]
    assert np.abs(read(tmp_path / "a.png")[0, 0].astype(int) - expected).max() <= 1
    Image.new("LA", (2, 2), (10, alpha)).save(tmp_path / "b.png")
    assert abs(int(read(tmp_path / "b.png")[0, 0, 0]) - expected[0]) <= 1


def test_a_transparent_colour_of_a_palette_and_of_plain_rgb(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([9, 9, 9, 200, 100, 50])
    image.putdata([0, 1])
    image.save(tmp_path / "a.png", transparency=0)
    assert read(tmp_path / "a.png")[0].tolist() == [[255] * 3, [200, 100, 50]]
    image.save(tmp_path / "b.png")
    assert read(tmp_path / "b.png")[0].tolist() == [[9] * 3, [200, 100, 50]]
    Image.new("RGB", (1, 1), (1, 2, 3)).save(tmp_path / "c.png", transparency=(1, 2, 3))
    assert read(tmp_path / "c.png")[0, 0].tolist() == [255] * 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    upright = np.array([[250, 10, 120], [60, 200, 90]], np.uint8)
    turns = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright),
        7: upright[::-1, ::-1].T,
        8: np.rot90(upright, -1),
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(turns[orientation])).save(tmp_path / "a.png", exif=exif)
    assert read(tmp_path / "a.png")[:, :, 0].tolist() == upright.tolist()


def test_cmyk_is_what_it_looks_like(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a.jpg")
    red = read(tmp_path / "a.jpg")[0, 0].astype(int)
    assert red[0] > 220
    assert red[1:].max() < 60


@pytest.mark.parametrize(("mode", "says"), [("F", "mode F"), ("LAB", "mode LAB"), ("HSV", "mode HSV")])
def test_what_means_nothing_is_refused(mode: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        as_rgb(Image.new(mode, (2, 2)), Path("a.tiff"))


def test_integers_of_32_bits_are_refused() -> None:
    with pytest.raises(InputError, match="from 0 to 70000"):
        as_rgb(Image.fromarray(np.array([[0, 70000]], np.int32)), Path("a.tiff"))


def test_several_frames_are_refused(tmp_path: Path) -> None:
    frames = [Image.new("L", (4, 4), value) for value in (0, 128)]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:])
    with pytest.raises(InputError, match="2 frames"):
        read(tmp_path / "a.png")


def test_a_folder_of_deep_images_is_read_as_it_looks(tmp_path: Path) -> None:
    for part in ("train", "val"):
        for label, value in (("dark", 6000), ("light", 52000)):
            (tmp_path / part / label).mkdir(parents=True)
            png(tmp_path / part / label / "0.png", 16, 0, [struct.pack(">4H", *[value] * 4)] * 4, 4)
    found = read_images(str(tmp_path), lambda: tmp_path / "cache").arrays
    assert [int(image.max()) for image in found["x_train"]] == [23, 202]
    assert found["x_train"].shape == (2, 3, 4, 4)
