"""Mutation testing: change one thing in a module, run its tests, and see whether they notice.

    python scripts/mutate_modules.py hardware/conntra_hardware/neurons/lif.py tests/hardware/test_lif.py
    python scripts/mutate_modules.py MODULE TESTS... --limit 30 --seed 1

Mutants: a comparison becomes its neighbour (< and <=, == and !=), an operator its opposite (+ and -, * and //), an
integer one more, ``and`` becomes ``or``, a condition its negation, True False, a returned value None. Docstrings,
raised messages, decorators and ``__all__`` are left alone. The module is changed in a copy of the packages; nothing
here is touched. The tests run in processes forked from one that has imported the libraries. Every survivor is printed
with its line. Exit status 1 where there is one.
"""

from __future__ import annotations

import argparse
import ast
import copy
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis  # noqa: F401  # for the forked processes, as are the next ones
import numba
import numpy  # noqa: F401
import pytest
import scipy.sparse  # noqa: F401
import sklearn.datasets  # noqa: F401

_EARLY = "ignore::pytest.PytestAssertRewriteWarning"  # of libraries that are imported already
_ROOT = Path(__file__).resolve().parents[1]
_COMPARE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_OPERATE: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.Div: ast.Mult,
}


def main() -> int:
    """Try the mutants of one module, print the survivors and the score."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("module", type=Path)
    parser.add_argument("tests", nargs="+", help="what pytest runs on each mutant")
    parser.add_argument("--limit", type=int, help="so many mutants, drawn by --seed; all of them otherwise")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--timeout", type=float, default=300.0, help="seconds; a mutant that runs longer is found")
    asked = parser.parse_args()
    module = asked.module.resolve().relative_to(_ROOT)
    tree = ast.parse((_ROOT / module).read_text(encoding="utf-8"))
    found = list(_mutants(tree))
    random.Random(asked.seed).shuffle(found)
    chosen = found[: asked.limit]
    survivors = []
    with tempfile.TemporaryDirectory() as name:
        copy_of = _copied(Path(name))
        if "jit" not in (_ROOT / module).read_text(encoding="utf-8"):  # else a cache may hold what was before
            numba.config.CACHE_DIR = name + "/cache"  # type: ignore[attr-defined]
        if not _passes(copy_of, asked.tests, asked.timeout):
            raise SystemExit(f"{' '.join(asked.tests)}: fails as it is")
        for line, what, mutant in chosen:
            (copy_of / module).write_text(ast.unparse(mutant), encoding="utf-8")
            for stale in (copy_of / module.parent / "__pycache__").glob(f"{module.stem}.*.pyc"):
                stale.unlink()  # Python would take a mutant of the same second and size for it
            if _passes(copy_of, asked.tests, asked.timeout):
                survivors.append((line, what))
                print(f"survived: {module}:{line}: {what}", flush=True)
    killed = len(chosen) - len(survivors)
    print(f"{module}: {killed} of {len(chosen)} mutants found ({len(found)} there are)")
    return int(bool(survivors))


def _copied(folder: Path) -> Path:
    for part in ("conntra_neuro", "hardware", "tests", "scripts", "docs", "examples"):
        shutil.copytree(_ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("pyproject.toml", "README.md", "constraints.txt"):
        shutil.copy(_ROOT / part, folder)
    return folder


def _passes(folder: Path, tests: list[str], seconds: float) -> bool:
    child = os.fork()
    if child == 0:
        status = 99
        try:
            status = _run_tests(folder, tests)
        finally:
            os._exit(status)
    deadline = time.monotonic() + seconds
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status) == 0
        if time.monotonic() > deadline:
            os.killpg(child, signal.SIGKILL)
        time.sleep(0.01)


def _run_tests(folder: Path, tests: list[str]) -> int:
    os.setsid()
    os.chdir(folder)
    paths = [str(folder), str(folder / "hardware")]
    here = {str(_ROOT), str(_ROOT / "hardware"), str(_ROOT / "scripts")}
    sys.path[:] = [*paths, *(path for path in sys.path if path not in here)]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    sys.dont_write_bytecode = False  # the other modules, and the tests, are compiled once
    for number in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), number)
    return int(pytest.main(["-x", "-q", "--tb=no", "-p", "no:cacheprovider", "-W", _EARLY, *tests]))


def _mutants(tree: ast.Module) -> Iterator[tuple[int, str, ast.Module]]:
    """Yield (line, what was changed, mutated module)."""
    for index, node in enumerate(ast.walk(tree)):
        if _left_alone(tree, node):
            continue
        for what, change in _changes(node):
            mutant = copy.deepcopy(tree)
            twin = next(found for at, found in enumerate(ast.walk(mutant)) if at == index)
            change(twin)
            yield getattr(node, "lineno", 0), what, ast.fix_missing_locations(mutant)


def _left_alone(tree: ast.Module, node: ast.AST) -> bool:
    """Return whether ``node`` is in a raise, annotation, decorator or ``__all__``: words, which no test asks for."""
    if not hasattr(tree, "words"):
        words: set[int] = set()
        for found in ast.walk(tree):
            parts: list[ast.AST | None] = []
            if isinstance(found, ast.Raise):
                parts = [found.exc]
            elif isinstance(found, (ast.arg, ast.AnnAssign)):
                parts = [found.annotation]
            elif isinstance(found, ast.FunctionDef):
                parts = [found.returns, *found.decorator_list]
            elif isinstance(found, ast.ClassDef):
                parts = list(found.decorator_list)
            elif isinstance(found, ast.Assign) and any(
                isinstance(t, ast.Name) and t.id == "__all__" for t in found.targets
            ):
                parts = [found.value]
            words |= {id(inner) for part in parts if part is not None for inner in ast.walk(part)}
        tree.words = words  # type: ignore[attr-defined]
    return id(node) in tree.words  # type: ignore[attr-defined]


def _changes(node: ast.AST) -> Iterator[tuple[str, Callable[[Any], None]]]:
    def put(name: str, value: object) -> Callable[[Any], None]:
        return lambda twin: setattr(twin, name, value)

    if isinstance(node, ast.Compare) and type(node.ops[0]) in _COMPARE:
        other = _COMPARE[type(node.ops[0])]
        yield f"{type(node.ops[0]).__name__} -> {other.__name__}", put("ops", [other(), *node.ops[1:]])
    elif isinstance(node, (ast.BinOp, ast.AugAssign)) and type(node.op) in _OPERATE:
        other_op = _OPERATE[type(node.op)]
        yield f"{type(node.op).__name__} -> {other_op.__name__}", put("op", other_op())
    elif isinstance(node, ast.BoolOp):
        new = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield f"{type(node.op).__name__} -> {type(new).__name__}", put("op", new)
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield f"{node.value} -> {not node.value}", put("value", not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int):
        yield f"{node.value} -> {node.value + 1}", put("value", node.value + 1)
    elif isinstance(node, (ast.If, ast.IfExp, ast.While)):
        yield "a condition negated", lambda twin: setattr(twin, "test", ast.UnaryOp(ast.Not(), twin.test))
    elif isinstance(node, ast.Return) and node.value is not None:
        yield "return None", put("value", ast.Constant(None))
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield "a sign gone", put("op", ast.UAdd())


if __name__ == "__main__":
    sys.exit(main())
