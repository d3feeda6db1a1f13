"""Hold what `conntra import` makes of random NIR graphs to what the packages themselves sent, or to NIR's equations.

    .venv/bin/python scripts/measure_nir.py FOLDER [--json out.json] [--bits 8] [--spikes 8]
    .venv/bin/python scripts/measure_nir.py --packages norse,sinabs --python packages/bin/python [--count 300] ...
    .venv/bin/python scripts/measure_nir.py [--count 300] [--seed 0] [--json out.json] [--bits 8] [--spikes 8]
    .venv/bin/python scripts/measure_nir.py FOLDER --pack tests/data/nir_packages.npz --count 10

FOLDER is what scripts/make_nir_graphs.py wrote; --packages has it written first, by the Python of an environment that
has these packages. Without either, graphs in the notations of tests/support/nir_notations.py
are made, and held to tests/support/nir_graph_loops.py, which runs NIR's equations node by node in plain loops. --pack
puts the first few of each package into one archive, for the tests. --spikes 8 has as many neurons for one that sends
several spikes in a step.

For each package or notation: graphs, how many are refused, layers of neurons, values at all steps, how many of the
float simulation differ (spikes that are not equal, potentials further apart than 1e-4 of the largest), and how many of
the integer network's spikes do; of spikes of the reference, how many the integers have at that step or beside it; and
of how many graphs the source is guessed. Prints a line each, then a table in Markdown.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nir
import numpy as np
from markdown_tables import as_markdown

from conntra_hardware.base.errors import ConntraError
from conntra_neuro.exchange.files import import_with_report
from conntra_neuro.exchange.nir.conventions import CONVENTIONS
from conntra_neuro.exchange.nir.guess import likely_source
from conntra_neuro.exchange.nir.spiking import SpikingImport

SUPPORT = Path(__file__).parents[1] / "tests" / "support"
COLUMNS = ("graphs", "refused", "layers", "values", "differ", "integers", "spikes", "within_a_step", "guessed")
STEPS = 16
NAMES = {
    "snntorch": "snnTorch",
    "norse": "Norse",
    "rockpool": "Rockpool",
    "spikingjelly": "SpikingJelly",
    "spyx": "Spyx",
    "nengo": "Nengo, by NIR's example",
    "nengo, synapses": "Nengo, with synapses (LI) between layers",
    "lava-dl": "lava-dl, by NIR's example",
    "paper": "NIR paper: CubaLIF, LIF, LI, ways back, v_leak",
    "sinabs, whole": "sinabs, whole numbers",
    "norse, whole": "Norse, whole numbers",
    "snntorch, whole": "snnTorch, whole numbers",
}
"""What the table calls them."""
Case = tuple[str, Path, np.ndarray, list[np.ndarray], dict[str, Any]]


def packages(folder: Path) -> Iterator[Case]:
    """Return name, graph, inputs, what each layer sends, and how it is read, of all that a folder has."""
    for found in sorted(folder.glob("*.npz")):
        with np.load(found) as archive:
            read = {key: value for key, value in json.loads(str(archive["read"])).items() if value is not None}
            sent = [archive[f"spikes{index}"] for index in range(len(archive.files) - 2)]
            yield found.stem.split("-")[0], found.with_suffix(".nir"), archive["inputs"], sent, read


def pack(folder: Path, count: int, target: Path) -> None:
    """Write the first ``count`` cases of each package into one archive: the graph's bytes, spikes, how to read it."""
    arrays: dict[str, Any] = {}
    seen: dict[str, int] = {}
    for name, path, inputs, sent, read in packages(folder):
        number = seen[name] = seen.get(name, -1) + 1
        if number >= count:
            continue
        arrays[f"{name}-{number}/graph"] = np.frombuffer(path.read_bytes(), np.uint8)
        arrays[f"{name}-{number}/read"] = json.dumps(read)
        arrays[f"{name}-{number}/inputs"] = inputs
        arrays |= {f"{name}-{number}/{index}": rows.astype(np.float32) for index, rows in enumerate(sent)}
    np.savez_compressed(target, **arrays)


def notations(folder: Path, count: int, seed: int) -> Iterator[Case]:
    """Return the same of graphs in notations, made one after the other in ``folder``."""
    sys.path.insert(0, str(SUPPORT))
    from nir_graph_loops import run_graph  # type: ignore[import-not-found]
    from nir_notations import NOTATIONS, WHOLE  # type: ignore[import-not-found]

    from conntra_neuro.exchange.nir.conventions import convention

    path = folder / "graph.nir"
    for name, make in {**NOTATIONS, **WHOLE}.items():
        for number in range(seed, seed + count):
            graph, n_in, read = make(number)
            nir.write(path, graph)
            how = convention(read["source"], None, read.get("reset"), read.get("spikes"))
            given = {part: getattr(how, part) for part in ("dt", "reset", "strict", "several", "decay")}
            x = (np.random.default_rng(number).random((2, STEPS, n_in)) < 0.4).astype(np.uint8)
            runs = [run_graph(graph, sample, given) for sample in x]
            yield name, path, x, [np.stack([run[node] for run in runs]) for node in _in_order(graph)], read


