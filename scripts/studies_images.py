"""Convolutions and photographs: the studies of docs/images.md."""

from __future__ import annotations

from study_kinds import Comparisons, Printed, Study, Trainings

_SMALL = "train digits --layers conv8k3p1,32 --shift 0 --sweeps 40"

STUDIES: dict[str, Study] = {
    "conv-small": Trainings(
        "A convolutional network on MNIST, images moved, ten sweeps.",
        "train mnist:MNIST --layers conv16k5s2,conv32k5s2,128 --shift 1 --elastic 1 --sweeps 10",
        {"CoNNTrA, no gradient": "", "straight-through": "--method backprop", "CoNNTrA, warm start": "--method warm"},
        columns=("test error", "training error", "weights", "weights not 0", "memory"),
        first="method",
    ),
    "conv-83k": Trainings(
        "Three convolutions on MNIST, images moved, no gradient.",
        "train mnist:MNIST --layers conv32k5s2,conv64k3s2,conv96k3 --shift 1 --elastic 1",
        {"CoNNTrA, no gradient": "--option fraction=0.008 --sweeps 20"},
        columns=("test error", "training error", "weights", "weights not 0", "memory"),
        first="method",
    ),
    "imagenet": Comparisons(
        "Ten classes of Tiny ImageNet at half their size: errors of the 500 images of val.",
        (
            'conntra compare "images:IMAGENET?size=32" --layers conv16k3s2p1,conv32k3s2p1,conv32k3s2p1 '
            "--encoder thermometer:4 --shift 2 --elastic 0 --seeds 3 --folds 0 --sweeps 40",
        ),
    ),
    "conv-speed": Printed(
        "A sweep of a network for images like CIFAR-10's, blocks and straight-through in turn on the same cores.",
        ("python tests/benchmarks/bench_conv_step.py",),
    ),
    "ablation-photographs": Printed(
        "One choice of the default recipe changed at a time: ten classes of Tiny ImageNet, ten sweeps.",
        (
            'python examples/ablation.py "images:IMAGENET?size=32" --study fine --layers '
            "conv16k3s2p1,conv32k3s2p1,conv32k3s2p1 --encoder thermometer:4 --shift 2 --sweeps 10 --seeds 3",
        ),
        drop=("seconds",),
    ),
    "neurons": Trainings(
        "Threshold, graded and integrate-and-fire neurons on digits; each seed has a split of its own.",
        _SMALL,
        {
            f"{said}, {way}": f"{neuron} {method}".strip()
            for said, neuron in (
                ("threshold", ""),
                ("graded", "--neuron relu"),
                ("integrate-and-fire, 4 steps", "--neuron if4"),
            )
            for way, method in (
                ("no gradient", ""),
                ("straight-through", "--method backprop"),
                ("warm start", "--method warm"),
            )
        },
        first="neurons, and the way to train",
    ),
    "conv-gears": Trainings(
        "The gears on a small convolutional network, digits; each seed has a split of its own.",
        "train digits --layers conv6k3,20",
        {"`blocks`": "", "`exact`": "--gear exact", "`annealed`": "--gear annealed"},
        columns=("test error", "training error"),
        first="gear",
    ),
}
