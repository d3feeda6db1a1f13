"""Puts the figures of docs/results.json into README.md and the pages of docs, or checks that they are there.

    python scripts/results_pages.py --write     # after scripts/measure_results.py
    python scripts/results_pages.py             # exit status 1 where a page says what docs/results.json does not

A page has blocks between `<!-- results: NAME -->` and `<!-- end of results -->`; what stands in them is made here.
Outside of them a page may state a figure with a unit if a block has it, on whichever page, or if the page says why it
is not one that was measured, in a comment `<!-- given: WHY: FIGURE; FIGURE -->` (a default, a limit, a cited source).
The records of what was tried, docs/records, are not checked: they are dated, and nothing is derived from them.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from markdown_tables import as_markdown
from results_studies import STUDIES
from study_kinds import tables_in

ROOT = Path(__file__).resolve().parent.parent
NOT_CHECKED = ("_generated", "records", "licences.md")
PAGES = (
    "README.md",
    *sorted(
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "docs").rglob("*.md")
        if path.relative_to(ROOT / "docs").parts[0] not in NOT_CHECKED
    ),
)
BLOCK = re.compile(r"(<!-- results: (?P<name>[\w-]+) -->\n)(?P<body>.*?)(<!-- end of results -->)", re.DOTALL)
FIGURE = re.compile(
    r"(?<![\w.,/-])\d[\d,]*(?:\.\d+)?\s?(?:%|(?:s|ms|µs|us|nJ|uJ|µJ|pJ|kB|MB|x|spikes|potentials|points)\b)"
)
GIVEN = re.compile(r"<!-- given: (?P<why>[^:]+): (?P<figures>.*?) -->", re.DOTALL)
BUSY = 0.5
"""A load a core from which times are called those of a busy machine."""

Results = Mapping[str, Any]


def figure(results: Results, part: str, name: str, digits: int | None = None, unit: str | None = None) -> str:
    """Return a figure as pages state it: its mean, the standard deviation where there are several values, the unit."""
    found = results[part]["figures"][name]
    places = _places(found["mean"]) if digits is None else digits
    shown = f"{found['mean']:,.{places}f}"
    if found.get("sd") and not found.get("timing"):
        shown += f" ± {found['sd']:.{max(places, 1) if found['sd'] < 1 else places}f}"
    unit = found["unit"] if unit is None else unit
    return f"{shown} {unit}".strip()


def _places(value: float) -> int:
    return 0 if abs(value) >= 100 or value == int(value) else 1 if abs(value) >= 10 else 2


def _table(head: str, *rows: tuple[str, ...]) -> Iterator[str]:
    yield from as_markdown(head, rows).splitlines()
    yield ""


def _commands(results: Results, part: str) -> Iterator[str]:
    found = results[part]
    yield from ["```sh", *found["commands"], "```", ""]
    where = found["machine"]
    load = found["load_before"]
    if found.get("adopted"):
        yield f"{found['date']}, by hand: the table was taken over when tables began to be made from one file."
        yield ""
        return
    busy = f"; other work kept it busy (load {load:g}), so times are too long" if _busy(found) and _timed(found) else ""
    python = where["versions"]["python"]
    cores = "1 core" if where["cores"] == 1 else f"{where['cores']} cores"
    yield f"{found['date']}, {cores} of {where['processor']}, Python {python}{busy}."
    yield ""


def _busy(part: Results) -> bool:
    return part["load_before"] > BUSY * part["machine"]["cores"]


def _timed(part: Results) -> bool:
    """Whether a part states times of this machine."""
    heads = [head for table in part.get("tables", ()) for head in table["head"]]
    timings = (figure.get("timing") for figure in part.get("figures", {}).values())
    return any(timings) or any(re.search(r"(?:^|, )(?:s|seconds)$", head) for head in heads)


def study(results: Results, name: str) -> Iterator[str]:
    """Return the tables of a study, and what made them."""
    for table in results[name]["tables"]:
        yield from _table("|".join(table["head"]), *(tuple(row) for row in table["rows"]))
    yield from _commands(results, name)


def demo_output(results: Results) -> Iterator[str]:
    """What ``conntra demo`` prints."""
    yield from ["```text", *results["demo"]["figures"]["output"]["lines"], "```"]


def first_minute(results: Results) -> Iterator[str]:
    """How long the demo takes, the first time and later."""
    kind = "processor" if _busy(results["demo"]) else "start"
    first, later = (figure(results, "demo", f"{name}_{kind}", 0) for name in ("first", "later"))
    of = " of processor time" if kind == "processor" else f" on {results['demo']['machine']['cores']} cores"
    yield f"The first start takes {first}{of}, because kernels are compiled once; later ones take {later}."


def demo(results: Results) -> Iterator[str]:
    """The times of the demo, with their command."""
    got = {name: figure(results, "demo", name, 1) for name in results["demo"]["figures"] if name != "output"}
    yield from _table(
        "`conntra demo`, mean of three|processor time|from start to end",
        ("with empty caches", got["first_processor"], got["first_start"]),
        ("again", got["later_processor"], got["later_start"]),
    )
    yield from _commands(results, "demo")


def digits(results: Results) -> Iterator[str]:
    """Digits in five folds."""
    seeds = results["digits"]["figures"]["error"]["seeds"]
    yield from _table("|", (f"test error, mean over {seeds} seeds", figure(results, "digits", "error", 2)))
    yield from _commands(results, "digits")


def mnist(results: Results) -> Iterator[str]:
    """MNIST, with and without a penalty on energy."""

    def both(name: str, digits: int) -> tuple[str, ...]:
        return tuple(figure(results, part, name, digits) for part in ("mnist", "penalty") if part in results)

    heads = ["", "`--layers 256`", *(["and `--penalty energy=1`"] if "penalty" in results else [])]
    yield from _table(
        "|".join(heads),
        ("error on 10,000 images", *both("error", 2)),
        ("synaptic operations an image", *(text.rpartition(" syn")[0] for text in both("synops", 0))),
        ("dynamic energy, `davies2018`", *both("energy_davies2018", 0)),
        ("dynamic energy, `sanafe2025`", *both("energy_sanafe2025", 0)),
        ("latency, `davies2018`", *both("latency_davies2018", 1)),
        ("latency, `sanafe2025`", *both("latency_sanafe2025", 1)),
    )
    for part in ("mnist", "penalty"):
        if part in results:
            yield from _commands(results, part)


def mnist_one(results: Results) -> Iterator[str]:
    """What was found of the network of seed 0: memory, simulators, verification, C."""
    got = {name: figure(results, "mnist", name) for name in results["mnist"]["figures"]}
    rows = [
        ("memory of the weights", f"{got['memory']}; in float64 {got['memory_float64']}"),
        ("flash as C, packing `bits` and `digits`", f"{got['flash_bits']}, {got['flash_digits']}"),
        (
            "accuracies of reference, Lava and Brian2",
            "the same" if got["accuracies_of_simulators"][0] == "1" else "NOT",
        ),
        (
            "compared on each of the three, 1,000 images",
            f"{got['verified_spikes']}, {got['verified_potentials']}: equal",
        ),
        ("training", got["training"]),
        *((f"10,000 images on {name}", got[f"simulated_{name}"]) for name in ("reference", "lava", "brian2")),
    ]
    yield from _table("the network of seed 0|", *rows)


def fuzz(results: Results) -> Iterator[str]:
    """Random programs on every simulator."""
    figures = results["fuzz"]["figures"]
    names = [name.removesuffix("_programs") for name in figures if name.endswith("_programs")]
    keys = ("programs", "refused", "spikes", "potentials", "mismatches")
    rows = [(f"`{name}`", *(f"{figures[f'{name}_{key}']['mean']:,.0f}" for key in keys)) for name in names]
    yield from _table(f"backend|{'|'.join(keys)}", *rows)
    yield from _commands(results, "fuzz")


def imports(results: Results) -> Iterator[str]:
    """Networks of other packages."""

    def row(name: str, said: str) -> tuple[str, ...]:
        keys = ("simulated", "equal", "within", "classes")
        return (said, *(figure(results, "imports", f"{name}_{key}", 1) for key in keys))

    yield from _table(
        "network of|float simulation, equal values|integers, equal values|spikes within a step|same class",
        *(row(name, said) for name, said in (("snntorch", "snnTorch"), ("norse", "Norse"), ("sinabs", "sinabs"))),
    )
    published, slayer, lava = (figure(results, "imports", f"oxford_{n}", 0) for n in ("published", "slayer", "lava"))
    yield from _table(
        "Oxford network of lava-dl|",
        ("published", published),
        ("found, slayer's rule", slayer),
        ("found, Lava's rule", lava),
    )
    yield from _commands(results, "imports")


BLOCKS: dict[str, Callable[[Results], Iterator[str]]] = {
    "demo-output": demo_output,
    "first-minute": first_minute,
    "demo": demo,
    "digits": digits,
    "mnist": mnist,
    "mnist-one": mnist_one,
    "fuzz": fuzz,
    "imports": imports,
}


NEEDS = {"demo-output": "demo", "first-minute": "demo", "mnist-one": "mnist"}
"""The part that a block needs, where it is not the one of its name."""


NAMES = (*BLOCKS, *STUDIES)


def lines_of(block: str, results: Results) -> Iterator[str]:
    """Return the lines of a block, or one that says that its part has not been measured."""
    part = NEEDS.get(block, block)
    if part not in results:
        yield f"Not measured yet on this version: `make results PARTS={part}`."
        return
    yield from study(results, block) if block in STUDIES else BLOCKS[block](results)


def filled(page: str, results: Results) -> str:
    """Return a page whose blocks are made from ``results``; ValueError for a block that is not known."""

    def fill(found: re.Match[str]) -> str:
        if found["name"] not in NAMES:
            raise ValueError(f"block {found['name']!r}: unknown; allowed: {', '.join(NAMES)}")
        body = "\n".join(lines_of(found["name"], results)).rstrip("\n")
        return f"{found[1]}{body}\n{found[4]}"

    return BLOCK.sub(fill, page)


def known(results: Results) -> set[str]:
    """Return the figures with units that blocks have; a column's unit, as in ``error, %``, is that of its cells."""
    made = ["\n".join(line for block in NAMES for line in lines_of(block, results))]
    for table in tables_in(made[0]):
        for number, head in enumerate(table["head"]):
            unit = re.search(r"(?:[, ]|^)(%|uJ|nJ|us|ms|seconds|s|kB)$", head)
            if unit:
                cells = " ".join(row[number] for row in table["rows"] if number < len(row))
                short = "s" if unit[1] == "seconds" else unit[1]
                made += [f"{value} {short}" for value in re.findall(r"\d[\d,]*(?:\.\d+)?", cells)]
    made.append(re.sub(r" ± [\d.]+", "", made[0]))
    return {_plain(found) for text in made for found in FIGURE.findall(text)}


