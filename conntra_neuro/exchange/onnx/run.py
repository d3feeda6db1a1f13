"""What an ONNX file itself computes: by onnxruntime where that is installed, else by onnx's own evaluator."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from conntra_hardware.base.errors import InputError

__all__ = ["evaluator_name", "outputs_of"]

_ROWS = 512  # at a time


def evaluator_name() -> str:
    """Return what evaluates files here."""
    return "onnxruntime" if find_spec("onnxruntime") else "onnx's ReferenceEvaluator"


def outputs_of(path: str | Path, name: str, x: npt.NDArray[np.float32], output: str) -> npt.NDArray[np.float64]:
    """Return the tensor ``output`` (n, ...) at inputs ``x`` (n, ...), which the file calls ``name``.

    InputError where the evaluator refuses the file.
    """
    try:
        run = _runtime(path, output) if find_spec("onnxruntime") else _reference(path, output)
        rows = [x[first : first + _ROWS] for first in range(0, len(x), _ROWS)]
        return np.concatenate([np.asarray(run({name: part}), np.float64) for part in rows])
    except Exception as error:  # evaluators raise whatever their lines happen to raise
        what = " ".join(str(error).split())[:160]
        raise InputError(f"{path}: {evaluator_name()} does not run it ({what}); export it again") from None


def _with_output(path: str | Path, output: str) -> Any:
    """Return the model with ``output`` as its only one."""
    import onnx

    model = onnx.load(os.fspath(path), load_external_data=False)
    if [value.name for value in model.graph.output] != [output]:
        del model.graph.output[:]
        model.graph.output.append(onnx.ValueInfoProto(name=output))
    return model


def _runtime(path: str | Path, output: str) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = os.cpu_count() or 1
    model = _with_output(path, output).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda given: session.run([output], given)[0]


def _reference(path: str | Path, output: str) -> Any:
    from onnx.reference import ReferenceEvaluator

    session = ReferenceEvaluator(_with_output(path, output))
    return lambda given: session.run([output], given)[0]  # type: ignore[index]
