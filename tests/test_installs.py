"""The Pythons that are claimed, the bounds that make them true, and the pages that say so, held together."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
CLAIMED = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))

# The releases of Brian2 that read `numpy.ndarray.ptp`, which NumPy 2.4 has no longer.
READS_PTP = SpecifierSet("<2.10.1")
NUMPY_WITHOUT_PTP = Version("2.4.0")


def loaded(name: str):
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


try_installs = loaded("try_installs")


def allowed(package: str, python: str, dependencies=PROJECT["dependencies"]) -> SpecifierSet | None:
    """The versions of a package that may be installed on a Python; None where it is not asked for."""
    environment = {"python_version": python, "python_full_version": f"{python}.1"}
    requirements = [Requirement(text) for text in dependencies]
    found = [
        r.specifier for r in requirements if r.name == package and (not r.marker or r.marker.evaluate(environment))
    ]
    assert len(found) <= 1, f"{package} is asked for {len(found)} times on Python {python}"
    return found[0] if found else None


def pinned(package: str, python: str) -> Version:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    found = allowed(package, python, [line for line in lines if not line.startswith("#")])
    assert found is not None, f"constraints.txt: no {package} for Python {python}"
    return Version(str(found).removeprefix("=="))


def clashes(brian2: SpecifierSet, numpy: SpecifierSet) -> bool:
    """Whether pip may take a Brian2 that needs ``ndarray.ptp`` together with a NumPy that has none."""
    old = any(Version(v) in brian2 and Version(v) in READS_PTP for v in ("2.7.1", "2.8.0.4", "2.9.0", "2.10.0"))
    new = any(v in numpy for v in (NUMPY_WITHOUT_PTP, Version("2.4.6"), Version("2.9"), Version("3.0")))
    return old and new


def test_the_rule_finds_the_bounds_that_failed():
    assert clashes(SpecifierSet(">=2.7"), SpecifierSet(">=1.24"))
    assert clashes(SpecifierSet(">=2.10"), SpecifierSet(">=1.24"))
    assert not clashes(SpecifierSet(">=2.7"), SpecifierSet(">=1.24,<2.4"))
    assert not clashes(SpecifierSet(">=2.10.1"), SpecifierSet(">=1.24"))


@pytest.mark.parametrize("python", CLAIMED)
def test_numpy_is_bounded_wherever_brian2_needs_it(python):
    brian2, numpy = allowed("brian2", python), allowed("numpy", python)
    assert brian2 is not None
    assert numpy is not None
    assert not clashes(brian2, numpy)


@pytest.mark.parametrize("python", CLAIMED)
@pytest.mark.parametrize("package", ["numpy", "brian2", "numba", "scipy", "scikit-learn"])
def test_the_constraints_keep_the_bounds(python, package):
    assert pinned(package, python) in allowed(package, python)


def test_lava_is_asked_for_where_it_exists_and_nowhere_else():
    assert [python for python in CLAIMED if allowed("lava-nc", python) is not None] == ["3.10"]


def test_every_page_claims_the_same_pythons():
    assert sorted(CLAIMED, key=Version) == CLAIMED
    assert all(python in SpecifierSet(PROJECT["requires-python"]) for python in CLAIMED)
    assert Version("3.9") not in SpecifierSet(PROJECT["requires-python"])
    readme = " ".join((ROOT / "README.md").read_text("utf-8").split())
    sentence = re.search(r"`pip install \.` works on Python (.*?), each tried", readme)
    assert sentence is not None
    assert re.findall(r"3\.\d+", sentence[1]) == CLAIMED
    assert rows_of("install.md") == CLAIMED
    assert try_installs.claimed_pythons() == CLAIMED


def rows_of(page: str) -> list[str]:
    """The Pythons of the table of plain installations, in order."""
    text = (ROOT / "docs" / page).read_text("utf-8")
    return re.findall(r"^\| (3\.\d+) \| none \|", text, re.MULTILINE)


def test_the_table_of_the_page_has_versions_that_the_bounds_allow():
    text = (ROOT / "docs" / "install.md").read_text("utf-8")
    rows = re.findall(r"^\| (3\.\d+) \| [\w-]+ \| (\S+) \| (\S+) \| (\S+) \| (\S+) \|", text, re.MULTILINE)
    assert rows
    for python, *versions in rows:
        for package, version in zip(try_installs.PACKAGES, versions, strict=True):
            bound = allowed(package, python)
            assert (version == "none") if bound is None else (Version(version) in bound)


def test_every_extra_is_tried_and_named_on_the_page():
    assert try_installs.claimed_extras() == list(PROJECT["optional-dependencies"])
    text = (ROOT / "docs" / "install.md").read_text("utf-8")
    for extra in PROJECT["optional-dependencies"]:
        assert f"`{extra}`" in text


# What the script makes of what it sees. Each fault below has happened, or would be one that a new user meets.

VERSIONS = {"numpy": "2.4.6", "brian2": "2.9.0"}


def backend(name, ok=True, reason="", remedy=""):
    return {"name": name, "ok": ok, "reason": reason, "remedy": remedy}


def doctor_faults(*backends, versions=VERSIONS, extras=(), extra=""):
    return try_installs.doctor_faults({"backends": list(backends), "extras": list(extras)}, versions, extra)


def test_every_backend_has_a_line_in_the_script():
    from conntra_hardware.backends import BACKENDS

    assert set(try_installs.BACKEND_NEEDS) | {"loihi"} == set(BACKENDS)


def test_an_installed_backend_that_fails_is_a_fault():
    broken = backend("brian2", False, "no attribute 'ptp'", "install other versions")
    assert doctor_faults(backend("reference"), broken) == ["doctor: brian2 does not run: no attribute 'ptp'"]
    assert doctor_faults(backend("reference", False, "broken", "mend it"))


def test_an_absent_backend_is_none_where_the_line_says_what_helps():
    assert doctor_faults(backend("brian2"), backend("lava", False, "not for Python 3.12", "take Python 3.10")) == []
    assert doctor_faults(backend("lava", False, "not for Python 3.12", ""))
    assert doctor_faults(backend("loihi", False, "two\nlines", "help"))


def test_a_missing_brian2_or_extra_is_a_fault():
    assert doctor_faults(backend("reference"), versions={"numpy": "2.4.6"}) == ["brian2 was not installed"]
    absent = {"name": "nir", "ok": False, "versions": {}}
    assert doctor_faults(extras=[absent], extra="nir") == ["doctor: extra nir was installed and is not there"]
    assert doctor_faults(extras=[absent], extra="onnx") == []


def test_a_demo_that_leaves_out_what_is_installed_is_a_fault():
    absent = [{"backend": "brian2", "reason": "broken"}, {"backend": "lava", "reason": "not here"}]
    document = {"absent": absent, "verify": {"equal": True}}
    assert try_installs.demo_faults(document, VERSIONS) == ["demo: without brian2: broken"]
    assert try_installs.demo_faults({"absent": [], "verify": None}, VERSIONS)
    assert try_installs.demo_faults({"absent": [], "verify": {"equal": False}}, VERSIONS)
    assert try_installs.demo_faults({"absent": [], "verify": {"equal": True}}, VERSIONS) == []


def test_what_pip_built_from_source_is_named():
    log = "Collecting brian2\nBuilding wheels for collected packages: brian2\n  Building wheel for brian2 (setup.py)"
    assert try_installs.built_from_source(log) == ["brian2"]
    assert try_installs.built_from_source("Collecting brian2") == []


def test_a_shim_that_only_prints_an_error_is_no_python(tmp_path):
    shim = tmp_path / "python3.12"
    shim.write_text("#!/bin/sh\necho 3.12 is not installed\nexit 127\n")
    shim.chmod(0o755)
    assert try_installs.version_of(str(shim)) is None
    assert try_installs.version_of(str(tmp_path / "nothing")) is None
    assert try_installs.version_of(sys.executable) == "{}.{}".format(*sys.version_info[:2])


def test_constraints_do_not_reach_into_a_trial(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.setenv("PIP_CONSTRAINT", "constraints.txt")
    environment = try_installs.clean_environment()
    assert "PYTHONPATH" not in environment
    assert environment["PIP_CONSTRAINT"] != "constraints.txt"


@pytest.mark.parametrize(
    ("arguments", "words"), [(["--extras", "foo"], "allowed: backprop"), (["--python", "three"], "no version")]
)
def test_wrong_use_is_a_line_and_status_2(arguments, words, capsys):
    with pytest.raises(SystemExit) as stopped:
        try_installs.main(arguments)
    assert stopped.value.code == 2
    assert words in capsys.readouterr().err


def test_a_python_that_is_not_here_is_status_2(monkeypatch, capsys):
    monkeypatch.setattr(try_installs, "find_python", lambda version: None)
    assert try_installs.main(["--python", "3.12"]) == 2
    assert "Python 3.12: not found" in capsys.readouterr().err


def test_the_script_reports_every_fault_with_its_python(monkeypatch, capsys):
    def attempt(tried, python, wheel, folder):
        if tried.python == "3.11":
            tried.faults.append("brian2 does not run")
        if tried.python == "3.12":
            raise try_installs.Broken("no venv")

    monkeypatch.setattr(try_installs, "find_python", lambda version: None if version == "3.13" else sys.executable)
    monkeypatch.setattr(try_installs, "build_wheel", lambda python, folder: folder / "a.whl")
    monkeypatch.setattr(try_installs, "attempt", attempt)
    assert try_installs.main([]) == 1
    out = capsys.readouterr().out
    for line in ("Python 3.11: brian2 does not run", "Python 3.12: no venv", "Python 3.13: not tried, it is not here"):
        assert line in out.splitlines()


def test_the_line_of_a_failed_pip_is_its_error():
    ran = subprocess.CompletedProcess(
        [], 1, "Collecting x\n", "ERROR: No matching distribution found for x\nhint: none\n"
    )
    assert try_installs.last_line(ran) == "ERROR: No matching distribution found for x"
