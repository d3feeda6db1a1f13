"""What pages, docstrings and comments name of this repository is there: files, folders, modules, links."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {"conntra_neuro": ROOT / "conntra_neuro", "conntra_hardware": ROOT / "hardware" / "conntra_hardware"}
TOPS = ("conntra_neuro", "hardware", "conntra_hardware", "scripts", "tests", "examples", "docs", ".ci")
ROOMS = sorted(
    {found.name for package in PACKAGES.values() for found in package.iterdir() if found.is_dir()} - {"__pycache__"}
)
DOCS = ROOT / "docs"
PAGES = sorted(
    [
        ROOT / "README.md",
        *(page for where in ("", "notebooks/", "records/") for page in DOCS.glob(f"{where}*.md")),
        *(ROOT / "hardware").glob("*/*.md"),
    ]
)
SOURCES = sorted(path for top in TOPS[:5] for path in (ROOT / top).rglob("*.py"))
SETTINGS = [ROOT / "pyproject.toml", ROOT / "Makefile", ROOT / ".pre-commit-config.yaml"]

# A path from the root; one from a room, as `backends/lava`; a file or a folder in backticks, by its name.
FROM_ROOT = re.compile(rf"(?<![\w/.~-])(?:{'|'.join(map(re.escape, TOPS))})/[\w.*/-]*[\w*/]")
FROM_ROOM = re.compile(rf"`(?:{'|'.join(ROOMS)})/[\w.*/-]*`")
FILE_NAME = re.compile(r"`[\w.*-]+(?:/[\w.*-]+)*(?:\.(?:py|toml|md)|/)`")
DOTTED = re.compile(r"\bconntra_(?:neuro|hardware)(?:\.[A-Za-z_]\w*)+")
LINK = re.compile(r"\]\(([^)\s]+)\)")
# What a reader is to put a name of his own into.
TO_FILL_IN = re.compile(r"\b(?:NAME|KIND|FORMAT)\b|<\w+>")
# What pages name because it must not be there.
ABSENT = {"tests/__init__.py"}


@cache
def files_of_the_repository() -> tuple[Path, ...]:
    tops = [ROOT / top for top in TOPS if (ROOT / top).exists()]
    below = [path for top in tops for path in top.rglob("*") if "__pycache__" not in path.parts]
    return (*tops, *below, *(path for path in ROOT.iterdir() if path.is_file()))


@cache
def names_of_the_repository() -> frozenset[str]:
    return frozenset(path.name for path in files_of_the_repository())


@cache
def path_is_there(name: str, beside: Path) -> bool:
    """Whether some file or folder has this path, from the root, a package, the tests, or the folder ``beside``."""
    pattern = TO_FILL_IN.sub("*", name).strip("/")
    bases = (ROOT, ROOT / "hardware", *PACKAGES.values(), ROOT / "tests", beside)
    if "/" not in pattern:
        return pattern in names_of_the_repository() or any(path.match(pattern) for path in files_of_the_repository())
    return any(any(base.glob(pattern)) for base in bases)


@cache
def dotted_is_there(name: str) -> bool:
    """Whether ``name`` is a module, or what a module or a class holds."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found = importlib.util.find_spec(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        if found is None:
            continue
        if count == len(parts):
            return True
        value: object = importlib.import_module(".".join(parts[:count]))
        for part in parts[count:]:
            fields = getattr(value, "__dataclass_fields__", {})
            if not hasattr(value, part) and part not in fields:
                return False
            value = getattr(value, part, None)
        return True
    return False


def untrue_names(text: str, beside: Path = ROOT) -> list[str]:
    """Return the paths and modules of the repository that ``text`` names and that are not there."""
    paths = {match.group().strip("`") for form in (FROM_ROOT, FROM_ROOM, FILE_NAME) for match in form.finditer(text)}
    dotted = {match.group() for match in DOTTED.finditer(text)}
    untrue = [name for name in paths - ABSENT if not path_is_there(name, beside)]
    return sorted(untrue + [name for name in dotted if not dotted_is_there(name)])


