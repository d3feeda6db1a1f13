"""Training sets that stay in their file: the same network, in little memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import layered_twins
import numpy as np
import pytest
import training_twins
import training_twins as twins
from hypothesis import given, settings
from hypothesis import strategies as st

from conntra_hardware.base.errors import InputError
from conntra_hardware.program.input_encoding import ThermometerEncoder, ThresholdEncoder
from conntra_neuro.datasets import Dataset, fit_encoder, load_dataset
from conntra_neuro.datasets import files as dataset_files
from conntra_neuro.datasets.mapped import is_mapped
from conntra_neuro.training import TrainResult, fit_spikes, train
from conntra_neuro.training.gears.blocks import Blocks, BlocksOptions
from conntra_neuro.training.inputs import bits
from conntra_neuro.training.inputs.batches import DenseBatch, StreamedInputs, inputs_of
from conntra_neuro.training.inputs.bits import BitSpikes, rates_of, stored
from conntra_neuro.training.inputs.image import ImageShape
from conntra_neuro.training.task import Clock
from conntra_neuro.training.threads import Threads


def _images(n: int, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    task = twins.random_task(3, (), n=n, n_in=36, classes=classes)
    noise = np.random.default_rng(0).integers(0, 100, (n, 36))
    return (task.spikes * 150 + noise).astype(np.uint8).reshape(n, 6, 6), task.y


def _npz(folder: Path, n: int, **others: Any) -> Path:
    x, y = _images(n)
    path = folder / "set.npz"
    np.savez(path, x_train=x[9:], y_train=y[9:], x_test=x[:9], y_test=y[:9], **others)
    return path


def _mapped(path: Path, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    monkeypatch.setattr(dataset_files, "_MAPPED_FROM", 0)
    data = load_dataset(f"npz:{path}")
    assert is_mapped(data.x_train)
    return data


def _all_of(found: TrainResult) -> list[Any]:
    layers: Any = found.network.layers
    errors = [(r.objective, r.train_error, r.validation_error) for r in found.history]
    return [errors, found.train_error, found.test_error, *([x.weight.tolist(), x.bias.tolist()] for x in layers)]


@pytest.mark.parametrize(
    ("n", "options"),
    [
        (5300, {"shift": 1}),
        (700, {"gear": "annealed"}),
        (700, {"gear": "exact"}),
        (700, {"penalty_energy": 0.3, "encoder": ThermometerEncoder([[60.0] * 36, [160.0] * 36])}),
        (700, {"method": "backprop", "shift": 1}),
        (700, {"method": "warm"}),
    ],
)
def test_the_same_network_as_from_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n: int, options: dict[str, Any]
) -> None:
    if "method" in options:
        pytest.importorskip("jax")
    path = _npz(tmp_path, n)
    data = load_dataset(f"npz:{path}")
    assert not is_mapped(data.x_train)
    options = {"layers": (9, 8), "sweeps": 3, "checkpoint": tmp_path / "run"} | options
    inside = train(data, **options)
    monkeypatch.setattr(bits, "_CHUNK_BYTES", 10_000)
    streamed = _mapped(path, monkeypatch)
    assert _all_of(train(streamed, **options)) == _all_of(inside)
    resumed = train(streamed, **({**options, "checkpoint": None, "resume": tmp_path / "run"}))
    assert _all_of(resumed) == _all_of(inside)


@given(st.integers(0, 2**31), st.integers(1, 60), st.integers(1, 40), st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_bits_are_the_spikes(seed: int, n: int, n_in: int, density: float) -> None:
    rng = np.random.default_rng(seed)
    x = rng.random((n, n_in))
    encoder = ThresholdEncoder(np.full(n_in, 1 - density))
    spikes, found = encoder.encode(x), stored(x, encoder)
    assert is_mapped(found.bits)
    assert found.shape == spikes.shape
    rows = rng.integers(0, n, 20)
    np.testing.assert_array_equal(found[rows], spikes[rows])
    np.testing.assert_array_equal(found[1:9], spikes[1:9])
    np.testing.assert_array_equal(found.taken(rows)[3:7], spikes[rows[3:7]])
    np.testing.assert_array_equal(rates_of(found), spikes.mean(axis=0))
    np.testing.assert_array_equal(stored(spikes, None)[:], spikes)


@given(st.integers(0, 2**31), st.floats(0.05, 0.6), st.booleans())
@settings(max_examples=20, deadline=None)
def test_batches_are_those_from_memory(seed: int, density: float, shifted: bool) -> None:
    rng = np.random.default_rng(seed)
    spikes = (rng.random((50, 30)) < density).astype(np.uint8)
    image, rows = ImageShape(1, 5, 6), rng.permutation(50)[:20]
    shifts = rng.integers(-1, 2, (20, 2)) if shifted else None
    weights = rng.integers(-3, 4, (31, 7)).astype(np.float32)
    mapped = stored(spikes, None)
    dense = StreamedInputs(mapped, image, dense=True)
    assert isinstance(dense.batch(rows, np.float32), DenseBatch)
    found = []
    with Threads(1) as threads:
        for inputs in (inputs_of(spikes, image), inputs_of(mapped, image), dense):
            out = np.empty((20, 7), np.float32)
            inputs.batch(rows, np.float32, shifts).potentials(weights, out, threads)
            found.append((out.tobytes(), inputs.rates.tobytes()))
    assert found[0] == found[1] == found[2]


def test_what_is_mapped_and_what_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = _images(40)
    path = _npz(tmp_path, 40)
    assert not is_mapped(load_dataset(f"npz:{path}").x_train)
    data = _mapped(path, monkeypatch)
    np.testing.assert_array_equal(data.x_train, x[9:])
    assert not data.x_train.flags.writeable
    np.savez_compressed(path, x_train=x, y_train=y, x_test=x, y_test=y)
    assert not is_mapped(load_dataset(f"npz:{path}").x_train)
    np.savez(path, x_train=np.asfortranarray(x), y_train=y.astype(str), x_test=x, y_test=y.astype(str))
    np.testing.assert_array_equal(load_dataset(f"npz:{path}").x_train, x)
    np.savez(path, x_train=x, y_train=y)
    with pytest.raises(InputError, match="add x_test and y_test"):
        load_dataset(f"npz:{path}")


def test_features_that_are_not_finite_are_found_in_a_file(tmp_path: Path) -> None:
    x = np.zeros((3000, 2))
    x[[1500, 2900], 1] = np.nan
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    with pytest.raises(InputError, match="2 samples of x_train, the first is sample 1500"):
        Dataset("made", mapped, np.arange(3000) % 2, x[:0], np.arange(0), (0, 1))


def test_an_encoder_is_fitted_to_evenly_spaced_samples_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from conntra_neuro.datasets import encode

    x = np.random.default_rng(0).random((400, 3))
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    np.testing.assert_array_equal(fit_encoder(mapped).thresholds, fit_encoder(x).thresholds)
    monkeypatch.setattr(encode, "_FITTED_BYTES", x.nbytes // 4)
    np.testing.assert_array_equal(fit_encoder(mapped).thresholds, fit_encoder(x[::4]).thresholds)


def test_no_room_for_the_bits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(*given: Any, **named: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bits.tempfile, "TemporaryFile", full)
    with pytest.raises(InputError, match=r"No space left on device.*TMPDIR"):
        stored(np.zeros((4, 9), np.uint8), None)


_CHILD = """
import json, resource
import numpy as np
import conntra_neuro as cn
x, y = np.load({x!r}, mmap_mode="r"), np.load({y!r})
resource.setrlimit(resource.RLIMIT_DATA, ({limit}, {limit}))
data = cn.Dataset("large", x, y, x[:1000], y[:1000], (0, 1))
found = cn.train(data, layers=[16], sweeps=1, batch=250, threads=1)
print(json.dumps([found.test_error, found.network.n_in]))
try:
    np.array(x)
