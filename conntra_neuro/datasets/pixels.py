"""What the pixels of an image file mean: 8 bits of red, green and blue, upright, whatever the file holds.

grey, palette, 1 bit, CMYK, YCbCr   as every viewer shows them
16 bits of grey                     scaled, 65535 to 255, and rounded; Pillow alone clips them to white
16 bits a colour                    their upper 8 bits
transparency                        laid on white, as most viewers show it; Pillow alone shows what lies below
EXIF orientation                    turned upright

An image of several frames, of floating-point numbers, of 32-bit integers or in another colour space is refused: which
frame, or which number is white, the file does not say.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from conntra_hardware.base.errors import InputError

__all__ = ["as_rgb"]

_PLAIN = ("1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr")
_TRANSPARENT = ("LA", "La", "PA", "RGBA", "RGBa")
_DEEP = ("I;16", "I;16B", "I;16L", "I;16N", "I")  # older Pillows open 16-bit PNG files as I
_WHITE = (255, 255, 255, 255)


def as_rgb(image: Any, file: Path) -> Any:
    """Return a loaded Pillow image as one of mode RGB; InputError for one that has no such meaning."""
    from PIL import Image, ImageOps

    if getattr(image, "n_frames", 1) > 1:
        raise InputError(f"{file}: {image.n_frames} frames; one image a file expected: save the frames as files")
    image = ImageOps.exif_transpose(image)
    if image.mode in _DEEP:
        return Image.fromarray(_eight_bits(np.asarray(image), file)).convert("RGB")
    if image.mode in _TRANSPARENT or (image.mode in _PLAIN and "transparency" in image.info):
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, _WHITE), image).convert("RGB")
    if image.mode in _PLAIN:
        return image.convert("RGB")
    raise InputError(f"{file}: pixels of mode {image.mode}; 1, 8 or 16 bits of grey or colour expected: convert it")


def _eight_bits(grey: Any, file: Path) -> Any:
    numbers = grey.astype(np.int64)
    low, high = int(numbers.min()), int(numbers.max())
    if low < 0 or high > 65535:
        raise InputError(f"{file}: grey values from {low} to {high}; 0 to 65535, which is white, expected: convert it")
    return ((numbers * 255 + 32767) // 65535).astype(np.uint8)
