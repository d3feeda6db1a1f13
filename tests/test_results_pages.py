"""The figures of README and docs/results.md: made from docs/results.json, and nothing beside them."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "scripts"))

import results_pages  # noqa: E402

MACHINE = {"processor": "a processor", "cores": 2, "versions": {"python": "3.10.1"}}


def part(load: float = 0.2, **figures: Any) -> dict[str, Any]:
    return {
        "commands": ["conntra train digits --seed S"],
        "date": "2026-01-02",
        "load_before": load,
        "machine": MACHINE,
        "figures": figures,
    }


@pytest.fixture
def results() -> dict[str, Any]:
    demo = part(
        first_start={"unit": "s", "mean": 15.04, "sd": 0.3, "timing": True},
        later_start={"unit": "s", "mean": 11.2, "sd": 0.2, "timing": True},
        first_processor={"unit": "s", "mean": 17.9, "sd": 0.3, "timing": True},
        later_processor={"unit": "s", "mean": 13.4, "sd": 0.2, "timing": True},
        output={"unit": "text", "lines": ["accuracy  96.66 %"]},
    )
    return {"demo": demo, "digits": part(error={"unit": "%", "mean": 2.537, "sd": 0.19, "seeds": 3})}


PAGE = """# Digits

<!-- results: digits -->
<!-- end of results -->
"""


def test_the_pages_say_what_was_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert results_pages.main([]) == 0, capsys.readouterr().out
    pages = "".join((ROOT / name).read_text("utf-8") for name in results_pages.PAGES)
    for name in results_pages.BLOCKS:
        assert f"<!-- results: {name} -->" in pages


def test_a_study_gives_its_page_a_table_and_the_units_of_its_columns(results: dict[str, Any]) -> None:
    from study_kinds import tables_in

    text = "well\n| recipe | error, % | seconds |\n|---|---:|---|\n| a | 3.08 ± 0.11 | 12 |\n\n| other | b |\n"
    (table,) = tables_in(text)
    assert table == {"head": ["recipe", "error, %", "seconds"], "rows": [["a", "3.08 ± 0.11", "12"]]}
    name = next(iter(results_pages.STUDIES))
    page = f"<!-- results: {name} -->\n<!-- end of results -->\nAt 3.08 %, 12 s, 13 s.\n"
    made = results | {name: part() | {"tables": [table]}}
    assert "| a | 3.08 ± 0.11 | 12 |" in results_pages.filled(page, made)
    assert results_pages.strays(page, made) == ["13 s"]


def test_figures_that_are_given_are_allowed_and_none_is_called_so_in_vain() -> None:
    page = "A share of 5 % is held out.\n<!-- given: a default: 5 %; 7 % -->\n`--x 3 %`"
    assert results_pages.strays(page, {}) == []
    assert results_pages.given(page) == {"5%", "7%"}
    assert results_pages.stated(page) == ["5 %"]


def test_trainings_run_every_seed_and_say_what_they_ran() -> None:
    from study_kinds import Trainings, needs

    class Ran:
        def __init__(self) -> None:
            self.words: list[str] = []

        def document(self, words: str) -> dict[str, Any]:
            self.words.append(words)
            return {"test_error": 0.02 + 0.01 * int(words.split("--seed ")[1][0]), "memory_bytes": 41717}

        def script(self, words: str) -> str:
            raise AssertionError(words)

    study = Trainings("", "train mnist:MNIST", {"wide": "--layers 1024"}, columns=("test error", "memory"))
    ran = Ran()
    assert study.tables(ran) == [
        {"head": ["options", "test error", "memory"], "rows": [["wide", "3.00 ± 1.00 %", "41.7 kB"]]}
    ]
    assert ran.words[2] == "train mnist:MNIST --layers 1024 --seed 2 --out model.conntra"
    assert study.commands == ("conntra train mnist:MNIST --layers 1024 --seed S",)
    assert needs(study) == ["MNIST"]


def test_networks_of_a_study_are_compiled_and_run_on_its_chip() -> None:
    from study_kinds import Trainings

    said: dict[str, dict[str, Any]] = {
        "train": {"test_error": 0.02},
        "compile": {"cores": 1},
        "run": {
            "samples": 4,
            "counts": {"synops": 10},
            "energy": [
                {"coefficients": "davies2018", "per_inference_j": 2.5e-7},
                {"coefficients": "sanafe2025", "per_inference_j": 4e-7},
            ],
        },
    }
    ran: list[str] = []

    class Ran:
        def document(self, words: str) -> dict[str, Any]:
            ran.append(words)
            return said[words.split()[0]]

        def script(self, words: str) -> str:
            raise AssertionError(words)

    columns = ("test error", "synaptic operations", "energy, davies2018", "energy, sanafe2025")
    study = Trainings("", "train mnist:MNIST", {"a": ""}, columns, seeds=2, chip="loihi1")
    assert study.tables(Ran())[0]["rows"] == [["a", "2.00 ± 0.00 %", "2", "0.250 uJ", "0.400 uJ"]]
    assert ran[1:3] == [
        "compile model.conntra --chip loihi1 --out model.program",
        "run model.program --data mnist:MNIST --backend reference",
    ]
    assert study.commands[1] == "conntra compile m.conntra --chip loihi1 --out m.program"


def test_every_part_has_a_block_and_every_block_a_part() -> None:
    import measure_results

    assert {results_pages.NEEDS.get(name, name) for name in results_pages.BLOCKS} | {"penalty"} == set(
        measure_results.PARTS
    )


def test_a_block_is_made_of_figures_commands_and_machine(results: dict[str, Any]) -> None:
    page = results_pages.filled(PAGE, results)
    assert "| test error, mean over 3 seeds | 2.54 ± 0.19 % |" in page
    assert "conntra train digits --seed S" in page
    assert "2026-01-02, 2 cores of a processor, Python 3.10.1." in page
    assert results_pages.filled(page.replace("2.54", "0.10"), results) == page
    assert "Not measured yet on this version: `make results PARTS=digits`" in results_pages.filled(PAGE, {})


def test_a_figure_that_was_not_measured_is_found(results: dict[str, Any]) -> None:
    page = "At 3.14 uJ, on Python 3.10 and 3.13, 1,438 images, weights of 8 bits, 96.66 %, 2.55 %.\n```\n7 ms\n```\n"
    assert results_pages.strays(page, results) == ["3.14 uJ", "2.55 %"]
    assert results_pages.strays("It takes 15.0 s, then 11.2 s.", results) == []


def test_a_block_that_is_not_known_is_refused(results: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="block 'speed': unknown; allowed: demo-output"):
        results_pages.filled("<!-- results: speed -->\n<!-- end of results -->", results)


def test_times_of_a_busy_machine_are_called_so(results: dict[str, Any]) -> None:
    assert "The first start takes 15 s on 2 cores, because" in "".join(results_pages.first_minute(results))
    busy = results | {"demo": results["demo"] | {"load_before": 7.5}}
    assert "The first start takes 18 s of processor time, because" in "".join(results_pages.first_minute(busy))
    assert "other work kept it busy (load 7.5)" in "".join(results_pages.demo(busy))
    # Errors and counts do not depend on what else ran.
    assert "other work" not in "".join(results_pages.digits(busy | {"digits": results["digits"] | {"load_before": 7}}))
    for head, said in ((["recipe", "seconds"], True), (["recipe", "with all, s"], True), (["seeds", "synops"], False)):
        table = {"head": head, "rows": [["a", "1"]]}
        found = part(load=7.5) | {"tables": [table]}
        assert ("other work" in "".join(results_pages.study({"ablation": found}, "ablation"))) == said, head


def test_a_measurement_goes_on_where_it_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import measure_results

    run = measure_results.Run(tmp_path)
    first = run.document("datasets")
    assert run.commands == ["conntra datasets"]
    monkeypatch.setattr("subprocess.run", lambda *arguments, **options: pytest.fail("ran again"))
    assert measure_results.Run(tmp_path).document("datasets") == first
    run.add("error", [1.0, 2.0, 3.0], "%")
    assert run.figures["error"] == {"unit": "%", "mean": 2.0, "sd": 1.0, "values": [1.0, 2.0, 3.0]}


def test_commands_of_every_seed_are_shown_as_one() -> None:
    import measure_results

    runs = [f"conntra {verb} --seed {seed} --out m{seed}.x" for seed in (0, 1, 2) for verb in ("train", "run")]
    alone = ["conntra verify m0.x --seed 0", "conntra fuzz"]
    expected = ["conntra train --seed S --out mS.x", "conntra run --seed S --out mS.x", *alone]
    assert measure_results._for_readers([*runs, *alone, *runs[:1], *alone]) == expected


@pytest.mark.parametrize("name", results_pages.STUDIES)
def test_studies_run_scripts_that_are_there_and_options_that_verbs_have(name: str) -> None:
    import typer.main

    from conntra_neuro.cli.verbs import app

    verbs: Any = typer.main.get_command(app)

    class Asked:
        """Parses what it is to run."""

        def document(self, words: str) -> dict[str, Any]:
            verb, *arguments = shlex.split(words)
            verbs.commands[verb].make_context(verb, [*arguments, "--json", "--quiet"])
            one = dict.fromkeys(("test_error", "train_error", "nonzero_fraction", "parameters", "memory_bytes"), 0.1)
            joules = [{"coefficients": name, "per_inference_j": 1e-7} for name in ("davies2018", "sanafe2025")]
            ran = {"samples": 1, "counts": {"synops": 1}, "energy": joules}
            return one | ran | {"rows": [], "train_seconds": 1.0}

        def script(self, words: str) -> str:
            assert (ROOT / words.split()[0]).is_file()
            return "| gear |\n|---|\n| blocks |\n"

    assert results_pages.STUDIES[name].tables(Asked())
