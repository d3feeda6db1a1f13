"""Products of a layer on another device than the processor: JAX's, imported only when one is asked for."""

from __future__ import annotations

from conntra_hardware.base.errors import InputError
from conntra_hardware.base.suggest import did_you_mean
from conntra_neuro.training.layers.products import Products

__all__ = ["DEVICES", "products_on"]

DEVICES = ("cpu", "gpu", "jax")
"""This package's own kernels; a GPU through JAX; whatever device JAX takes by itself, a processor included."""


def products_on(device: str) -> Products | None:
    """Return the products of a device, one of ``DEVICES``; None is this package's own kernels.

    InputError for another name, where JAX is not installed, and where it has no such device.
    """
    if device not in DEVICES:
        raise InputError(f"device {device!r}: unknown{did_you_mean(str(device), DEVICES)}; allowed: cpu, gpu, jax")
    if device == "cpu":
        return None
    from conntra_neuro.training.backprop.load import quiet_jax

    quiet_jax()
    try:
        from conntra_neuro.training.device.jax_products import JaxProducts, device_called
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in ("jax", "jaxlib"):
            raise
        raise InputError(
            f"device {device}: needs JAX, {error.name} is not installed here; use device cpu, or install JAX for your "
            'GPU, as by pip install "jax[cuda12]"'
        ) from None
    return JaxProducts(device_called(device))
