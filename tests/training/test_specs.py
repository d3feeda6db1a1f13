from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conntra_hardware.base.errors import InputError
from conntra_neuro.training.architecture.words import Conv, LayerSpec, Pool, as_specs, parse_layers, parse_neurons

_numbers = st.integers(1, 30)
_convs = st.builds(
    Conv, _numbers, _numbers, _numbers, st.integers(0, 5), _numbers, st.integers(0, 4), st.just(1), _numbers
)
_depthwise = st.builds(Conv, st.none(), _numbers, _numbers, st.integers(0, 5), dilation=_numbers)
_pools = st.builds(Pool, st.sampled_from(["max", "sum"]), _numbers, _numbers)


@given(st.lists(st.one_of(_numbers, _convs, _depthwise, _pools), max_size=5))
def test_what_is_written_is_read(specs: list[LayerSpec]) -> None:
    text = ",".join(map(str, specs)) or "none"
    assert parse_layers(text) == tuple(specs)
    assert as_specs([spec if isinstance(spec, int) else str(spec) for spec in specs]) == tuple(specs)
    assert as_specs(specs) == tuple(specs)


def test_what_tokens_mean() -> None:
    assert parse_layers(" conv16k5S2 , maxpool2,sumpool3s2, 256") == (
        Conv(16, 5, 2),
        Pool("max", 2, 2),
        Pool("sum", 3, 2),
        256,
    )
    assert parse_layers("conv8k3p1g2+2x4") == (Conv(8, 3, 1, 1, 2, 2, 4),)
    assert parse_layers("conv16k3d2,dwconvk3p3d3s2") == (Conv(16, 3, dilation=2), Conv(None, 3, 2, 3, dilation=3))
    assert str(Conv(16, 5, 2, 4, 4, 1, dilation=2)) == "conv16k5s2p4d2g4+1"
    assert str(Conv(16, 1, dilation=2)) == "conv16k1"  # one pixel has no distance from another
    assert parse_layers("none") == ()


@pytest.mark.parametrize(
    "token",
    [
        "conv16",
        "convk3",
        "conv0k3",
        "conv8k3k5",
        "conv8k3+0",
        "pool2",
        "maxpool0",
        "-5",
        "1.5",
        "dwconv3",
        "0x",
        "conv8k3d0",
        "conv8d2",
        "maxpool2d2",
    ],
)
def test_what_is_no_layer_is_named(token: str) -> None:
    with pytest.raises(InputError, match=f"'{token.replace('+', '.')}' is no layer"):
        parse_layers(f"32,{token}")


@pytest.mark.parametrize("layers", [[0], [True], [2.5], [None]])
def test_what_is_no_width_is_named(layers: list[object]) -> None:
    with pytest.raises(InputError, match="widths"):
        as_specs(layers)


def test_neurons() -> None:
    assert [str(parse_neurons(text)) for text in ("threshold", "relu", "if8", "if4soft", "if4hard")] == [
        "threshold",
        "relu",
        "if8",
        "if4soft",
        "if4",
    ]
    for wrong in ("if", "if0", "if5000", "lif8", "if8x"):
        with pytest.raises(InputError, match=r"neuron|steps"):
            parse_neurons(wrong)
