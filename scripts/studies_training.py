"""Training: the studies of docs/training.md."""

from __future__ import annotations

from study_kinds import Comparisons, Printed, Study, Trainings

STUDIES: dict[str, Study] = {
    "backpropagation": Comparisons(
        "784-256-10 in four ways, MNIST, no images moved; straight-through and CoNNTrA train for equally long.",
        ("conntra compare mnist:MNIST --layers 256",),
        timed=True,
    ),
    "linear": Comparisons(
        "Logistic regression on the same spikes.",
        (
            "conntra compare mnist:MNIST --layers none",
            "conntra compare mnist:MNIST --layers none --levels 9 --methods conntra",
        ),
    ),
    "iris": Comparisons("Iris, five folds.", ("conntra compare iris --layers none --layers 32",)),
    "digits-four-ways": Comparisons("Digits, five folds, no images moved.", ("conntra compare digits --shift 0",)),
    "ablation": Printed(
        "One choice of the default recipe changed at a time, five sweeps.",
        ("python examples/ablation.py mnist:MNIST --sweeps 5 --seeds 3",),
        drop=("seconds",),
    ),
    "ablation-digits": Printed(
        "The same on digits, whose scores are not centred; no images moved.",
        ("python examples/ablation.py digits --study plain --layers 256 --sweeps 100 --seeds 3",),
        drop=("seconds",),
    ),
    "levels": Printed(
        "Other sets of weights, five sweeps.",
        ("python examples/ablation.py mnist:MNIST --sweeps 5 --seeds 3 --study levels",),
        drop=("seconds",),
    ),
    "depth": Printed(
        "More hidden layers of 256 units, five sweeps.",
        ("python examples/ablation.py mnist:MNIST --sweeps 5 --seeds 3 --study depth",),
        drop=("seconds",),
    ),
    "gears": Printed(
        "What each gear is good for, digits and 2,000 images of MNIST.",
        (
            "python examples/gears.py digits --layers 64 --seeds 3",
            "python examples/gears.py mnist:MNIST --samples 2000 --layers 128 --seeds 3",
        ),
        drop=("seconds",),
        joined=False,
    ),
    "wide": Trainings(
        "1,024 hidden units, images moved: by default, and with five levels.",
        "train mnist:MNIST",
        {
            "ternary, by default": "",
            "five levels": "--layers 1024 --levels 5 --sweeps 30 --option decay=2",
            "ternary, warm start": "--method warm",
        },
        columns=("test error", "training error", "weights not 0", "memory"),
    ),
    "few-samples": Printed(
        "Few samples a class, 256 hidden units, three draws; the defaults were not chosen on these images.",
        ("python examples/few_samples.py mnist:MNIST --draw-from test --per-class 10 40 100 400 --draws 3",),
    ),
    "joules": Trainings(
        "768 hidden units on Loihi 1, images moved, 16 sweeps: error and modelled dynamic energy an image.",
        "train mnist:MNIST --layers 768 --sweeps 16 --option decay=2",
        {
            "ternary": "",
            "ternary, with a price": "--penalty energy=0.08",
            "five levels": "--levels 5",
            "five levels, with a price": "--levels 5 --penalty energy=0.08",
        },
        columns=("test error", "synaptic operations", "energy, davies2018", "energy, sanafe2025"),
        chip="loihi1",
    ),
    "penalties": Printed(
        "784-256-10 with rising prices on modelled energy (Loihi 1, sanafe2025), 30 sweeps.",
        ("python tests/benchmarks/bench_penalty.py --data mnist:MNIST --weights 0,0.5,1,1.3,2 --seeds 3",),
    ),
}
