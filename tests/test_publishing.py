"""What is published beside the code agrees with it: citation, security, container, workflow."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def test_the_citation_names_this_version_and_license() -> None:
    citation = text("CITATION.cff")
    assert f"\nversion: {PROJECT['version']}\n" in citation
    assert f"\nlicense: {PROJECT['license']}\n" in citation
    assert "2009.00540" in citation


def test_the_workflow_tries_every_python_that_is_claimed() -> None:
    claimed = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    workflow = text(".github/workflows/ci.yml")
    matrices = [re.findall(r'"([^"]+)"', listed) for listed in re.findall(r"python: \[(.*)\]", workflow)]
    assert claimed in matrices, "installs"
    assert any([claimed[0], *matrix] == claimed for matrix in matrices), "tests; the first one is .ci/run's"
    assert "run: .ci/run" in workflow


def test_the_container_copies_what_is_there() -> None:
    sources = [words for line in text("Containerfile").splitlines() if (words := line.split())[:1] == ["COPY"]]
    names = [name for words in sources for name in words[1:-1] if not name.startswith(("--", "/"))]
    assert "conntra_neuro" in names
    assert all((ROOT / name).exists() for name in names)


def test_the_sdist_has_what_it_lists() -> None:
    settings = tomllib.loads(text("pyproject.toml"))["tool"]["hatch"]["build"]["targets"]["sdist"]
    assert all((ROOT / name.lstrip("/")).exists() for name in settings["include"])


def test_links_of_the_community_files_lead_somewhere() -> None:
    for name in ("SECURITY.md", "CODE_OF_CONDUCT.md"):
        targets = re.findall(r"\]\(([^)#]+)\)", text(name))
        assert all("://" in target or (ROOT / target).exists() for target in targets)


def test_nothing_is_unpickled() -> None:
    """SECURITY.md promises that loading a file executes no code."""
    modules = [*(ROOT / "conntra_neuro").rglob("*.py"), *(ROOT / "hardware").rglob("*.py")]
    for path in modules:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names = [alias.name for alias in node.names]
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                known = {"pickle", "cloudpickle", "dill", "marshal", "shelve"} & {n.split(".")[0] for n in names}
                assert not known, f"{path}, line {node.lineno}"
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr != "load":
                continue
            if ast.unparse(node.func) in ("np.load", "numpy.load"):
                kept = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                assert kept.get("allow_pickle") == "False", f"{path}, line {node.lineno}"
