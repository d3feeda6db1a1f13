"""PilotNet on a Loihi 2 chip, as Intel measured it and as it is modelled here, on few and on many cores.

    python scripts/pilotnet_on_chip.py FOLDER

FOLDER holds lava-dl's pilotnet_lif.net and the image of its test as pilotnet_image.npy. The measured figures are those
of lava-dl's tutorial, of a board: dynamic energy of a frame of 16 steps, and a time step. The modelled ones take
`loihi2-proxy`, whose coefficients are Loihi 1's where nobody has published Loihi 2's.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from try_lava_dl import FRAME_MJ, STEP_US

import conntra_neuro as cn

STEPS = 16


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    network = cn.import_network(folder / "pilotnet_lif.net", steps=STEPS)
    image = np.load(folder / "pilotnet_image.npy").astype(int).transpose(2, 1, 0).reshape(1, -1)
    print("| | cores | dynamic, mJ | by measured | of it input spikes | us a step | by measured |")
    print(f"|---|{'---:|' * 6}")
    print(f"| measured | one chip | {FRAME_MJ:.3f} | 1 | | {STEP_US:.0f} | 1 |")
    for cores, name in ((None, "as few cores as hold it"), (64, "`cores=64`")):
        program = cn.compile(network, chip="loihi2", cores=cores)
        found = cn.estimate(program.run(image).counts, program, "loihi2-proxy")
        energy, step = 1e3 * found.dynamic_j, 1e6 * found.step_time_s
        cells = f"{energy:.3f} | {energy / FRAME_MJ:.2f} | {1e3 * found.breakdown['input']:.3f}"
        print(f"| modelled, {name} | {program.cores_used} | {cells} | {step:.0f} | {step / STEP_US:.2f} |", flush=True)


if __name__ == "__main__":
    main()
