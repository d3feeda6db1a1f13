"""Random networks that live in time: leaky neurons, delays, recurrent connections, readouts of every kind."""

from __future__ import annotations

from typing import Any

import numpy as np

import conntra_neuro as cn

N_IN, HIDDEN, NEXT, CLASSES = 12, 9, 7, 4


def plain_lif(rng: np.random.Generator) -> cn.Lif:
    """What Lava's own LIF can do."""
    decays = {"voltage_decay": int(rng.integers(0, 4097)), "current_decay": int(rng.integers(1, 4097))}
    return cn.Lif(int(rng.integers(1, 6)), **decays)


def any_lif(rng: np.random.Generator, n: int) -> cn.Lif:
    """Return ``n`` neurons with any parameters, some of them one a neuron."""

    def drawn(low: int, high: int) -> Any:
        return rng.integers(low, high, n) if rng.random() < 0.5 else int(rng.integers(low, high))

    return cn.Lif(
        drawn(1, 6),
        voltage_decay=drawn(0, 4097),
        current_decay=drawn(0, 4097),
        reset=str(rng.choice(["hard", "soft"])),  # type: ignore[arg-type]
        strict=bool(rng.random() < 0.5),
        refractory=drawn(0, 3),
    )


def random_network(seed: int, plain: bool = False) -> tuple[cn.DiscreteNetwork, np.ndarray]:
    """Return a network and input spikes (n, steps, N_IN); ``plain``: of what Lava's own processes can do."""
    rng = np.random.default_rng(seed)
    steps = int(rng.integers(1, 9))

    def lif(n: int) -> cn.Lif:
        return plain_lif(rng) if plain else any_lif(rng, n)

    def delay(*shape: int) -> Any:
        return int(rng.integers(0, 4)) if rng.random() < 0.5 else rng.integers(0, 4, shape)

    def layer(n_out: int, n_in: int, neuron: Any, **options: Any) -> cn.Dense:
        return cn.Dense(rng.integers(-3, 4, (n_out, n_in)), rng.integers(-1, 3, n_out), neuron, **options)

    leaks = {"voltage_decay": int(rng.integers(0, 4097)), "current_decay": int(rng.integers(1, 4097))}
    last: Any = [
        "readout",
        cn.Readout("last", **leaks),
        cn.Readout("last" if plain else "max", voltage_decay=163),
        lif(CLASSES),
    ][rng.integers(4)]
    layers = [
        layer(HIDDEN, N_IN, lif(HIDDEN), delay=delay(N_IN)),
        layer(NEXT, HIDDEN, lif(NEXT) if rng.random() < 0.8 else "threshold", delay=delay(NEXT, HIDDEN)),
        layer(CLASSES, NEXT, last),
    ]
    recurrent = []
    if rng.random() < 0.6:
        recurrent.append(cn.Recurrent(0, rng.integers(-3, 4, (HIDDEN, HIDDEN)), delay(HIDDEN)))
    if rng.random() < 0.5:
        recurrent.append(cn.Recurrent(1, rng.integers(-3, 4, (NEXT, NEXT)), delay(NEXT, NEXT)))
    spikes = (rng.random((int(rng.integers(1, 6)), steps, N_IN)) < 0.3).astype(np.uint8)
    return cn.DiscreteNetwork(layers, steps=steps, recurrent=recurrent), spikes


def by_loops(network: cn.DiscreteNetwork, spikes: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Return every layer's spikes (n, steps, size) and the logits, in plain Python from the formulas of the neuron.

    One number at a time, from weights, delays and parameters alone; dense layers only.
    """
    n, steps, _ = spikes.shape
    sent = [spikes.astype(int)]
    logits = np.zeros((n, network.n_classes), int)
    for index, layer in enumerate(network.layers):
        assert isinstance(layer, cn.Dense)
        weight, size = layer.weight.astype(int), layer.n_out
        delays = np.broadcast_to(layer.delay, weight.shape)
        own = [r.connection for r in network.recurrent if r.layer == index]
        loops = [(c.weight.astype(int), np.broadcast_to(c.delay, c.weight.shape)) for c in own]
        out = np.zeros((n, steps, size), int)
        states = np.zeros((n, size, 3), int)
        traces = np.zeros((n, steps, size), int)
        for sample in range(n):
            for step in range(steps):
                for neuron in range(size):
                    total = 0
                    for source in range(layer.n_in):
                        row = step - int(delays[neuron, source])
                        if row >= 0:
                            total += int(weight[neuron, source]) * int(sent[-1][sample, row, source])
                    for back, lags in loops:
                        for source in range(size):
                            row = step - 1 - int(lags[neuron, source])
                            if row >= 0:
                                total += int(back[neuron, source]) * int(out[sample, row, source])
                    fired, traces[sample, step, neuron] = _one(
                        layer.neuron, neuron, states[sample, neuron], total, int(layer.bias[neuron])
                    )
                    out[sample, step, neuron] = fired
        if index < len(network.layers) - 1:
            sent.append(out)
        elif layer.neuron.spikes:
            sent.append(out)
            logits = out.sum(axis=1)
        else:
            read = getattr(layer.neuron, "read", "sum")
            logits = traces.max(axis=1) if read == "max" else traces[:, -1]
    return sent[1:], logits


def _one(neuron: Any, index: int, state: np.ndarray, total: int, bias: int) -> tuple[int, int]:
    """Take one neuron one step on; return whether it fires, and what a readout shows."""

    def of(value: Any) -> int:
        return int(value[index] if isinstance(value, tuple) else value)

    if neuron.kind == "threshold":
        return int(total + bias > 0), 0
    if neuron.kind == "readout" and neuron.read == "sum":
        state[1] += total + bias
        return 0, int(state[1])
    u = _decay(int(state[0]), of(neuron.current_decay)) + 64 * total
    v = _decay(int(state[1]), of(neuron.voltage_decay)) + u + 64 * bias
    state[0] = u
    if neuron.kind == "readout":
        state[1] = v
        return 0, v
    if state[2] > 0:
        state[2] -= 1
        return 0, 0
    theta = 64 * of(neuron.threshold)
    fires = v > theta if neuron.strict else v >= theta
    state[1] = (0 if neuron.reset == "hard" else v - theta) if fires else v
    state[2] = of(neuron.refractory) if fires else 0
    return int(fires), 0


def _decay(value: int, decay: int) -> int:
    left = (abs(value) * (4096 - decay)) >> 12
    return left if value >= 0 else -left
