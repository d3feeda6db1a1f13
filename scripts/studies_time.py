"""Events, time, chips and the rest: the studies of the pages on it."""

from __future__ import annotations

from study_kinds import Printed, Study

STUDIES: dict[str, Study] = {
    "moving-edge": Printed(
        "Which networks can tell the direction of a moving edge: 32 hidden units, ternary, 8 sweeps, three seeds.",
        ("python examples/moving_edge.py --seeds 3",),
    ),
    "spoken-digits": Printed(
        "Spoken digits, the data set's own test recordings, run by run in examples/train_spoken_digits.json.",
        ("python examples/train_spoken_digits.py --table own",),
        drop=("s",),
    ),
    "unknown-speakers": Printed(
        "Spoken digits of a speaker who was left out, run by run in examples/train_spoken_digits.json.",
        ("python examples/train_spoken_digits.py --table speakers",),
    ),
    "events-throughput": Printed(
        "From recordings of events to decisions: binning and a convolutional network, in turns with others.",
        ("python tests/benchmarks/bench_events.py --lava --tonic TONIC",),
        drop=("events a second",),
    ),
    "mnist-over-time": Printed(
        "MNIST as rates and as latencies over 16 steps, run by run in examples/mnist_over_time.json.",
        ("python examples/mnist_over_time.py --table",),
        drop=("s",),
    ),
    "lif-trace": Printed(
        "A leaky neuron's recorded traces, step by step.",
        ("python scripts/plot_lif_trace.py --out lif_trace.png",),
    ),
    "time-speed": Printed(
        "784-512-10, random ternary weights, 8 steps, 1,000 samples: the fastest of five runs in turns.",
        ("python tests/benchmarks/bench_time.py --repeats 5 --sinabs READERS",),
        drop=("us a sample",),
    ),
    "regression": Printed(
        "Regression beside scikit-learn, settings chosen on training samples, three seeds.",
        ("python examples/regression.py --seeds 3",),
    ),
    "cores": Printed(
        "784-256-10 with random ternary weights, spread over more and more cores.",
        ("python examples/spread_over_cores.py",),
    ),
    "placement": Printed(
        "Axons times hops, placed and row by row.",
        ("python tests/benchmarks/bench_chip.py",),
        drop=("placing, s",),
    ),
    "pilotnet-chip": Printed(
        "PilotNet on a Loihi 2 chip as Intel measured it, and as modelled here.",
        ("python scripts/pilotnet_on_chip.py PACKAGES/lava-dl",),
    ),
    "lenet": Printed(
        "LeNet-5's layers with random ternary weights on 10,000 images of MNIST: simulators, and modelled energy.",
        ("python tests/benchmarks/bench_conv.py mnist:MNIST",),
    ),
    "time-steps": Printed(
        "Integrate-and-fire neurons over 1 to 16 time steps against threshold neurons: digits, three seeds.",
        ("python examples/time_steps.py digits --seeds 3",),
    ),
    "cluster-bytes": Printed(
        "What a step of the blocks gear sends over the network, counted.",
        ("python tests/benchmarks/bench_cluster.py",),
    ),
    "scaling": Printed(
        "How training time grows: processor seconds a sweep on one thread, each quantity doubled alone.",
        ("python examples/scaling.py",),
        drop=("seconds a sweep",),
    ),
    "scoring": Printed(
        "Scoring every single-weight move exactly, against a forward pass for each.",
        ("python tests/benchmarks/bench_scoring.py --data mnist:MNIST",),
        drop=("all moves, s", "a forward pass, s"),
    ),
    "fuzz-long": Printed(
        "Random programs on each simulator against the plain loop, spike for spike; hours.",
        ("python scripts/fuzz_long.py",),
        drop=("failed", "time, s"),
    ),
    "installs": Printed(
        "A clean environment for each Python, in which pip has chosen the versions.",
        ("python scripts/try_installs.py",),
        drop=("install, s", "demo, s"),
    ),
}
