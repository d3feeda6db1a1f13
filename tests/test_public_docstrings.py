"""Everything public says what it takes, with shapes and units, and which errors it raises."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from functools import cache
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
import pytest

import conntra_hardware.base.errors as errors
import conntra_neuro as cn

ROOMS = ("backends", "backends.protocol", "chip", "neurons", "program", "proof.verify", "runtime")
ERRORS = {name for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, cn.ConntraError)}


def public() -> dict[str, Any]:
    """Return what has a docstring of its own: classes and functions of both packages, by name."""
    found = {f"conntra_neuro.{name}": getattr(cn, name) for name in cn.__all__}
    for room in ROOMS:
        module = importlib.import_module(f"conntra_hardware.{room}")
        found |= {f"{module.__name__}.{name}": getattr(module, name) for name in module.__all__}
    return {name: value for name, value in found.items() if inspect.isclass(value) or inspect.isfunction(value)}


def members(value: type) -> Iterator[tuple[str, FunctionType]]:
    """Yield the public methods and properties that a class of ours, or its base of ours, defines."""
    for name in dir(value):
        found = inspect.getattr_static(value, name)
        function = found.fget if isinstance(found, property) else getattr(found, "__func__", found)
        if not name.startswith("_") and inspect.isfunction(function) and function.__module__.startswith("conntra"):
            yield name, function


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text))


def described(value: Any) -> str:
    """Return the docstring of a function, or of a class together with those of its bases of ours."""
    if not inspect.isclass(value):
        return inspect.getdoc(value) or ""
    return "\n".join(base.__doc__ or "" for base in value.__mro__ if base.__module__.startswith("conntra"))


def parameters(value: Any) -> set[str]:
    """Return what a caller may give; not what ``**options`` stands for by name alone."""
    try:
        found = inspect.signature(value).parameters.values()
    except ValueError:  # exceptions that take a message
        return set()
    return {p.name for p in found if p.name not in ("self", "cls", "args", "kwargs")}


@cache
def raised_in(module: ModuleType) -> dict[str, set[str]]:
    """Return for each function of ``module``, by its qualified name, the errors that it or what it calls raises."""
    tree = ast.parse(inspect.getsource(module))
    own: dict[str, set[str]] = {}
    calls: dict[str, set[str]] = {}

    def visit(node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef):
                visit(child, f"{child.name}.")
            elif isinstance(child, ast.FunctionDef):
                name = f"{prefix}{child.name}"
                raises = [n.exc for n in ast.walk(child) if isinstance(n, ast.Raise) and n.exc is not None]
                named = {e.func.id for e in raises if isinstance(e, ast.Call) and isinstance(e.func, ast.Name)}
                own[name] = named & ERRORS
                funcs = [n.func for n in ast.walk(child) if isinstance(n, ast.Call)]
                calls[name] = {f.id for f in funcs if isinstance(f, ast.Name)}
                calls[name] |= {f"{prefix}{f.attr}" for f in funcs if isinstance(f, ast.Attribute) and is_self(f.value)}

    visit(tree, "")
    changed = True
    while changed:
        changed = False
        for name, called in calls.items():
            more = set().union(*(own.get(c, set()) | own.get(f"{c}.__init__", set()) for c in called)) - own[name]
            own[name] |= more
            changed = changed or bool(more)
    return own


def is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


def raised(function: Callable[..., Any]) -> set[str]:
    return raised_in(importlib.import_module(function.__module__)).get(function.__qualname__, set())


def missing_of(value: Any) -> list[str]:
    """Return what the docstrings of a class or a function leave out."""
    text = described(value)
    left_out = [] if (inspect.getdoc(value) or "").strip() else ["docstring"]
    left_out += sorted(parameters(value) - words(text))
    if not inspect.isclass(value):
        return left_out + sorted(raised(value) - words(text))
    made = [vars(base).get(name) for base in value.__mro__ for name in ("__init__", "__post_init__")]
    for function in made:
        if inspect.isfunction(function) and function.__module__.startswith("conntra"):
            left_out += sorted(raised(function) - words(text))
    for name, function in members(value):
        doc = inspect.getdoc(getattr(value, name)) or ""
        asked = {f"{name}({each})" for each in parameters(function) - words(doc) - words(text)}
        left_out += sorted(asked | {f"{name}: {each}" for each in raised(function) - words(doc)})
        left_out += [] if doc.strip() else [f"{name}: docstring"]
    return list(dict.fromkeys(left_out))


PUBLIC = public()


@pytest.mark.parametrize("name", PUBLIC)
def test_docstrings_name_every_parameter_and_error(name: str) -> None:
    assert missing_of(PUBLIC[name]) == []


def test_what_is_left_out_is_found() -> None:
    def half(x: Any, y: Any = None, **options: Any) -> None:
        """Take ``x``."""

    class Half:
        """Takes ``x``."""

        def __init__(self, x: Any, y: Any) -> None: ...

    Half.__module__ = "conntra_for_a_test"
    assert sorted(parameters(half) - words(described(half))) == ["options", "y"]
    assert sorted(parameters(Half) - words(described(Half))) == ["y"]
    assert len(PUBLIC) > 60
    assert "InputError" in raised(cn.load_dataset)
    assert "InputError" in raised(cn.DiscreteNetwork.__init__)  # through a method that it calls
    assert sum(bool(raised(value)) for value in PUBLIC.values() if inspect.isfunction(value)) > 8


# What these raise comes from modules below, where reading their own source does not see it.
WRONG: dict[str, tuple[Callable[[], Any], type[Exception]]] = {
    "Dense": (lambda: cn.Dense([[0.5]]), cn.InputError),
    "Conv2d": (lambda: cn.Conv2d(np.ones((1, 1, 3, 3), int), input_shape=(1, 2, 2)), cn.InputError),
    "SumPool": (lambda: cn.SumPool(3, input_shape=(1, 2, 2)), cn.InputError),
    "MaxPool": (lambda: cn.MaxPool(0, input_shape=(1, 2, 2)), cn.InputError),
    "Residual": (lambda: cn.Residual(0, 1, scale=0), cn.InputError),
    "GradedRelu": (lambda: cn.GradedRelu(24), cn.InputError),
    "IntegrateAndFire": (lambda: cn.IntegrateAndFire(0, 4), cn.InputError),
    "Levels": (lambda: cn.Levels((1,)), cn.InputError),
    "Host": (lambda: cn.Host("ethernet"), cn.InputError),
    "parse_levels": (lambda: cn.parse_levels("many"), cn.InputError),
    "load": (lambda: cn.load("/nowhere"), cn.FileFormatError),
    "load_chip": (lambda: cn.load_chip("loihi9"), cn.InputError),
    "load_dataset": (lambda: cn.load_dataset("npz:/nowhere"), cn.FileFormatError),
    "export": (lambda: cn.export(network(), "a.unknown"), cn.InputError),
    "export to nowhere": (lambda: cn.export(network(), "/nowhere/a.h"), cn.FileFormatError),
    "save nothing": (lambda: cn.save(None, "a.conntra"), cn.InputError),  # type: ignore[arg-type]
    "import_network": (lambda: cn.import_network("/nowhere.nir"), cn.FileFormatError),
    "save": (lambda: cn.save(network(), "/nowhere/a.conntra"), cn.FileFormatError),
    "check": (lambda: cn.check(network(), "loihi9"), cn.InputError),
    "compile": (lambda: cn.compile(network(), "loihi9"), cn.InputError),
    "estimate": (lambda: cn.estimate(result().counts, result().program, "nobody"), cn.InputError),
    "fit_encoder": (lambda: cn.fit_encoder(np.zeros((2, 2)), "foo"), cn.InputError),
    "run": (lambda: cn.run(result().program, np.zeros((2, 9))), cn.InputError),
    "verify": (lambda: cn.verify(result().program, np.zeros((2, 2), int), ["reference"]), cn.InputError),
    "train": (lambda: cn.train(cn.load_dataset("iris"), layers=["x"]), cn.InputError),
}


def network() -> cn.DiscreteNetwork:
    return cn.DiscreteNetwork([cn.Dense([[1, -1], [1, 1]], activation="readout")])


def result() -> cn.RunResult:
    return cn.compile(network(), "loihi1").run(np.zeros((2, 2), np.uint8))


@pytest.mark.parametrize("name", WRONG)
def test_what_comes_from_wrong_arguments_is_in_the_docstring(name: str) -> None:
    wrong, error = WRONG[name]
    with pytest.raises(error):
        wrong()
    assert error.__name__ in words(described(getattr(cn, name.split()[0])))
