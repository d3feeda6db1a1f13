"""A folder of sound files of every kind that commands read, for what then damages them or takes their folder away."""

from __future__ import annotations

import contextlib
import io
import shutil
import wave
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["make_sound"]


def make_sound(folder: Path) -> None:
    """Write the files into ``folder``; the commands that make them are run here, so that all is imported."""
    import conntra_neuro as cn

    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 17, (24, 8)).astype(np.uint8), np.arange(24) % 3
    np.savez(folder / "data.npz", x_train=x[:16], y_train=y[:16], x_test=x[16:], y_test=y[16:])
    spikes = rng.integers(0, 2, (24, 6, 8)).astype(np.uint8)
    np.savez(folder / "events.npz", x_train=spikes[:16], y_train=y[:16], x_test=spikes[16:], y_test=y[16:])
    conv = cn.Conv2d(rng.integers(-1, 2, (2, 1, 3, 3)), rng.integers(-1, 2, 2), input_shape=(1, 6, 6))
    readout = cn.Dense(rng.integers(-1, 2, (3, 16)), activation="readout")
    pooled = [conv, cn.SumPool(2, input_shape=(2, 4, 4)), cn.Dense(rng.integers(-1, 2, (3, 8)), activation="readout")]
    cn.save(cn.DiscreteNetwork(pooled), folder / "conv.conntra")
    lif = cn.Dense(rng.integers(-3, 4, (16, 8)), activation=cn.Lif(5, voltage_decay=128))
    cn.save(cn.DiscreteNetwork([lif, readout], steps=6), folder / "lif.conntra")
    _spiking_graph(folder / "lif.nir", rng)
    _recordings(folder, rng)
    _settings(folder)
    _made_by_commands(folder)


def _made_by_commands(folder: Path) -> None:
    from conntra_neuro.cli.app import main

    for command in (
        "train npz:IN/data.npz --layers 4 --sweeps 2 --out IN/model.conntra --checkpoint IN/begun",
        "compile IN/model.conntra --out IN/program.conntra",
        "run IN/program.conntra --data npz:IN/data.npz --out IN/result.json",
        "verify IN/program.conntra --data npz:IN/data.npz --backends reference,loop --out IN/certificate.json",
        "verify --fuzz 3 --backends reference,loop --out IN/fuzz.json",
        "export IN/model.conntra --out IN/model.nir",
        "export IN/conv.conntra --out IN/conv.nir",
        "export IN/lif.conntra --out IN/lif.net",
        "export IN/model.conntra --out IN/model.net",
    ):
        with contextlib.redirect_stdout(io.StringIO()):
            status = main([*(word.replace("IN/", f"{folder}/") for word in command.split()), "--quiet"])
        if status != 0:
            raise SystemExit(f"{command}: exit status {status}")


def _spiking_graph(path: Path, rng: np.random.Generator) -> None:
    import nir

    def neurons(n: int) -> Any:
        constants = {"tau_syn": 0.02, "tau_mem": 0.05, "r": 1.0, "w_in": 1.0, "v_leak": 0.01, "v_threshold": 1.0}
        given: dict[str, Any] = {name: np.full(n, value) for name, value in constants.items()}
        return nir.CubaLIF(**given, v_reset=np.zeros(n))

    def affine(n_out: int, n_in: int) -> Any:
        return nir.Affine(rng.normal(0, 0.5, (n_out, n_in)), rng.normal(0, 0.05, n_out))

    nodes = {"in": nir.Input({"input": np.array([5])}), "w1": affine(6, 5), "n1": neurons(6), "back": affine(6, 6)}
    nodes |= {"w2": affine(3, 6), "n2": neurons(3), "out": nir.Output({"output": np.array([3])})}
    edges = [("in", "w1"), ("w1", "n1"), ("n1", "back"), ("back", "n1"), ("n1", "w2"), ("w2", "n2"), ("n2", "out")]
    nir.write(path, nir.NIRGraph(nodes, edges))


def _recordings(folder: Path, rng: np.random.Generator) -> None:
    """Write events as CSV, and folders of images and of audio."""
    from PIL import Image

    rows = [f"{i},{i % 2},{t},{(i * t) % 9},{t % 7},{t % 2}" for i in range(8) for t in range(9)]
    (folder / "events.csv").write_text("\n".join(["sample,label,t,x,y,p", *rows]) + "\n")
    for label in "ab":
        for part in (f"images/train/{label}", f"audio/{label}"):
            (folder / part).mkdir(parents=True)
        for index in range(3):
            pixels = rng.integers(0, 256, (9, 9, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "images" / "train" / label / f"{index}.png")
            with wave.open(str(folder / "audio" / label / f"{index}.wav"), "wb") as file:
                file.setnchannels(1)
                file.setsampwidth(2)
                file.setframerate(8000)
                file.writeframes(rng.integers(0, 256, 2400).astype(np.uint8).tobytes())


def _settings(folder: Path) -> None:
    """Write a chip and a run file."""
    import conntra_hardware.chip as chip

    shutil.copy(Path(chip.__file__).parent / "limits" / "loihi1.toml", folder / "chip.toml")
    (folder / "run.toml").write_text('data = "npz:data.npz"\nlayers = [4]\nsweeps = 2\n')
