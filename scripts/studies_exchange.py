"""Networks of others, and proofs: the studies of the pages on exchange, on bringing a network, and on verification."""

from __future__ import annotations

from study_kinds import Printed, Study

NIR_PACKAGES = "snntorch,norse,sinabs,rockpool,spikingjelly,spyx"

STUDIES: dict[str, Study] = {
    "published-files": Printed(
        "Every published file: imported, compiled, and held to three simulators on five random samples.",
        ("python scripts/verify_published.py PACKAGES --samples 5",),
        drop=("seconds",),
    ),
    "formats": Printed(
        "A ternary 784-256-10 network in every format, run by something else than this project.",
        ("python tests/benchmarks/bench_exchange.py mnist:MNIST",),
    ),
    "nir-readers": Printed(
        "What the importers of other packages make of an export for them.",
        ("python scripts/try_readers.py --python READERS",),
    ),
    "nir-published": Printed(
        "Spiking networks of other packages as integers of 8 to 12 bits.",
        ("python scripts/measure_spiking.py PACKAGES MNIST --bits 8,9,10,12",),
    ),
    "nir-random": Printed(
        "Random networks of six packages, against the spikes that each package itself sends.",
        (f"python scripts/measure_nir.py --packages {NIR_PACKAGES} --python READERS --count 300 --seed 1000",),
    ),
    "nir-notations": Printed(
        "Random graphs in notations without a package, against NIR's equations in plain loops.",
        ("python scripts/measure_nir.py --count 300 --seed 1000",),
    ),
    "lava-dl-published": Printed(
        "lava-dl's published networks, against the values that its authors have recorded.",
        ("python scripts/try_lava_dl.py PACKAGES/lava-dl --mnist MNIST --lava --recorded",),
    ),
    "lava-dl-random": Printed(
        "Random networks of lava-dl's blocks, against the spikes that slayer sends.",
        ("python scripts/measure_lava_dl.py --python LAVADL --count 300 --seed 1000",),
    ),
    "onnx-random": Printed(
        "Random ONNX graphs, quantised and in floating point, against onnxruntime.",
        ("python scripts/measure_onnx.py --count 300 --seed 1000",),
    ),
    "qonnx-random": Printed(
        "Random quantised graphs in six notations, against the qonnx package.",
        ("python scripts/measure_qonnx.py all --python QONNX --seeds 50",),
    ),
    "qonnx-published": Printed(
        "Published quantised networks, against the qonnx package.",
        ("python scripts/measure_zoo.py classes PACKAGES/qonnx MNIST --python QONNX --images 1000",),
    ),
    "qonnx-neurons": Printed(
        "The same networks as neurons with one threshold and with several.",
        ("python scripts/measure_zoo.py neurons PACKAGES/qonnx MNIST --images 1000",),
    ),
    "c-sizes": Printed(
        "Networks as C, in either packing, beside plain loops over the same weights in float32.",
        ("python tests/benchmarks/bench_c.py digits mnist:MNIST",),
    ),
    "brought": Printed(
        "Networks that snnTorch, Norse and sinabs trained, as integers; three draws of the input spikes.",
        ("python scripts/measure_bits.py MNIST --packages snntorch,norse,sinabs --bits 8,4 --seeds 3",),
    ),
    "brought-repaired": Printed(
        "The same network of snnTorch with fewer bits, repaired for a minute; three draws of the input spikes.",
        ("python scripts/measure_bits.py MNIST --bits 8,4,3,2 --repair 60 --seeds 3",),
    ),
    "full-size": Printed(
        "Networks that other packages trained on MNIST, imported with 8 bits and repaired for a minute.",
        ("python scripts/bring_mnist.py measure PACKAGES/mnist --repair 60",),
        drop=("sweeps", "seconds"),
    ),
    "mutants": Printed(
        "Mistakes put into random programs, and what verification makes of them.",
        ("python tests/support/mutants.py",),
    ),
    "simulators": Printed(
        "Simulators side by side, and beside their plain use.",
        ("python tests/benchmarks/bench_backends.py",),
    ),
}