def prose_of(source: str) -> str:
    """Return the docstrings and the comments of a module."""
    tree = ast.parse(source)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = [ast.get_docstring(node) or "" for node in ast.walk(tree) if isinstance(node, documented)]
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return "\n".join([*docstrings, *(token.string for token in tokens if token.type == tokenize.COMMENT)])


def anchors_of(page: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(path: Path) -> Iterator[str]:
    for target in LINK.findall(path.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        page = path.parent / name if name else path
        if not page.exists() or (anchor and anchor not in anchors_of(page.read_text(encoding="utf-8"))):
            yield target


@pytest.mark.parametrize("path", [*PAGES, *SETTINGS], ids=lambda path: path.name)
def test_what_a_page_names_is_there(path: Path) -> None:
    assert untrue_names(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_between_pages_lead_somewhere(path: Path) -> None:
    assert list(broken_links(path)) == []


def test_what_docstrings_and_comments_name_is_there() -> None:
    untrue = {}
    for path in SOURCES:
        source = path.read_text(encoding="utf-8")
        found = untrue_names(source, path.parent)  # most have none, and need not be parsed
        untrue[str(path.relative_to(ROOT))] = found and untrue_names(prose_of(source), path.parent)
    assert len(untrue) > 200
    assert {path: names for path, names in untrue.items() if names} == {}


def rooms_of_the_contract(package: str) -> list[set[str]]:
    """Return the rooms of a package by layer, from top to bottom, as the import contracts say."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    (found,) = [c["layers"] for c in contracts if c["type"] == "layers" and c["containers"] == [package]]
    return [set(re.split(r"[ :|]+", layer)) for layer in found]


def rooms_of_the_page(package: str) -> list[set[str]]:
    """Return the rooms of a package by row of its table in CONTRIBUTING."""
    page = (ROOT / "docs" / "CONTRIBUTING.md").read_text(encoding="utf-8")
    _, _, below = page.partition(f"`{PACKAGES[package].relative_to(ROOT)}/`")
    rows = re.search(r"^\|.*room.*\|\n\|[- |]*\n((?:\|.*\n)+)", below, re.MULTILINE)
    assert rows is not None
    return [set(re.findall(r"`(\w+)`", row.split("|")[1])) for row in rows[1].splitlines()]


@pytest.mark.parametrize("package", PACKAGES)
def test_the_rooms_that_contributing_names_are_those_of_the_package(package: str) -> None:
    named = rooms_of_the_page(package)
    assert named == rooms_of_the_contract(package)
    there = {path.stem for path in PACKAGES[package].iterdir() if path.is_dir() or path.suffix == ".py"}
    assert set().union(*named) == there - {"__pycache__", "__init__"}


def test_the_chip_package_says_its_rooms_itself() -> None:
    listed = re.findall(r"^(\w+) {2,}\w", (PACKAGES["conntra_hardware"] / "__init__.py").read_text(), re.MULTILINE)
    assert [{room} for room in listed] == rooms_of_the_contract("conntra_hardware")


def test_what_must_not_be_there_is_not() -> None:
    assert not any((ROOT / name).exists() for name in ABSENT)


def test_what_is_not_there_is_found() -> None:
    assert untrue_names(
        "`hardware/conntra_hardware/chips/*.toml`, tests/nowhere/test_x.py and `backends/brian.py`"
    ) == [
        "backends/brian.py",
        "hardware/conntra_hardware/chips/*.toml",
        "tests/nowhere/test_x.py",
    ]
    assert untrue_names("`nowhere.toml`, `conntra_hardware.fit.overflow.proof`, conntra_neuro.codec") == [
        "conntra_hardware.fit.overflow.proof",
        "conntra_neuro.codec",
        "nowhere.toml",
    ]
    fine = (
        "`backends/NAME.py`, `cost/energy.py`, `conftest.py`, `conntra_hardware.Program`, tests/benchmarks/bench_c.py."
    )
    assert untrue_names(fine.replace("conntra_hardware.Program", "conntra_neuro.Program.verify")) == []
    source = '"""See tests/nowhere.py."""\nTEXT = "tests/neither.py"  # as docs/nowhere.md says\n'
    assert untrue_names(prose_of(source)) == ["docs/nowhere.md", "tests/nowhere.py"]
