"""Every kind of neuron, value for value, against plain Python integers; its bounds, limits, names and facts.

Quick on purpose: mutants of ``neurons/`` are tried on this file alone.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest

import conntra_neuro as cn
from conntra_hardware.base.errors import InputError
from conntra_hardware.neurons import GRADED_MAX, Facts, SigmaDelta, Span, common_steps, row_for
from conntra_hardware.neurons.base import Neuron, parameter
from conntra_hardware.neurons.recurrence import later, respond_recurrently
from conntra_hardware.neurons.registers import HALF, bounded, decayed
from conntra_hardware.neurons.stream import Arrival, Stage, Stream
from conntra_hardware.neurons.table import MAX_STEPS, neuron_from_dict, neuron_from_name, neuron_to_dict, stored_neuron

N, STEPS, SIZE = 3, 9, 4


def sums_of(seed: int, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Return sums (N, STEPS, SIZE) with many small values, and biases."""
    rng = np.random.default_rng(seed)
    scale = rng.choice([1, 3, most], (N, STEPS, SIZE))
    return rng.integers(-1, 2, (N, STEPS, SIZE)) * scale * rng.integers(0, 2, (N, STEPS, SIZE)), rng.integers(
        -2, 3, SIZE
    )


def decay(x: int, d: int) -> int:
    kept = abs(x) * (4096 - d) // 4096
    return kept if x >= 0 else -kept


def wrap(u: int) -> int:
    while u > 2**23:
        u -= 2**24
    while u <= -(2**23):
        u += 2**24
    return u


def one(parameter: Any, at: int) -> int:
    return parameter[at] if isinstance(parameter, tuple) else parameter