except MemoryError:
    print("the set itself does not fit")
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit of memory that files do not count towards")
def test_a_set_larger_than_memory_is_trained_on(tmp_path: Path) -> None:
    """500 MB of images in a process that may have 400 MB, Python and compiled code included."""
    rng, n, side = np.random.default_rng(0), 30_000, 128
    y = np.arange(n) % 2
    few = rng.integers(0, 150, (1000, side, side), dtype=np.uint8)
    few[y[:1000] == 1, 30:60, 30:60] += 105
    x = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.uint8, (n, side, side))
    for first in range(0, n, 1000):
        x[first : first + 1000] = few
    np.save(tmp_path / "y.npy", y)
    program = _CHILD.format(x=str(tmp_path / "x.npy"), y=str(tmp_path / "y.npy"), limit=400 * 2**20)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result, missing = done.stdout.splitlines()
    assert missing == "the set itself does not fit"
    error, n_in = json.loads(result)
    assert error < 0.05
    assert n_in == side**2


@pytest.mark.parametrize(
    ("layers", "neuron", "steps"), [("conv4k3p1,maxpool2,6", "threshold", 1), ("conv4k3s2", "relu", 1), ("6", "if2", 2)]
)
@pytest.mark.parametrize("gear", ["blocks", "exact", "annealed", "straight-through"])
def test_every_layer_neuron_and_gear_trains_on_spikes_in_a_file(
    layers: str, neuron: str, steps: int, gear: str
) -> None:
    """Bit for bit the network of the same spikes in memory, moved images and held-out samples included."""
    if gear == "straight-through":
        pytest.importorskip("jax")
    task = layered_twins.layered_task(layers, 2, neuron, n=200, steps=steps)
    given = {"n_classes": 3, "layers": layers, "neuron": neuron, "input_steps": steps, "image": task.image}
    given |= {"sweeps": 2, "gear": gear} | ({"shift": 1} if gear in ("blocks", "straight-through") else {})
    kept = np.asarray(task.spikes)
    found = [fit_spikes(spikes, task.y, **given).parameters.arrays() for spikes in (kept, stored(kept, None))]
    for name, array in found[0].items():
        np.testing.assert_array_equal(array, found[1][name])


