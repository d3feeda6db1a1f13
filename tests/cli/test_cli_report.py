"""Pictures and reports from the command line."""

import json


def test_run_draws_and_report_collects(conntra, program):
    ran = conntra("run", program, "--plot", "pictures", "--out", "a.json", "--json")
    assert ran.status == 0
    assert len(ran.document["plots"]) == 5
    assert all((conntra.folder / path).is_file() for path in ran.document["plots"])
    assert conntra("run", program, "--plot", "pictures").status == 0  # the folder may be there
    conntra("verify", program, "--backends", "reference,loop", "--out", "c.json")
    conntra("verify", "--fuzz", "3", "--backends", "reference", "--out", "f.json")
    made = conntra("report", "a.json", "c.json", "f.json", "--out", "r.html", "--json")
    assert (made.status, made.document["kinds"]) == (0, ["run", "certificate", "fuzz"])
    page = (conntra.folder / "r.html").read_text()
    assert made.document["bytes"] == len(page.encode())
    assert "3 random programs, all equal" in page
    assert "report in report.html" in conntra("report", "a.json").out


def test_run_shows_baselines_apart_percentiles_and_layers(conntra, program):
    out = conntra("run", program).out
    for words in ("95th percentile", "arithmetic alone, 45 nm", "arithmetic and a read of each weight", "by layer"):
        assert words in out
    assert "the sets differ by a factor of" in out
    document = conntra("run", program, "--json").document
    assert set(document["baselines"]) == {"arithmetic", "with_memory"}
    assert all(entry["source"] for costs in document["coefficients"].values() for entry in costs["entries"].values())


def test_unusable_reports(fails, conntra, program, tmp_path):
    fails("report", tmp_path / "none.json", says=["none.json: No such file", "conntra run --out"])
    fails("report", program, says=["not JSON"])
    (tmp_path / "a.json").write_text(json.dumps({"energy": []}))
    fails("report", tmp_path / "a.json", says=["backend, chip", "missing"])
    fails("report", tmp_path / "a.json", "--out", "nowhere/r.html", says=["nowhere", "does not exist"])
    fails("run", program, "--plot", "nowhere/pictures", says=["nowhere", "does not exist"])
    fails("run", program, "--plot", program, says=["a file; name a folder"])
