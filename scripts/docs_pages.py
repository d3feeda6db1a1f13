"""The pages of the documentation site that are made from the code: its API, and the command line.

``docs/conf.py`` calls ``write`` before a build, and connects ``docstring`` and ``links_of_page``. No Sphinx is needed.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["docstring", "links_of_page", "write"]

ROOT = Path(__file__).resolve().parent.parent

# In the order in which they are met; a public name that is in no group fails the build.
API_GROUPS = {
    "Data": ("load_dataset", "from_events", "Dataset", "fit_encoder"),
    "Training": ("train", "TrainResult", "ConntraClassifier", "ConntraRegressor"),
    "Networks": ("DiscreteNetwork", "Dense", "Conv2d", "SumPool", "MaxPool", "Flatten", "Residual", "Recurrent"),
    "Neurons": ("Threshold", "MultiThreshold", "GradedRelu", "IntegrateAndFire", "Lif", "SigmaDelta", "Readout"),
    "Levels of weights": ("Levels", "BINARY", "TERNARY", "parse_levels"),
    "Files and exchange": ("save", "load", "import_network", "export", "memory_report", "MemoryReport"),
    "Chips and programs": ("chip_names", "load_chip", "Chip", "check", "Violation", "compile", "Program", "ValueScale"),
    "Running": ("run", "decide", "listen", "RunResult", "Host", "EventCounts", "Measured"),
    "Verification": ("verify", "Certificate"),
    "Energy and latency": ("estimate", "estimate_all", "EnergyEstimate"),
    "Errors": ("ConntraError", "InputError", "FileFormatError", "DoesNotFit", "DoesNotVerify", "BackendError"),
}


def write(folder: Path) -> None:
    """Write the pages into ``folder``, those only that have changed, so that Sphinx reads no others again."""
    folder.mkdir(exist_ok=True)
    for name, text in (("api.rst", api_page()), ("cli.md", cli_page()), ("changelog.md", changelog_page())):
        path = folder / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def api_page() -> str:
    """Return the reference of all public names of ``conntra_neuro``; ValueError for one that is in no group."""
    import conntra_neuro

    named = [name for names in API_GROUPS.values() for name in names]
    left = sorted(set(conntra_neuro.__all__) - set(named))
    if left:
        raise ValueError(f"scripts/docs_pages.py: {', '.join(left)} in no group of API_GROUPS")
    lines = [
        "Python API",
        "==========",
        "",
        "All public names, as in ``import conntra_neuro as cn``. Everything else may change without notice.",
        "",
        ".. currentmodule:: conntra_neuro",
        "",
    ]
    for group, names in API_GROUPS.items():
        lines += [group, "-" * len(group), ""]
        for name in names:
            if name not in conntra_neuro.__all__:
                continue
            lines += [*_documented(name, getattr(conntra_neuro, name)), ""]
    return "\n".join(lines)


def _documented(name: str, value: Any) -> list[str]:
    if inspect.isclass(value):
        if issubclass(value, Exception):
            return [f".. autoexception:: {name}"]
        return [f".. autoclass:: {name}", "   :members:", f"   :exclude-members: {', '.join(_fields(value)) or '_'}"]
    return [f".. autofunction:: {name}" if callable(value) else f".. autodata:: {name}"]


def _fields(kind: type) -> list[str]:
    """Return the fields of a dataclass: its docstring says what they are."""
    return [name for name in getattr(kind, "__dataclass_fields__", {}) if not name.startswith("_")]


def cli_page() -> str:
    """Return the reference of the command line, from the help that the verbs themselves print."""
    import typer.main

    from conntra_neuro.cli.verbs import app

    root: Any = typer.main.get_command(app)
    lines = ["# Command line", "", *_paragraphs(root.help or ""), ""]
    lines += ["Exit status: 0 done, 1 the answer is no, 2 wrong use or bad input, 130 interrupted.", ""]
    for name, command in root.commands.items():
        lines += [f"## conntra {name}", "", *_command(root, name, command)]
    return "\n".join(lines) + "\n"


def _command(root: Any, name: str, command: Any) -> Iterator[str]:
    about, _, examples = (command.help or "").partition("\n\nExample")
    yield from _paragraphs(about)
    yield ""
    context = command.make_context(f"conntra {name}", [], resilient_parsing=True)
    words = " ".join(command.collect_usage_pieces(context))
    yield from ["```text", f"conntra {name} {words}".strip(), "```", ""]
    found = [line.strip() for line in examples.partition(":")[2].splitlines() if line.strip()]
    if found:
        yield from ["```sh", *found, "```", ""]
    yield from ["| argument or option | meaning | default |", "| --- | --- | --- |"]
    for parameter in command.params:
        if parameter.name == "help" or getattr(parameter, "hidden", False):
            continue
        yield f"| {_named(parameter)} | {_cell(getattr(parameter, 'help', '') or '')} | {_default(parameter)} |"
    yield ""


def _named(parameter: Any) -> str:
    metavar = parameter.metavar
    if parameter.param_type_name == "argument":
        return f"`{metavar or parameter.name.upper()}`"
    options = ", ".join(f"`{option}`" for option in (*parameter.opts, *parameter.secondary_opts))
    kind = "" if parameter.is_flag else metavar or _kind(parameter)
    return f"{options} {_cell(kind)}".strip()


def _kind(parameter: Any) -> str:
    """Return what an option takes, as the help says it: a word for the type that the verb's signature gives."""
    annotation = parameter.type_descriptor.annotation
    words = {str: "TEXT", int: "INTEGER", float: "NUMBER", Path: "PATH"}
    return words.get(annotation, "TEXT")


