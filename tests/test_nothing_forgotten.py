"""What the walks of CONTRIBUTING ask for: every neuron, layer, backend and format is in all the lists that it needs."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import network_strategies
import numpy as np
import pytest

import conntra_neuro as cn
from conntra_hardware.backends import BACKENDS, load_backend
from conntra_hardware.base.errors import InputError
from conntra_hardware.neurons import NEURON_KINDS, Neuron
from conntra_hardware.proof import fuzz_time
from conntra_hardware.proof.fuzz_layers import COUNTING_MIXES, DRAWS, MIXES
from conntra_neuro.compiler.lower import projection_of
from conntra_neuro.exchange.files import FORMATS, READERS
from conntra_neuro.exchange.support import KINDS, support_table
from conntra_neuro.network import layers
from conntra_neuro.network.layers import Flatten, Layer

TESTS = Path(__file__).resolve().parent
SPIKING = [kind for kind in NEURON_KINDS.values() if kind.spikes]
# Residual is a connection and has no outputs of its own; Layer is what layers have in common.
LAYERS = [value for value in vars(layers).values() if inspect.isclass(value) and hasattr(value, "output_shape")]
LAYERS = [layer for layer in LAYERS if layer not in (Layer, layers.Weighted)]
# The reference is what others are held to, and the fuzzer holds it to the loop. The board is not here: loihi-dry is.
HELD_BY_OTHER_TESTS = {"reference", "loop", "loihi"}


def exported() -> set[type]:
    found: set[type] = set()
    for network in KINDS.values():
        found |= {type(layer) for layer in network.layers} | {type(layer.neuron) for layer in network.layers}
    return found


@pytest.mark.parametrize("kind", SPIKING, ids=lambda kind: kind.kind)
def test_every_kind_of_neuron_is_in_every_list(kind: type[Neuron]) -> None:
    over_time = f"{kind.__name__}(" in inspect.getsource(fuzz_time)
    assert kind.kind in DRAWS or over_time, "proof/fuzz_layers.py: DRAWS, or proof/fuzz_time.py"
    assert any(kind.kind in mix for mix in (*MIXES, *COUNTING_MIXES)) or over_time, (
        "proof/fuzz_layers.py: MIXES, or proof/fuzz_time.py"
    )
    assert kind in exported(), "exchange/support.py: KINDS"
    assert getattr(cn, kind.__name__) is kind, "conntra_neuro/__init__.py"
    assert kind.__name__ in inspect.getsource(network_strategies), "tests/support/network_strategies.py: KINDS"


def test_the_layers_are_found() -> None:
    assert {layer.__name__ for layer in LAYERS} >= {"Conv2d", "Dense", "Flatten", "MaxPool", "SumPool"}


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.__name__)
def test_every_layer_is_in_every_list(layer: type) -> None:
    assert layer is Flatten or layer in projection_of.registry, "compiler/lower.py: projection_of"
    assert layer in exported(), "exchange/support.py: KINDS"
    assert getattr(cn, layer.__name__) is layer, "conntra_neuro/__init__.py"
    assert layer.__name__ in inspect.getsource(network_strategies), "tests/support/network_strategies.py"


@pytest.mark.parametrize("name", BACKENDS)
def test_every_backend_is_loaded_and_held_to_the_reference(name: str) -> None:
    backend = load_backend(name)
    assert backend.name == name
    found = backend.availability()
    assert found.ok or (found.reason and found.remedy)
    tests = "".join(path.read_text(encoding="utf-8") for path in (TESTS / "hardware" / "backends").glob("*.py"))
    assert name in HELD_BY_OTHER_TESTS or f'"{name}"' in tests, "tests/hardware/backends"
    refusing = (TESTS / "hardware" / "test_kinds_of_neuron.py").read_text(encoding="utf-8")
    assert name in ("reference", "loihi") or f'"{name}"' in refusing, "tests/hardware/test_kinds_of_neuron.py"


def test_every_format_has_its_column_and_refuses_neurons_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conntra_neuro.exchange.support.KINDS", {})
    header = support_table().splitlines()[0]
    assert header.count("|") - 2 == len(FORMATS) + len(READERS), "exchange/support.py: support_table"
    refusing = (TESTS / "hardware" / "test_kinds_of_neuron.py").read_text(encoding="utf-8")
    for name, (suffixes, _) in FORMATS.items():
        assert any(re.search(rf'"a{re.escape(suffix)}"', refusing) for suffix in suffixes), name


class Unknown:
    """A layer that no table has a row for."""

    neuron = None
    n_weights = n_parameters = memory_bytes = 0

    def __init__(self, n: int) -> None:
        self.input_shape = self.output_shape = (n,)
        self.n_in = self.n_out = n

    def potentials(self, x: np.ndarray) -> np.ndarray:
        return -x.astype(np.int64)


@pytest.mark.parametrize("name", ["a.program", "a.conntra", *(f"a{suffixes[0]}" for suffixes, _ in FORMATS.values())])
def test_a_layer_without_a_row_is_refused_by_name(name: str, tmp_path: Path) -> None:
    network = cn.DiscreteNetwork([cn.Dense([[1, -1]]), Unknown(1), cn.Dense([[1], [-1]], activation="readout")])
    assert network.forward([[1, 0]]).tolist() == [[-1, 1]]
    use = {"a.program": lambda _: cn.compile(network, chip="loihi1"), "a.conntra": lambda p: cn.save(network, p)}
    with pytest.raises(InputError, match="Unknown"):
        use.get(name, lambda path: cn.export(network, path))(tmp_path / name)
    assert not list(tmp_path.iterdir())
