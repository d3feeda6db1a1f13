"""Import JAX where it is needed, quietly and with a remedy where it is missing."""

from __future__ import annotations

import logging
import os
from types import ModuleType

from conntra_hardware.base.errors import InputError

__all__ = ["load_folded_steps", "load_steps", "load_whole_steps", "quiet_jax"]


def load_steps() -> ModuleType:
    """Return the module of compiled steps. InputError where JAX or optax is not installed."""
    quiet_jax()
    try:
        from conntra_neuro.training.backprop import steps
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in ("jax", "jaxlib", "optax"):
            raise
        raise InputError(
            f"backpropagation: needs JAX and optax, {error.name} is not installed here; "
            'remedy: pip install "conntra-neuro[backprop]"'
        ) from None
    return steps


def quiet_jax() -> None:
    """Before JAX is imported: have it take memory as it needs it, and not say that there is no GPU."""
    # On a machine with a GPU JAX would take three quarters of its memory at the first array.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    logging.getLogger("jax._src.xla_bridge").setLevel(logging.ERROR)  # "no GPU found, falling back to CPU"


def load_folded_steps() -> ModuleType:
    """Return the compiled steps of folded and of real-valued networks; as ``load_steps``."""
    load_steps()
    from conntra_neuro.training.backprop import folded_steps

    return folded_steps


def load_whole_steps() -> ModuleType:
    """Return the compiled steps for neurons whose scale matters; as ``load_steps``."""
    load_steps()
    from conntra_neuro.training.backprop import whole_steps

    return whole_steps
