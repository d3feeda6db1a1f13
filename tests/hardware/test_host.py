"""Hosts: what options and the environment name, and what contradicts itself."""

import pytest

from conntra_hardware.backends.host import Host, host_from
from conntra_hardware.base.errors import InputError

NAMED = [
    ({}, {}, Host()),
    ({}, {"SLURM": "1"}, Host("slurm")),
    ({}, {"SLURM": ""}, Host()),
    ({}, {"PARTITION": "kp"}, Host("slurm", partition="kp")),
    ({}, {"BOARD": "ncl-1", "PARTITION": "kp"}, Host("slurm", board="ncl-1")),
    ({}, {"NOSLURM": "1"}, Host()),
    ({}, {"NOSLURM": "1", "NXSDKHOST": "10.0.0.1"}, Host("ethernet", "10.0.0.1")),
    ({}, {"SLURM": "1", "NXSDKHOST": "10.0.0.1"}, Host("slurm")),
    ({"host": "slurm"}, {"NXSDKHOST": "10.0.0.1"}, Host("slurm")),
    ({"host": "10.0.0.2"}, {"SLURM": "1", "PARTITION": "kp"}, Host("ethernet", "10.0.0.2")),
    ({"partition": "gulch"}, {"BOARD": "ncl-1"}, Host("slurm", partition="gulch")),
    ({"board": "ncl-2"}, {"NXSDKHOST": "10.0.0.1"}, Host("slurm", board="ncl-2")),
    ({"chips": 8}, {"LOIHI_GEN": "N3C1"}, Host(generation="N3C1", chips=8)),
    ({"generation": "N3B2"}, {"LOIHI_GEN": "N3C1"}, Host(generation="N3B2")),
]


@pytest.mark.parametrize(("options", "environment", "expected"), NAMED)
def test_options_come_before_the_environment(options, environment, expected):
    assert host_from(**options, environment=environment) == expected


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"generation": "N1"}, "allowed: N3B2, N3B3"),
        ({"partition": "a", "board": "b"}, "give one of them"),
        ({"host": "10.0.0.1", "partition": "a"}, "use host slurm"),
        ({"host": "10.0.0.1; reboot"}, "letters, digits"),
        ({"board": "-N"}, "letters, digits"),
        ({"chips": 0}, "at least 1"),
    ],
)
def test_what_contradicts_itself_is_one_line(options, says):
    with pytest.raises(InputError, match=says) as raised:
        host_from(**options, environment={})
    assert "\n" not in str(raised.value)


def test_a_kind_without_its_address():
    with pytest.raises(InputError, match="an address belongs to"):
        Host("ethernet")
    with pytest.raises(InputError, match="slurm, ethernet or extension"):
        Host("pigeon")


def test_names_say_where():
    assert str(Host("slurm", partition="kp")) == "SLURM, partition kp, N3B3"
    assert str(Host("ethernet", "10.0.0.1", generation="N3C1")) == "ethernet host 10.0.0.1, N3C1"