def _in_order(graph: Any) -> list[str]:
    kinds = ("IF", "LIF", "CubaLIF", "LI", "CubaLI", "I")
    found = [name for name, node in graph.nodes.items() if type(node).__name__ in kinds]
    # LI before weights is no layer of its own.
    return [name for name in found if name == found[-1] or type(graph.nodes[name]).__name__ != "LI"]


def compared(case: Case, of: dict[str, int], bits: int, most: int | None) -> None:
    """Count a graph; ``most``: as many neurons for one that sends several spikes a step, None: one."""
    name, path, inputs, sent, read = case
    of["graphs"] += 1
    several = read.get("spikes") == "several" or (read.get("spikes") is None and CONVENTIONS[read["source"]].several)
    if several and most is not None:
        read = {**read, "spikes": most}
    try:
        network, report = import_with_report(path, steps=inputs.shape[1], bits=bits, **read)
    except ConntraError as error:
        of["refused"] += 1
        print(error)
        return
    assert isinstance(report, SpikingImport)
    of["guessed"] += likely_source(nir.read(path, type_check=False), report.layers) == read["source"]
    given = network.outputs(inputs)
    for index, (ours, view) in enumerate(zip(report.simulate(inputs), report.views, strict=True)):
        theirs = sent[index]
        # Spyx sends a step after v passes the threshold, layer by layer.
        shift = (index + 1) * (read["source"] == "spyx")
        theirs, ours = theirs[:, shift:], ours[:, : ours.shape[1] - shift]
        wrong = np.abs(theirs - ours) > 1e-4 * max(1.0, float(np.abs(theirs).max()))
        of["layers"] += 1
        of["values"] += ours.size
        of["differ"] += int(wrong.sum())
        if wrong.any():
            print(f"{name} {path.name} layer {index}: {wrong.sum()} of {ours.size} differ")
        if not np.isfinite(report.layers[index].neuron.threshold).all():
            continue  # potentials of a last layer, in units of their own
        whole = view.of(given[view.layer].reshape(*inputs.shape[:2], -1))[:, : ours.shape[1]]
        near = whole > 0
        near[:, 1:] |= whole[:, :-1] > 0
        near[:, :-1] |= whole[:, 1:] > 0
        of["integers"] += int((whole != theirs).sum())
        of["spikes"] += int((theirs > 0).sum())
        of["within_a_step"] += int((near & (theirs > 0)).sum())


def make(packages: str, python: str, folder: Path, count: int, seed: int) -> None:
    """Have an environment with the packages write their graphs."""
    script = Path(__file__).parent / "make_nir_graphs.py"
    for package in packages.split(","):
        words = [package, str(folder), "--count", str(count), "--seed", str(seed)]
        subprocess.run([python, "-W", "ignore", str(script), *words], check=True, stdout=sys.stderr)


def table(found: dict[str, dict[str, int]], guesses: bool) -> str:
    """Return a row a package or notation; ``guesses``: also of how many graphs the source is guessed."""
    rows = []
    for name, of in found.items():
        near = 100 * of["within_a_step"] / max(of["spikes"], 1)
        cells = [NAMES.get(name, name), *(of[key] for key in ("graphs", "refused", "values", "differ", "spikes"))]
        rows.append([*cells, f"{near:.1f}", *([of["guessed"]] if guesses else [of["integers"]])])
    head = "network of|graphs|refused|values|simulation differs|spikes|integers within a step, %"
    return as_markdown(f"{head}|{'source guessed' if guesses else 'values of integers that differ'}", rows)


def main() -> None:
    """Compare, and print a line a package or notation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--packages", help="to have make graphs, with commas between")
    parser.add_argument("--python", help="of the environment with the packages")
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bits", type=int, default=8)
    parser.add_argument("--spikes", type=int)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--pack", type=Path)
    args = parser.parse_args()
    if args.pack:
        pack(args.folder, args.count, args.pack)
        return
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as own:
        folder = args.folder
        if args.packages:
            folder = Path(own)
            make(args.packages, args.python or sys.executable, folder, args.count, args.seed)
        cases = packages(folder) if folder else notations(Path(own), args.count, args.seed)
        for case in cases:
            compared(case, found.setdefault(case[0], dict.fromkeys(COLUMNS, 0)), args.bits, args.spikes)
    for name, of in found.items():
        print(name, of)
    print(table(found, guesses=folder is not None))
    if args.json:
        args.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
