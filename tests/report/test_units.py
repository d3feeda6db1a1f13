import pytest
from hypothesis import given
from hypothesis import strategies as st

from conntra_neuro.report.units import bytes_, count, percent, seconds, si, times


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0 J"),
        (1, "1.00 J"),
        (0.00123, "1.23 mJ"),
        (9.999e-7, "1.00 µJ"),
        (-4.5e-9, "-4.50 nJ"),
        (12.34e-12, "12.3 pJ"),
        (123_456, "123 kJ"),
        (3e-19, "0.00 fJ"),
        (None, "-"),
        (float("inf"), "-"),
    ],
)
def test_si(value, shown):
    assert si(value, "J") == shown


@given(st.floats(1e-14, 1e11))
def test_si_keeps_three_figures(value):
    number, unit = si(value, "J").split()
    factor = dict(zip("GMkmµnpf", (1e9, 1e6, 1e3, 1e-3, 1e-6, 1e-9, 1e-12, 1e-15), strict=True)).get(unit[:-1], 1.0)
    assert float(number) * factor == pytest.approx(value, rel=5.1e-3)
    assert "e" not in number


def test_the_rest():
    assert [bytes_(n) for n in (12, 41_700)] == ["12 B", "41.7 kB"]
    assert [percent(x) for x in (0.97222, None, 1)] == ["97.22 %", "-", "100.00 %"]
    assert [seconds(s) for s in (0.0012, 4.321, 42.1, 185)] == ["1.20 ms", "4.32 s", "42.1 s", "3 min 05 s"]
    assert [count(n) for n in (12345, 61.34, 7.0, 1234.5)] == ["12,345", "61.3", "7", "1,234"]
    assert times(38.94) == "38.9x"
