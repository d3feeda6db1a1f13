from pathlib import Path

import pytest

from conntra_hardware.base.errors import ConntraError, InputError
from conntra_hardware.cost.coefficients import coefficient_names, load_coefficients

FOLDER = Path(__file__).resolve().parents[2] / "hardware" / "conntra_hardware" / "cost" / "coefficients"


def edited(tmp_path, old, new):
    text = (FOLDER / "sanafe2025.toml").read_text()
    assert old in text
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(old, new, 1))
    return path


def test_there_are_three_sets():
    assert coefficient_names() == ("davies2018", "loihi2-proxy", "sanafe2025")


@pytest.mark.parametrize("name", coefficient_names())
def test_every_entry_says_where_it_is_from(name):
    for key, entry in load_coefficients(name).cited.items():
        assert entry.source.strip(), key
        assert entry.node.strip(), key
        assert entry.scope.strip(), key


def test_figures_of_the_documents():
    davies, sanafe, proxy = (load_coefficients(n) for n in ("davies2018", "sanafe2025", "loihi2-proxy"))
    assert davies.energy_j["neuron_access"] + davies.energy_j["neuron_update"] == pytest.approx(81e-12)
    assert davies.latency_s["neuron_access"] + davies.latency_s["neuron_update"] == pytest.approx(8.4e-9)
    assert sanafe.energy_j["packet_out"] == pytest.approx(111e-12)
    assert proxy.energy_j["synop_dense"] == sanafe.energy_j["synop_dense"]
    for kind, factor in {"neuron_access": 2, "neuron_update": 2, "synop_dense": 5, "spike": 10}.items():
        assert proxy.latency_s[kind] == pytest.approx(sanafe.latency_s[kind] / factor)
    assert (davies.proxy, sanafe.proxy, proxy.proxy) == (False, False, True)


def test_what_is_second_hand_is_marked():
    for name in coefficient_names():
        assert load_coefficients(name).cited["static.leakage"].second_hand
        assert load_coefficients(name).cited["energy.chip_crossing"].second_hand
    assert load_coefficients("loihi2-proxy").cited["latency.spike"].second_hand


@pytest.mark.parametrize(("tiles", "us"), [(1, 0.6), (2, 1.0), (3, 1.0), (4, 1.4), (28, 1.4), (29, 1.8), (32, 1.8)])
def test_synchronisation_by_tiles(tiles, us):
    assert load_coefficients("sanafe2025").synchronisation_s(tiles) == pytest.approx(us * 1e-6)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('source = "SANA-FE', 'note = "SANA-FE', "energy.synop_dense: no source; a figure without a source is refused"),
        ("value = 35.5", "value = -1", "-1; a number of at least 0"),
        ("value = 35.5", 'value = "much"', "'much'; a number"),
        ('unit = "pJ"', 'unit = "kWh"', "unit 'kWh'; allowed: J, nJ"),
        ("[energy.spike]", "[energy.spikes]", "energy.spike missing"),
        ("[synchronisation.29]", "[synchronisation.many]", "synchronisation.many; a number of tiles"),
        ("[energy.spike]", "energy = 3", "one line"),
    ],
)
def test_a_bad_entry_is_refused_in_one_line(tmp_path, old, new, says):
    with pytest.raises(ConntraError) as caught:
        load_coefficients(edited(tmp_path, old, new))
    assert "\n" not in str(caught.value)
    assert says in str(caught.value) or says == "one line"


def test_an_unknown_set_is_told_which_there_are():
    with pytest.raises(InputError, match="allowed: davies2018, loihi2-proxy, sanafe2025"):
        load_coefficients("horowitz2014")
