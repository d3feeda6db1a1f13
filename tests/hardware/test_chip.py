from pathlib import Path

import pytest

from conntra_hardware.base.errors import ConntraError, FileFormatError, InputError
from conntra_hardware.chip import chip_names, load_chip
from conntra_hardware.cost.coefficients import load_coefficients

CHIPS = Path(__file__).resolve().parents[2] / "hardware" / "conntra_hardware" / "chip" / "limits"
LISTED = ("cores", "neurons_per_core", "synapse_memory_bits", "weight_bits", "bias_mantissa_bits", "potential_bits")


def edited(tmp_path, *replacements, source="loihi1"):
    text = (CHIPS / f"{source}.toml").read_text()
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new, 1)
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


def test_limits_are_those_of_the_documents():
    loihi = load_chip("loihi1")
    assert (loihi.cores, loihi.neurons_per_core, loihi.input_axons_per_core) == (128, 1024, 4096)
    assert loihi.synapse_memory_bits == 16384 * 64
    assert loihi.weight_bits == (1, 2, 3, 4, 5, 6, 8)
    assert load_chip("loihi2").synapse_memory_bits == 192 * 1024 * 8


@pytest.mark.parametrize("name", chip_names())
def test_every_limit_has_a_source_and_every_set_of_the_chip_loads(name):
    chip = load_chip(name)
    assert set(LISTED) <= set(chip.cited)
    assert all(entry.source.strip() and entry.unit.strip() for entry in chip.cited.values())
    assert [load_coefficients(each).name for each in chip.coefficients] == list(chip.coefficients)


def test_second_hand_figures_are_marked():
    assert load_chip("loihi2").cited["synapse_memory_bits"].second_hand
    assert not load_chip("loihi1").cited["synapse_memory_bits"].second_hand


def test_an_unknown_chip_is_told_which_there_are():
    with pytest.raises(InputError, match=r"'loihi3': unknown; allowed: loihi1, loihi2"):
        load_chip("loihi3")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('source = "Davies et al., Loihi', 'sauce = "Davies et al., Loihi', "unknown keys sauce"),
        ('source = "Davies et al., Loihi, IEEE Micro 38(1), 2018"', 'source = " "', "without a source is refused"),
        ("[limits.cores]", "[limits.kores]", "unknown limits kores"),
        ("value = 128\n", "", "limits.cores: value None"),
        ("value = 128\n", "value = 128.5\n", "128.5; an integer"),
        ("value = 128\n", "value = nan\n", "nan; an integer"),
        ("value = 128\n", "value = -1\n", "-1; at least 1 expected"),
        ("value = 128\n", "value = 129\n", "do not fit 8 x 4 tiles"),
        ('name = "loihi1"', "name = 3", "name is missing or not a str"),
        ("[limits.cores]", "[limits.cores", "not TOML"),
    ],
)
def test_a_bad_file_is_one_clear_line(tmp_path, old, new, says):
    with pytest.raises(ConntraError, match=says) as caught:
        load_chip(edited(tmp_path, (old, new)))
    assert "\n" not in str(caught.value)


def test_a_missing_limit_and_a_missing_file(tmp_path):
    text = (CHIPS / "loihi1.toml").read_text()
    start = text.index("[limits.neurons_per_core]")
    (tmp_path / "cut.toml").write_text(text[:start] + text[text.index("[limits.input_axons_per_core]") :])
    with pytest.raises(InputError, match="neurons_per_core missing"):
        load_chip(tmp_path / "cut.toml")
    with pytest.raises(FileFormatError, match="cannot be read"):
        load_chip(tmp_path / "none.toml")


def test_a_chip_of_ones_own(tmp_path):
    chip = load_chip(edited(tmp_path, ("value = 1024", "value = 16")))
    assert chip.neurons_per_core == 16


def test_hops_run_over_tiles_of_four():
    chip = load_chip("loihi1")
    assert chip.hops(0, 3) == (0, 0)
    assert chip.hops(0, 4) == (1, 0)
    assert chip.hops(31, 32) == (7, 1)
    assert chip.hops(127, 0) == (7, 3)


def test_several_chips_stand_side_by_side():
    chip = load_chip("loihi1x3")
    assert (chip.chips, chip.total_cores, chip.chips_x) == (3, 384, 2)
    assert chip.tile(128) == (8, 0)
    assert chip.tile(256) == (0, 4)
    assert chip.hops(0, 128) == (8, 0)
    assert (chip.crossings(0, 127), chip.crossings(0, 128), chip.crossings(128, 256)) == (0, 1, 2)
    assert chip.times(1) == load_chip("loihi1")
    with pytest.raises(InputError, match="1 to 768 allowed"):
        load_chip("loihi1x769")