def strays(page: str, results: Results) -> list[str]:
    """Return the figures with units that ``page`` states outside of its blocks, and no block has, nor are given."""
    allowed = known(results) | given(page)
    return [found for found in stated(page) if _plain(found) not in allowed]


def given(page: str) -> set[str]:
    """Return the figures of which a page says why they are not measured."""
    return {_plain(figure) for comment in GIVEN.finditer(page) for figure in comment["figures"].split(";")}


def stated(page: str) -> list[str]:
    """Return the figures with units that a page states outside of blocks, comments and code."""
    outside = re.sub(r"<!--.*?-->", "", BLOCK.sub("", page), flags=re.DOTALL)
    outside = re.sub(r"^```.*?^```", "", outside, flags=re.DOTALL | re.MULTILINE)
    return FIGURE.findall(re.sub(r"`[^`\n]*`", "", outside))


def _plain(text: str) -> str:
    return "".join(text.split())


def main(arguments: list[str]) -> int:
    """Write or check the pages; the exit status is 1 where one is not as the figures say."""
    results = json.loads((ROOT / "docs" / "results.json").read_text(encoding="utf-8"))
    wrong: list[str] = []
    for name in PAGES:
        path = ROOT / name
        page = path.read_text(encoding="utf-8")
        made = filled(page, results)
        if "--write" in arguments:
            path.write_text(made, encoding="utf-8")
        elif made != page:
            wrong.append(f"{name}: a block is not what docs/results.json says: python scripts/results_pages.py --write")
        wrong += [f"{name}: states {found!r}, which docs/results.json does not have" for found in strays(made, results)]
        unused = given(made) - {_plain(found) for found in stated(made)}
        wrong += [f"{name}: does not state {found!r}, which it calls given" for found in sorted(unused)]
    print("\n".join(wrong) or f"docs: {len(PAGES)} pages state the figures of docs/results.json")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