def _default(parameter: Any) -> str:
    shown = getattr(parameter, "show_default", None)
    if isinstance(shown, str):
        return _cell(shown)
    value = parameter.default
    if shown is False or value is None or value is False or callable(value) or parameter.required:
        return ""
    return _cell(str(value)) if isinstance(value, (str, int, float, Path)) and value != "" else ""


def changelog_page() -> str:
    """Return CHANGELOG.md, whose links to the docs are made links within them."""
    return (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").replace("](docs/", "](../")


def _paragraphs(text: str) -> list[str]:
    return ["\n\n".join(" ".join(part.split()) for part in inspect.cleandoc(text).split("\n\n"))]


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


def links_of_page(app: Any, name: str, source: list[str]) -> None:
    """Turn the links of a page to files outside the docs into the files' names: the site does not have them."""
    if name.startswith("_generated"):
        return
    up = r"\.\./" * (name.count("/") + 1)
    source[0] = re.sub(rf"\[([^\]]*)\]\({up}([^)#\s]+)(#[^)\s]*)?\)", _file_name, source[0])


def _file_name(found: re.Match[str]) -> str:
    words, path = found[1].strip("`"), found[2]
    return f"`{path}`" if words in path else f"{found[1]} (`{path}`)"


_ENTRY = re.compile(r"(?P<names>\S.*?)(?P<gap>\s{2,})(?P<text>\S.*)")


def docstring(app: Any, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Turn a docstring of this project into reStructuredText.

    Parameters stand in blocks of two columns, names and meanings, whose lines go on in the second column; these become
    definition lists. Outside of literals nothing is markup.
    """
    done: list[str] = []
    for block in "\n".join(lines).strip("\n").split("\n\n"):
        done += [*_block(block.split("\n")), ""]
    lines[:] = done


def _block(lines: list[str]) -> list[str]:
    if len(lines) > 1 and set(lines[1]) == {"-"}:  # a section of scikit-learn's form
        return [f".. rubric:: {lines[0]}", "", *_block(lines[2:])]
    entries: list[tuple[str, list[str]]] = []
    column = 0
    for line in lines:
        found = _ENTRY.fullmatch(line)
        if found and not line.startswith(" "):
            column = found.end("gap")
            entries.append((found["names"], [found["text"]]))
        elif entries and line.startswith(" ") and len(line) - len(line.lstrip()) <= column:
            entries[-1][1].append(line.strip())
        else:
            return [_plain(line) for line in lines]
    parts = []
    for names, text in entries:
        title = ", ".join(f"``{word.strip('` ')}``" for word in names.split(", "))
        parts += [title, f"    {_plain(' '.join(text))}"]
    return parts


def _plain(line: str) -> str:
    """Escape what reStructuredText would take for markup, outside of double backquotes."""
    pieces = re.split(r"(``[^`]*``)", line)
    return "".join(
        piece if piece.startswith("``") else re.sub(r"([\\*|`]|\b\w*_(?=\W|$))", _escaped, piece) for piece in pieces
    )


def _escaped(found: re.Match[str]) -> str:
    text = found[0]
    return text[:-1] + "\\_" if text.endswith("_") else "\\" + text