def plain(neuron: Any, sums: list[int], bias: int, at: int) -> list[tuple[int, int, int]]:
    """Return (sent, held, left) of neuron ``at`` at each step, from its docstring."""
    u = v = waits = act = residue = error = sigma = 0
    found = []
    for total in sums:
        if neuron.kind == "threshold":
            v = total + bias
            found.append((int(v > 0), v, min(v, 0)))
        elif neuron.kind == "graded_relu":
            v = total + bias
            y = min(max(0, v // 2 ** one(neuron.shift, at)), one(neuron.ceiling, at))
            found.append((y, v, 0 if y else v))
        elif neuron.kind == "integrate_and_fire":
            v = held = v + total + bias
            spike = v >= one(neuron.threshold, at)
            v = v if not spike else 0 if neuron.reset == "hard" else v - one(neuron.threshold, at)
            found.append((int(spike), held, v))
        elif neuron.kind == "readout" and neuron.read == "sum":
            v += total + bias
            found.append((v, v, v))
        elif neuron.kind in ("lif", "readout"):
            u = wrap(decay(u, one(neuron.current_decay, at)) + 64 * total)
            charged = min(max(decay(v, one(neuron.voltage_decay, at)) + u + 64 * bias, -(2**23) + 1), 2**23 - 1)
            rest = u if one(neuron.current_decay, at) < 4096 else 0
            if neuron.kind == "readout":
                v = charged
                found.append((v, v, v | rest))
                continue
            theta, held = 64 * one(neuron.threshold, at), v if waits else charged
            spike = not waits and (held > theta if neuron.strict else held >= theta)
            v = held if not spike else 0 if neuron.reset == "hard" else held - theta
            waits = one(neuron.refractory, at) if spike else max(waits - 1, 0)
            found.append((int(spike), held, v | rest))
        else:
            sigma += total
            now = max(sigma + bias, 0) if neuron.activation == "relu" else sigma + bias
            delta = now - act + residue
            error = error + delta if neuron.cumulative_error else delta
            spike = abs(error) >= neuron.threshold
            sent = delta if spike else 0
            error = error if sent == 0 else 0
            residue, act = delta - sent, now
            found.append((sent >> neuron.shift, sigma + bias, sigma | act | residue))
    return found


LEAKS = {"voltage_decay": (0, 163, 4095, 4096), "current_decay": (4096, 0, 2048, 4095)}
NEURONS = [
    cn.Threshold(),
    cn.GradedRelu(),
    cn.GradedRelu((0, 1, 3, 23), ceiling=(1, 2, 7, GRADED_MAX)),
    cn.GradedRelu(1, ceiling=2),
    cn.IntegrateAndFire((1, 2, 5, 2**17 - 1), STEPS),
    cn.IntegrateAndFire(3, STEPS, reset="soft"),
    cn.Lif((0, 1, 3, 2**17 - 1), **LEAKS),
    cn.Lif((1, 2, 3, 4), **LEAKS, reset="soft", refractory=(0, 1, 2, 63)),
    cn.Lif(1, voltage_decay=1024, strict=False, refractory=1),
    cn.Lif(2, voltage_decay=0, current_decay=4095, strict=False, reset="soft"),
    cn.Readout(),
    cn.Readout("last", **LEAKS),
    cn.Readout("max", voltage_decay=0),
    *(SigmaDelta(t, s, a, c) for t, s in ((0, 0), (1, 0), (3, 1)) for a in ("relu", "linear") for c in (False, True)),
]


@pytest.mark.parametrize("most", [4, 2**17])
@pytest.mark.parametrize("neuron", NEURONS, ids=repr)
def test_every_step_is_the_formula(neuron: Any, most: int) -> None:
    for seed in range(6):
        sums, bias = sums_of(seed, most)
        given = sums.copy()
        whole = neuron.advance(sums, bias)
        expected = [[plain(neuron, sums[n, :, i].tolist(), int(bias[i]), i) for i in range(SIZE)] for n in range(N)]
        table = np.array(expected).transpose(3, 0, 2, 1)
        for got, wanted in zip((whole.sent, whole.held, whole.left), table, strict=True):
            assert np.array_equal(got, wanted)
        assert np.array_equal(neuron.held(sums, bias), table[1])
        assert np.array_equal(neuron.left(sums, bias), table[2])
        # In two parts, the state carried on.
        first = neuron.advance(sums[:, :4], bias)
        second = neuron.advance(sums[:, 4:], bias, first.state or None)
        assert np.array_equal(np.concatenate([first.sent, second.sent], axis=1), table[0])
        assert all(np.array_equal(a, b) for a, b in zip(second.state, whole.state, strict=True))
        nothing = neuron.advance(sums[:, :0], bias, first.state or None)
        assert all(np.array_equal(a, b) for a, b in zip(nothing.state, first.state, strict=True))
        assert np.array_equal(sums, given)
        for name in ("held", "left", "respond"):  # without a bias
            method = getattr(neuron, name)
            assert np.array_equal(method(sums), method(sums, 0))
        assert np.array_equal(neuron.advance(sums).held, neuron.advance(sums, 0).held)
        answer = neuron.respond(sums, bias)
        if neuron.kind == "readout":
            logits = {"sum": table[0][:, -1], "last": table[0][:, -1], "max": table[0].max(axis=1)}[neuron.read]
            assert np.array_equal(answer, logits)
            assert answer.dtype == np.int64
        else:
            assert np.array_equal(answer, table[0])
            assert answer.dtype == (np.int32 if neuron.graded else np.uint8)


def test_what_kinds_say_of_themselves() -> None:
    facts = {
        cn.Threshold(): (False, False, None, "threshold"),
        cn.GradedRelu(2): (False, False, None, "graded"),
        cn.IntegrateAndFire(3, 7): (True, False, 7, "integrating"),
        cn.Lif(3, voltage_decay=0): (True, True, None, "leaky"),
        SigmaDelta(3): (True, True, None, "sigma delta"),
        cn.Readout(): (True, False, None, "readout"),
        cn.Readout("max", voltage_decay=3): (True, True, None, "leaky readout"),
    }
    for neuron, said in facts.items():
        assert (neuron.has_state, neuron.needs_steps, neuron.sample_steps, neuron.facts.form) == said
        assert neuron.spikes == (neuron.kind != "readout")
        assert neuron.graded == (neuron.kind in ("graded_relu", "sigma_delta")) == neuron.facts.graded
        assert neuron_from_dict(neuron_to_dict(neuron)) == neuron
        assert neuron_from_dict(stored_neuron(neuron)) == neuron


def test_the_facts_of_each_kind() -> None:
    assert cn.Threshold().facts == Facts(0, True, "hard", 4096, 4096)
    assert cn.GradedRelu(2, ceiling=9).facts == Facts(graded=True, shift=2, ceiling=9)
    assert cn.IntegrateAndFire(3, 7, "soft").facts == Facts(3, False, "soft", voltage_decay=0)
    assert cn.Lif(3, voltage_decay=5, current_decay=6, reset="soft", refractory=2).facts == Facts(
        *(3, True, "soft", 5, 6, 2), fraction_bits=6
    )
    assert not cn.Lif(3, voltage_decay=5, strict=False).facts.strict
    assert cn.Readout().facts == Facts(None, voltage_decay=0)
    assert cn.Readout("max", voltage_decay=3, current_decay=4).facts == Facts(
        None, voltage_decay=3, current_decay=4, fraction_bits=6, read="max"
    )
    expected = Facts(3, False, voltage_decay=0, graded=True, shift=1, delta="linear", cumulative_error=True)
    assert SigmaDelta(3, 1, "linear", True).facts == expected


FORMS = [
    (Facts(), "threshold"),
    (Facts(threshold=1), "other"),
    (Facts(strict=False), "other"),
    (Facts(refractory=1), "other"),
    (Facts(shift=1), "other"),
    (Facts(voltage_decay=0), "integrating"),
    (Facts(voltage_decay=0, threshold=9, strict=False), "integrating"),
    (Facts(voltage_decay=0, current_decay=0), "other"),
    (Facts(current_decay=0), "other"),
    (Facts(voltage_decay=1), "other"),
    (Facts(graded=True, shift=3), "graded"),
    (Facts(graded=True, threshold=1), "other"),
    (Facts(graded=True, voltage_decay=0), "other"),
    (Facts(fraction_bits=6, threshold=5, refractory=2), "leaky"),
    (Facts(fraction_bits=6, graded=True), "other"),
    (Facts(fraction_bits=6, shift=1), "other"),
    (Facts(fraction_bits=5), "other"),
    (Facts(threshold=None, voltage_decay=0), "readout"),
    (Facts(threshold=None, voltage_decay=0, read="max"), "other"),
    (Facts(threshold=None, voltage_decay=0, current_decay=0), "other"),
    (Facts(threshold=None, voltage_decay=7), "other"),
    (Facts(threshold=None, voltage_decay=0, fraction_bits=3), "other"),
    (Facts(threshold=None, fraction_bits=6, read="max"), "leaky readout"),
    (Facts(threshold=None, fraction_bits=6, refractory=1), "other"),
    (Facts(threshold=None, fraction_bits=6, shift=1), "other"),
    (Facts(threshold=None, fraction_bits=6, graded=True), "other"),
    (Facts(threshold=None, delta="relu"), "sigma delta"),
]


@pytest.mark.parametrize(("facts", "form"), FORMS)
def test_the_form_of_facts(facts: Facts, form: str) -> None:
    assert facts.form == form


def test_the_least_potential_that_spikes() -> None:
    assert Facts(threshold=4).least == 5
    assert Facts(threshold=4, strict=False).least == 4
    assert Facts(threshold=(4, 6)).least.tolist() == [5, 7]
    assert Facts(threshold=(4, 6)).per_neuron
    assert not Facts(threshold=4).per_neuron
    with pytest.raises(InputError, match="no threshold"):
        _ = Facts(threshold=None).least


def test_parameters_are_whole_numbers_in_their_range() -> None:
    assert parameter(np.int8(3), 0, 3, "p") == 3
    assert isinstance(parameter(np.int8(3), 0, 3, "p"), int)
    assert parameter([0, 3], 0, 3, "p") == (0, 3)
    assert parameter(np.array([2, 2]), 0, 3, "p") == 2
    for wrong in (-1, 4, True, 1.0, "1", None, [0, 4], [-1, 0], [], [[1]], [1.0], np.array(1.5), [True, False]):
        with pytest.raises(InputError, match=r"^p"):
            parameter(wrong, 0, 3, "p")


LIMITS = [
    (lambda v: cn.GradedRelu(v), 0, 23),
    (lambda v: cn.GradedRelu(ceiling=v), 1, GRADED_MAX),
    (lambda v: cn.IntegrateAndFire(v, 2), 1, 2**17 - 1),
    (lambda v: cn.IntegrateAndFire(2, v), 1, 4096),
    (lambda v: cn.Lif(v, voltage_decay=0), 0, 2**17 - 1),
    (lambda v: cn.Lif(0, voltage_decay=v), 0, 4096),
    (lambda v: cn.Lif(0, voltage_decay=0, current_decay=v), 0, 4096),
    (lambda v: cn.Lif(0, voltage_decay=0, refractory=v), 0, 63),
    (lambda v: cn.Readout("last", voltage_decay=v), 0, 4096),
    (lambda v: cn.Readout("last", current_decay=v), 0, 4096),
    (lambda v: SigmaDelta(v), 0, GRADED_MAX),
    (lambda v: SigmaDelta(1, v), 0, 23),
]


@pytest.mark.parametrize(("make", "low", "high"), LIMITS, ids=map(str, range(len(LIMITS))))
def test_limits_of_parameters(make: Any, low: int, high: int) -> None:
    make(low), make(high)
    for wrong in (low - 1, high + 1):
        with pytest.raises(InputError, match=f"from {low} to {high} expected"):
            make(wrong)


def test_what_does_not_belong_together() -> None:
    wrong = [
        lambda: cn.Lif(0, voltage_decay=0, strict=False),
        lambda: cn.Lif((1, 0), voltage_decay=0, strict=False),
        lambda: cn.Lif(1, voltage_decay=0, strict=1),  # type: ignore[arg-type]
        lambda: cn.Lif(1, voltage_decay=0, reset="no"),  # type: ignore[arg-type]
        lambda: cn.IntegrateAndFire(1, 2, reset="no"),  # type: ignore[arg-type]
        lambda: cn.IntegrateAndFire(1, (2, 3)),  # type: ignore[arg-type]
        lambda: cn.IntegrateAndFire(1, 2).respond(np.zeros((1, 3, 1), int)),
        lambda: cn.Readout("first"),  # type: ignore[arg-type]
        lambda: cn.Readout(voltage_decay=1),
        lambda: cn.Readout(current_decay=0),
        lambda: SigmaDelta((1, 2)),  # type: ignore[arg-type]
        lambda: SigmaDelta(1, 0, "tanh"),  # type: ignore[arg-type]
        lambda: SigmaDelta(1, cumulative_error=1),  # type: ignore[arg-type]
    ]
    for make in wrong:
        with pytest.raises(InputError):
            make()
    assert cn.Lif(1, voltage_decay=0, strict=False).strict is False


def test_24_bits_are_what_a_graded_spike_has() -> None:
    most = np.full((1, 1, 1), GRADED_MAX)
    assert cn.GradedRelu().respond(most).item() == GRADED_MAX == 2**23 - 1
    assert SigmaDelta(1).respond(most).item() == GRADED_MAX
    assert SigmaDelta(1, activation="linear").respond(-most).item() == -GRADED_MAX
    for neuron in (cn.GradedRelu(), SigmaDelta(1), cn.GradedRelu(ceiling=(GRADED_MAX, 5))):
        for sums, more in ((most + 1, 1), (2 * most + 1, 1), (2 * most + 2, 2), (8 * most + 8, 4)):
            with pytest.raises(InputError, match=f"by {more} bits more"):
                neuron.respond(np.repeat(sums, 2, axis=2))


def test_entries_of_files_as_they_were() -> None:
    assert cn.GradedRelu(3).entries() == {"shift": 3}
    assert cn.GradedRelu(3, ceiling=5).entries() == {"shift": 3, "ceiling": 5}
    assert cn.Readout().entries() == {}
    assert cn.Readout("last").entries() == {"read": "last", "voltage_decay": 0, "current_decay": 4096}
    assert neuron_to_dict(cn.GradedRelu((1, 2))) == {"kind": "graded_relu", "shift": [1, 2]}
    assert stored_neuron(cn.Threshold()) == "threshold"
    assert stored_neuron(cn.GradedRelu(1)) == {"kind": "graded_relu", "shift": 1}


def test_neurons_by_name() -> None:
    assert neuron_from_name("threshold") == cn.Threshold()
    assert neuron_from_dict("readout") == cn.Readout()
    for wrong, says in (("treshold", "did you mean"), ("lif", "has parameters; give Lif"), (3, "unknown")):
        with pytest.raises(InputError, match=says):
            neuron_from_name(wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="'cell': unknown"):
        neuron_from_dict({"kind": "cell"})


def test_the_steps_of_a_sample() -> None:
    timed, leaky = cn.IntegrateAndFire(1, 5), cn.Lif(1, voltage_decay=0)
    assert common_steps({}) == 1
    assert common_steps({"a": cn.Threshold()}) == 1
    assert common_steps({"a": timed, "b": leaky}) == 5
    assert common_steps({"b": leaky}, 7) == 7
    assert common_steps({"b": leaky}, 1) == 1
    assert common_steps({"b": leaky}, MAX_STEPS) == 4096
    for neurons, given in (({"a": timed}, 4), ({"b": leaky}, None), ({"b": leaky}, 0), ({"b": leaky}, 4097)):
        with pytest.raises(InputError):
            common_steps(neurons, given)
    with pytest.raises(InputError, match="different time steps"):
        common_steps({"a": timed, "b": cn.IntegrateAndFire(1, 6)})


def reached(neuron: Any, low: int, high: int, steps: int) -> tuple[int, int]:
    """Return the least and the largest v that any sums from ``low`` to ``high`` reach, in weight units away from 0."""
    sums = np.array(list(itertools.product(range(low, high + 1), repeat=steps)))[:, :, None]
    held = neuron.advance(sums).held
    unit = 64 if neuron.facts.fraction_bits else 1
    return -(-int(held.min()) // unit), -(-int(held.max()) // unit)


@pytest.mark.parametrize(
    ("neuron", "exact"),
    [
        (cn.Threshold(), True),
        (cn.GradedRelu(1), True),
        (cn.IntegrateAndFire(4, 4, reset="soft"), False),
        (cn.IntegrateAndFire(4, 4), True),
        (cn.IntegrateAndFire(1, 4), True),
        (cn.Readout(), True),
        (cn.Readout("last", voltage_decay=0), True),
        (cn.Lif(4, voltage_decay=0), False),
        (cn.Lif(1, voltage_decay=1024, current_decay=1024, reset="soft"), False),
        (SigmaDelta(3), True),
    ],
    ids=repr,
)
def test_bounds_of_a_register_hold_and_are_close(neuron: Any, exact: bool) -> None:
    for low, high, steps in ((-2, 3, 4), (-3, 1, 3), (0, 2, 1), (-2, 2, 4)):
        least, most = (int(b[0]) for b in neuron.register_bounds(np.array([low]), np.array([high]), steps))
        found = reached(neuron, low, high, steps)
        assert least <= found[0]
        assert most >= found[1]
        if exact and not (neuron.kind == "integrate_and_fire" and steps * high < neuron.threshold):
            assert (least, most) == found


def bound(neuron: Any, low: int, high: int, steps: int) -> tuple[int, int]:
    least, most = neuron.register_bounds(np.array([low]), np.array([high]), steps)
    return int(least[0]), int(most[0])


def test_bounds_by_hand() -> None:
    assert bound(cn.IntegrateAndFire(10, 4), -2, 3, 4) == (-8, 12)
    assert bound(cn.IntegrateAndFire(10, 4, reset="soft"), -2, 3, 4) == (-8, 12)
    assert bound(cn.IntegrateAndFire(10, 4, reset="soft"), -2, -1, 4) == (-8, -1)
    assert bound(cn.IntegrateAndFire(10, 1), -2, 30, 1) == (-2, 30)
    assert bound(SigmaDelta(10), -2, 3, 4) == (-8, 12)
    assert bound(SigmaDelta(10), 1, 3, 4) == (0, 12)
    assert bound(cn.Readout(), -2, 3, 4) == (-8, 12)
    assert bound(cn.Lif(10, voltage_decay=0, reset="soft"), -2, 3, 4) == (-8, 12)
    assert bound(cn.Lif(5, voltage_decay=0), -2, 3, 4) == (-8, 8)  # 5, and a step's 3
    assert bound(cn.Lif(100, voltage_decay=0), -2, 3, 4) == (-8, 12)
    assert bound(cn.Lif(5, voltage_decay=0), -2, -1, 4) == (-8, 0)
    assert bound(cn.Lif(5, voltage_decay=0, current_decay=0), 0, 1, 4) == (0, 9)  # 5, and u of 1 + 1 + 1 + 1
    assert bound(cn.Lif(99, voltage_decay=2048, reset="soft"), -1, 1, 2) == (-2, 2)  # 1.5, away from 0


def test_bounds_of_registers() -> None:
    low, high = bounded(np.array([-1, 1]), np.array([2, 3]), 3, 0, 0)
    assert (low.tolist(), high.tolist()) == ([-6, 0], [12, 18])  # 1 + 2 + 3 steps of u
    low, high = bounded(np.array([-1]), np.array([1]), 10**9, 4096, 4096)  # nothing changes after a step
    assert (low.tolist(), high.tolist()) == ([-1], [1])
    for current, voltage in ((0, 0), (4096, 4096), (4096, 0)):  # far beyond any register they stop at 2^52
        low, high = bounded(np.array([-(2**50)]), np.array([2**50]), 3, current, voltage)
        assert (low.tolist(), high.tolist()) == ([-(2**46)], [2**46])
    assert decayed(np.array([-3, 3, -4096]), 2048).tolist() == [-1, 1, -2048]
    assert HALF == 2**23


def test_spans_of_what_graded_neurons_send() -> None:
    def ends(span: Span) -> list[Any]:
        return [None if b is None else b.tolist() for b in (span.low, span.high, span.least, span.most)]

    low, high = np.array([-10, 5]), np.array([-3, 20])
    assert ends(cn.Threshold().span(low, high, 4)) == [[0, 0], [1, 1], None, None]
    assert ends(cn.GradedRelu(2).span(low, high, 4)) == [[0, 0], [-1, 5], None, None]
    assert ends(cn.GradedRelu(0, ceiling=7).span(low, high, 4)) == [[0, 0], [-3, 7], None, None]
    relu, linear = SigmaDelta(4), SigmaDelta(4, activation="linear")
    assert ends(relu.span(low, high, 4)) == [[-3, -23], [3, 23], [-3, -3], [3, 23]]
    assert ends(linear.span(low, high, 4)) == [[-13, -23], [13, 23], [-13, -3], [3, 23]]
    assert ends(replace(relu, cumulative_error=True).span(low, high, 4)) == [[-6, -26], [6, 26], [-6, -6], [6, 26]]
    assert ends(replace(relu, shift=1).span(low, high, 4)) == [[-2, -12], [1, 11], [-6, -6], [1, 11]]
    assert ends(SigmaDelta(0).span(low, high, 4)) == [[0, -20], [0, 20], [0, 0], [0, 20]]


def test_neurons_are_taken_spread_and_counted() -> None:
    several = cn.Lif((1, 2, 3), voltage_decay=5, refractory=(0, 1, 0))
    assert several.take([2, 0]) == cn.Lif((3, 1), voltage_decay=5)
    assert several.take(slice(1, 3)).threshold == (2, 3)
    assert several.spread(3, 6).threshold == (1, 1, 2, 2, 3, 3)
    assert several.spread(2, 6) is several
    alike = cn.Lif(1, voltage_decay=5)
    assert alike.take([0]) is alike
    assert alike.spread(1, 9) is alike
    several.check_size(3, "here")
    alike.check_size(99, "here")
    with pytest.raises(InputError, match=r"here: 3 values of lif\.threshold; one, or 4 expected"):
        several.check_size(4, "here")


@dataclass(frozen=True)
class Nothing(Neuron):
    """A kind that says as little as it may."""

    kind: ClassVar[str] = "nothing"

    @property
    def facts(self) -> Facts:
        return Facts(threshold=7)

    def advance(self, sums: Any, bias: Any = 0, state: Any = None) -> Any:
        raise NotImplementedError


def test_what_a_kind_has_unless_it_says_otherwise() -> None:
    neuron = Nothing()
    assert (neuron.has_state, neuron.needs_steps, neuron.sample_steps, neuron.spikes, neuron.graded) == (
        *(False, False, None, True, False),
    )
    assert neuron.entries() == {}
    assert bound(neuron, -4, 9, 3) == (-4, 9)
    assert neuron.largest_spike(np.array([5, -1])).tolist() == [1, 1]


def test_rows_of_tables() -> None:
    table = {"threshold": 1, "other": 2}
    assert row_for(table, cn.Threshold(), "here", "do this") == 1
    with pytest.raises(InputError, match="here: lif neurons; allowed: threshold; do this"):
        row_for(table, cn.Lif(1, voltage_decay=0), "here", "do this")
    with pytest.raises(KeyError, match="allowed"):
        row_for({"graded": 1}, cn.Threshold(), "here", "do this", KeyError)  # type: ignore[arg-type]


def test_what_is_sent_comes_later() -> None:
    values = np.arange(1, 9).reshape(1, 4, 2)
    assert later(values, 0) is values
    assert later(values, 1)[0].tolist() == [[0, 0], [1, 2], [3, 4], [5, 6]]
    assert later(values, 3)[0].tolist() == [[0, 0], [0, 0], [0, 0], [1, 2]]
    assert not later(values, 4).any()
    assert not later(values, 9).any()


@pytest.mark.parametrize(
    "neuron", [cn.IntegrateAndFire(2, STEPS, reset="soft"), cn.Lif(1, voltage_decay=900)], ids=repr
)
def test_neurons_that_see_their_own_spikes(neuron: Any) -> None:
    rng = np.random.default_rng(3)
    sums, bias = rng.integers(-2, 4, (N, STEPS, SIZE)), rng.integers(-1, 2, SIZE)
    weights = {1: rng.integers(-2, 3, (SIZE, SIZE)), 3: rng.integers(-2, 3, (SIZE, SIZE))}
    given = sums.copy()
    loops = [(lag, lambda sent, w=w: sent.astype(np.int64) @ w.T) for lag, w in weights.items()]
    found = respond_recurrently(neuron, sums, bias, loops)
    expected = np.zeros((N, STEPS, SIZE), np.int64)
    total = sums.copy()
    for step in range(STEPS):
        for lag, w in weights.items():
            for n in range(N):
                for i in range(SIZE):
                    if step - lag >= 0:
                        total[n, step, i] += sum(int(w[i, j]) * int(expected[n, step - lag, j]) for j in range(SIZE))
        for n in range(N):
            for i in range(SIZE):
                expected[n, step, i] = plain(neuron, total[n, : step + 1, i].tolist(), int(bias[i]), i)[-1][0]
    assert np.array_equal(found, expected)
    assert found.any()
    assert np.array_equal(sums, given)
    assert respond_recurrently(neuron, sums[:, :0], bias, loops).shape == (N, 0, SIZE)


def test_a_stream_in_parts_of_any_size() -> None:
    rng = np.random.default_rng(4)
    first, second, own = rng.integers(-2, 4, (5, 3)), rng.integers(-2, 3, (2, 5)), rng.integers(-2, 3, (5, 5))

    def by(w: np.ndarray) -> Any:
        return lambda values: values @ w.T

    stages = (
        Stage(
            cn.Lif(1, voltage_decay=900), 5, rng.integers(-1, 2, 5), (Arrival(-1, 0, by(first)), Arrival(0, 2, by(own)))
        ),
        Stage(None, 5, 0, (Arrival(0, 1, lambda values: 3 * values),)),
        Stage(cn.Readout(), 2, 1, (Arrival(1, 0, by(second)), Arrival(-1, 3, by(np.ones((2, 3), int))))),
    )
    x = rng.integers(0, 2, (12, 3)).astype(np.uint8)
    hidden = np.zeros((12, 5), np.int64)
    sums = x.astype(np.int64) @ first.T
    for row in range(12):
        sums[row] += own @ hidden[row - 2] if row >= 2 else 0
        for i in range(5):
            hidden[row, i] = plain(stages[0].neuron, sums[: row + 1, i].tolist(), int(stages[0].bias[i]), i)[-1][0]
    handed = np.vstack([np.zeros((1, 5), np.int64), 3 * hidden[:-1]])
    arrived = (
        handed @ second.T + np.vstack([np.zeros((3, 2), np.int64), x[:-3].sum(axis=1, keepdims=True) * [1, 1]]) + 1
    )
    logits = np.cumsum(arrived, axis=0)
    assert hidden.any()
    stream = Stream(3, stages)
    for sizes in ((12,), (1,) * 12, (3, 0, 4, 5)):
        stream.reset()
        at, found = 0, []
        for size in sizes:
            found.append(stream.push(x[at : at + size]))
            assert np.array_equal(stream.sent[0], hidden[at : at + size])
            assert np.array_equal(stream.sent[1], handed[at : at + size])
            at += size
            assert stream.rows == at
        assert np.array_equal(np.concatenate(found), logits)
    with pytest.raises(InputError):
        stream.push(np.zeros((1, 4), np.uint8))
