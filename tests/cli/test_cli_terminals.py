"""What the command line draws in real terminals: narrow, dumb, or without colour."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

pty = pytest.importorskip("pty", reason="pseudo-terminals are a thing of POSIX")

TRAIN = ("train", "iris", "--layers", "8", "--sweeps", "400", "--out", "x.conntra")
ESCAPE = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")
COLOUR = re.compile(rb"\x1b\[(?:[0-9]+;)*(?:3[0-8]|4[0-8]|9[0-7])(?:;[0-9]+)*m")


def drawn(arguments, cwd, columns=80, **environment):
    """Return what a command writes on the terminal that is its standard output and its standard error."""
    import fcntl
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    plain = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR", "FORCE_COLOR")}
    command = [sys.executable, "-m", "conntra_neuro", *arguments]
    variables = {**plain, "TERM": "xterm-256color", **environment}
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=cwd, env=variables) as process:
        os.close(theirs)
        text = b""
        while True:
            try:
                part = os.read(ours, 1 << 16)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            text += part
        os.close(ours)
    assert process.returncode == 0, text
    return text


def test_a_terminal_gets_a_bar_and_colours(tmp_path):
    text = drawn(TRAIN, tmp_path, columns=120)
    assert COLOUR.search(text)
    assert b"training" in text


def test_a_narrow_one_without_colour_gets_neither_wide_lines_nor_colours(tmp_path):
    columns = 20
    text = drawn(TRAIN, tmp_path, columns, NO_COLOR="1")
    assert not COLOUR.search(text)
    frames = [part for part in re.split(rb"[\r\n]", ESCAPE.sub(b"", text)) if b"training" in part and b"%" in part]
    assert frames
    assert all(len(frame.decode().rstrip()) <= columns for frame in frames), frames


def test_a_dumb_terminal_gets_plain_text(tmp_path):
    assert b"\x1b" not in drawn(TRAIN, tmp_path, TERM="dumb")