def test_bits_take_an_eighth_of_a_byte_a_spike() -> None:
    found = stored(np.ones((1000, 80), np.uint8), None)
    assert isinstance(found, BitSpikes)
    assert found.bits.nbytes == 1000 * 10


def _swept(n: int, n_in: int, width: int) -> None:
    spikes = (np.random.default_rng(0).random((n, n_in)) < 0.3).astype(np.uint8)
    task = training_twins.dense_task(stored(spikes, None), np.arange(n) % 10, (width,), 10)
    del spikes
    tracemalloc.reset_peak()
    with Threads(1) as threads:
        gear = Blocks(task, BlocksOptions(batch=200), threads)
        gear.sweep(0, 1, Clock(), lambda done, running: None)
        gear.evaluate(held_out=False)


def test_blocks_need_memory_for_weights_and_a_mini_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """What docs/cluster.md states, and nothing that grows with the set but 16 bytes a sample for class and order."""
    monkeypatch.setattr(bits, "_CHUNK_BYTES", 2**20)
    _swept(3000, 20, 20)  # compiled, and imported, before it is counted
    for n_in, width in ((300, 64), (300, 640), (900, 64)):
        peaks = []
        for n in (2500, 7500):
            tracemalloc.start()
            _swept(n, n_in, width)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        weights, rows = (n_in + 1) * width + (width + 1) * 10, 2048
        assert peaks[0] <= 21 * weights + rows * (12 * (width + 10) + 6 * n_in) + 2**22
        assert peaks[1] - peaks[0] < 5000 * 24
