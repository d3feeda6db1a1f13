"""The documentation site: every page has a place in it, and its reference leaves nothing out."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

import conntra_neuro

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
NOTEBOOKS = sorted((DOCS / "notebooks").glob("*.md"))
PAGES = [*sorted(DOCS.glob("*.md")), *sorted((DOCS / "records").glob("*.md")), *NOTEBOOKS]
sys.path.append(str(ROOT / "scripts"))

import docs_pages  # noqa: E402


def test_every_page_has_a_place_in_the_site() -> None:
    index = (DOCS / "index.md").read_text("utf-8")
    listed = [line for block in re.findall(r"```\{toctree\}(.*?)```", index, re.DOTALL) for line in block.split("\n")]
    pages = {line.strip() for line in listed if line.strip() and not line.startswith(":")}
    there = {path.relative_to(DOCS).with_suffix("").as_posix() for path in PAGES} - {"index"}
    assert there - pages == set(), "name these pages in one of the groups of docs/index.md"
    generated = {f"_generated/{name}" for name in ("api", "cli", "changelog")}
    assert pages - there == generated


def test_the_api_has_every_public_name_once() -> None:
    page = docs_pages.api_page()
    named = re.findall(r"^\.\. auto\w+:: (\w+)$", page, re.MULTILINE)
    assert sorted(named) == sorted(conntra_neuro.__all__)


def test_a_public_name_without_a_group_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(docs_pages.API_GROUPS, "Errors", ("ConntraError",))
    with pytest.raises(ValueError, match=r"BackendError, DoesNotFit, .* in no group of API_GROUPS"):
        docs_pages.api_page()


def test_the_command_line_has_every_verb_and_option() -> None:
    from typer.main import get_command

    from conntra_neuro.cli.verbs import app

    page = docs_pages.cli_page()
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        section = page.partition(f"\n## conntra {name}\n")[2].partition("\n## ")[0]
        assert f"```text\nconntra {name}" in section
        assert "```sh\nconntra " in section, "its example"
        for parameter in command.params:
            if parameter.name != "help" and parameter.param_type_name == "option":
                assert f"`{parameter.opts[0]}`" in section


def test_docstrings_become_definition_lists() -> None:
    lines = [
        "Return *x* and ``y * 2`` of a_name_.",
        "",
        "first         what it is",
        "second, third  the shape (n, *rest), which",
        "               goes on here",
        "",
        "Attributes",
        "----------",
        "last_   0 | 1",
    ]
    docs_pages.docstring(None, "function", "f", None, None, lines)
    assert lines == [
        r"Return \*x\* and ``y * 2`` of a_name\_.",
        "",
        "``first``",
        "    what it is",
        "``second``, ``third``",
        r"    the shape (n, \*rest), which goes on here",
        "",
        ".. rubric:: Attributes",
        "",
        "``last_``",
        r"    0 \| 1",
        "",
    ]


def test_plain_text_with_two_blanks_is_left_as_it_is() -> None:
    lines = ["A sentence.  Another one", "that goes on."]
    docs_pages.docstring(None, "function", "f", None, None, lines)
    assert lines == ["A sentence.  Another one", "that goes on.", ""]


def test_links_out_of_the_docs_become_names_of_files() -> None:
    page = ["See [the kit](../hardware/kit/README.md#use), [`deploy.py`](../hardware/kit/deploy.py), [x](layers.md)."]
    docs_pages.links_of_page(None, "loihi", page)
    assert page == ["See the kit (`hardware/kit/README.md`), `hardware/kit/deploy.py`, [x](layers.md)."]
    notebook = ["[Layers](../layers.md), [the kit](../../hardware/kit/README.md)"]
    docs_pages.links_of_page(None, "notebooks/chip", notebook)
    assert notebook == ["[Layers](../layers.md), the kit (`hardware/kit/README.md`)"]


def test_links_between_pages_lead_somewhere() -> None:
    for path in [ROOT / "README.md", *PAGES]:
        text = re.sub(r"```.*?```", "", path.read_text("utf-8"), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
            if "://" not in target:
                assert (path.parent / target).exists(), f"{path.name}: {target}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_one_for_myst_and_its_code_is_python(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.startswith("---\nfile_format: mystnb\nkernelspec:\n  name: python3\n---\n\n# ")
    cells = re.findall(r"^```\{code-cell\}\n(?::[^\n]*\n)*(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(cells) >= 5
    assert text.count("{code-cell}") == len(cells)
    for cell in cells:
        ast.parse("\n".join(line for line in cell.split("\n") if not line.startswith("%")))


def test_what_builds_the_site_is_pinned() -> None:
    lines = (DOCS / "requirements.txt").read_text("utf-8").splitlines()
    pinned = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in pinned)
    assert {"Sphinx", "furo", "myst-parser", "myst-nb"} <= {line.partition("==")[0] for line in pinned}
