"""Spoken digits through a microphone: the last decision of a stream beside the run of the whole recording.

    conntra train "audio:fsdd?steps=40&levels=5" --neuron lif:256 --levels 5 --layers 64 --shift 2 \
        --option batch=50 --option decay=2 --sweeps 8 --out digits.conntra
    conntra compile digits.conntra --chip loihi2 --out digits.program
    python examples/listen_to_digits.py digits.program audio:fsdd

Each test recording is heard in parts of 20 ms, cut to the steps of a sample. Prints how many the run and the stream get
wrong, how many of the two agree, and how much faster than a microphone the reference simulator is.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import conntra_neuro as cn
from conntra_hardware.program.signal_encoding import SignalEncoder


def main() -> None:
    """Compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("data", help="as it was trained on: audio:DIR?steps=40&levels=5")
    parser.add_argument("--every", type=int, default=None, help="as of cn.listen; 0: the program keeps its state")
    args = parser.parse_args()
    program, data = cn.load(args.program), cn.load_dataset(args.data)
    assert isinstance(program, cn.Program)
    assert isinstance(program.encoder, SignalEncoder)
    coding = program.encoder.coding
    truth, ran = data.y_test, np.asarray(program.run(data.x_test).predictions)
    heard, start = [], time.perf_counter()
    for recording in data.x_test:
        parts = np.array_split(np.trim_zeros(recording, "b"), coding.steps)
        *_, last = cn.listen(program, parts, hysteresis=0.0, every=args.every)
        heard.append(last.index)
    seconds = time.perf_counter() - start
    streamed = np.asarray(heard)
    wrong = [f"{(found != truth).mean():.2%}" for found in (ran, streamed)]
    print(f"{len(truth)} recordings: the run has {wrong[0]} wrong, the stream {wrong[1]}")
    print(f"the same answer: {(streamed == ran).mean():.2%}")
    print(f"{len(truth) * coding.n_features / coding.rate / seconds:.0f} times as fast as a microphone")


if __name__ == "__main__":
    main()
