"""The names of ``conntra_neuro`` are its API and nothing else, imported when they are asked for."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import conntra_neuro as cn


def test_dir_is_the_api_and_nothing_else() -> None:
    assert dir(cn) == sorted([*cn.__all__, "__version__"])
    assert {"Conv2d", "SumPool", "MaxPool", "Flatten", "Residual", "IntegrateAndFire", "GradedRelu"} <= set(dir(cn))
    assert not {"Any", "TYPE_CHECKING", "import_module"} & set(dir(cn))


def test_what_type_checkers_see_is_what_there_is() -> None:
    source = inspect.getsource(cn)
    block = source.split("if _TYPE_CHECKING:")[1].split("_HOMES")[0]
    for name in cn.__all__:
        assert f" {name}" in block, name


@pytest.mark.parametrize("name", cn.__all__)
def test_every_name_is_there_and_documented(name: str) -> None:
    value = getattr(cn, name)
    if not inspect.isclass(value) and not inspect.isfunction(value):
        return  # BINARY, TERNARY
    assert inspect.getdoc(value), name
    if inspect.isclass(value):
        for member, found in inspect.getmembers(value):
            function = found.fget if isinstance(found, property) else found
            ours = inspect.isfunction(function) and function.__module__.startswith("conntra")
            if ours and not member.startswith("_"):
                assert inspect.getdoc(found), f"{name}.{member}"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Conv3d'"):
        _ = cn.Conv3d  # type: ignore[attr-defined]


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, conntra_neuro, conntra_hardware; print(sorted({'numpy', 'scipy', 'numba'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_trainer_loads_without_a_compiler() -> None:
    """numba takes a fifth of a second: it is loaded by what trains, not by what names a training."""
    code = "import sys, conntra_neuro.training.trainer, conntra_neuro.training.warm; print('numba' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
