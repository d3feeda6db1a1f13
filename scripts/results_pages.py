"""Puts the figures of docs/results.json into README.md and docs/results.md, or checks that they are there.

    python scripts/results_pages.py --write     # after scripts/measure_results.py
    python scripts/results_pages.py             # exit status 1 where a page says what docs/results.json does not

A page has blocks between `<!-- results: NAME -->` and `<!-- end of results -->`; what stands in them is made here.
Outside of them a page may repeat a figure with its unit only as a block has it.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("README.md", "docs/results.md")
BLOCK = re.compile(r"(<!-- results: (?P<name>[\w-]+) -->\n)(?P<body>.*?)(<!-- end of results -->)", re.DOTALL)
FIGURE = re.compile(
    r"(?<![\w.,/-])\d[\d,]*(?:\.\d+)?\s?(?:%|(?:s|ms|µs|us|nJ|uJ|µJ|pJ|kB|MB|x|spikes|potentials|points)\b)"
)
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
    columns = [word.strip() for word in head.split("|")]
    yield f"| {' | '.join(columns)} |"
    yield f"| {' | '.join('---' for _ in columns)} |"
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""


def _commands(results: Results, part: str) -> Iterator[str]:
    found = results[part]
    yield from ["```sh", *found["commands"], "```", ""]
    where = found["machine"]
    load = found["load_before"]
    busy = f"; other work kept it busy (load {load:g}), so times are too long" if _busy(found) else ""
    python = where["versions"]["python"]
    yield f"{found['date']}, {where['cores']} cores of {where['processor']}, Python {python}{busy}."
    yield ""


def _busy(part: Results) -> bool:
    return part["load_before"] > BUSY * part["machine"]["cores"]


def demo_output(results: Results) -> Iterator[str]:
    """What ``conntra demo`` prints."""
    yield from ["```text", *results["demo"]["figures"]["output"]["lines"], "```"]


def first_minute(results: Results) -> Iterator[str]:
    """How long the demo takes, the first time and later."""
    first, later = (figure(results, "demo", name, 0) for name in ("first_start", "later_start"))
    where = "a busy machine" if _busy(results["demo"]) else "two cores"
    yield f"On {where} the first start takes {first}, because kernels are compiled once; later ones take {later}."


def demo(results: Results) -> Iterator[str]:
    """The times of the demo, with their command."""
    first, later = (figure(results, "demo", name, 1) for name in ("first_start", "later_start"))
    yield from _table("`conntra demo`, mean of three|", ("with empty caches", first), ("again", later))
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


def lines_of(block: str, results: Results) -> Iterator[str]:
    """Return the lines of a block, or one that says that its part has not been measured."""
    part = NEEDS.get(block, block)
    if part not in results:
        yield f"Not measured yet on this version: `make results PARTS={part}`."
        return
    yield from BLOCKS[block](results)


def filled(page: str, results: Results) -> str:
    """Return a page whose blocks are made from ``results``; ValueError for a block that is not known."""

    def fill(found: re.Match[str]) -> str:
        if found["name"] not in BLOCKS:
            raise ValueError(f"block {found['name']!r}: unknown; allowed: {', '.join(BLOCKS)}")
        body = "\n".join(lines_of(found["name"], results)).rstrip("\n")
        return f"{found[1]}{body}\n{found[4]}"

    return BLOCK.sub(fill, page)


def strays(page: str, results: Results) -> list[str]:
    """Return the figures with units that ``page`` states outside of its blocks, and no block has."""
    made = "\n".join(line for block in BLOCKS for line in lines_of(block, results))
    known = {_plain(found) for found in FIGURE.findall(made)}
    outside = re.sub(r"^```.*?^```", "", BLOCK.sub("", page), flags=re.DOTALL | re.MULTILINE)
    return [found for found in FIGURE.findall(outside) if _plain(found) not in known]


def _plain(text: str) -> str:
    return "".join(text.split())


def main(arguments: list[str]) -> int:
    """Write or check the pages; the exit status is 1 where one is not as the figures say."""
    results = json.loads((ROOT / "docs" / "results.json").read_text(encoding="utf-8"))
    wrong = []
    for name in PAGES:
        path = ROOT / name
        page = path.read_text(encoding="utf-8")
        made = filled(page, results)
        if "--write" in arguments:
            path.write_text(made, encoding="utf-8")
        elif made != page:
            wrong.append(f"{name}: a block is not what docs/results.json says: python scripts/results_pages.py --write")
        wrong += [f"{name}: states {found!r}, which docs/results.json does not have" for found in strays(made, results)]
    print("\n".join(wrong) or "docs: README.md and docs/results.md state the figures of docs/results.json")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
