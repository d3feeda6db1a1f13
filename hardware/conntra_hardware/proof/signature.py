"""Detached signatures of certificates, with keys that people have already: those of OpenSSH.

``ssh-keygen -Y`` signs and checks, so that passphrases, agents and keys in hardware work as they do elsewhere, and
anybody can check a signature without this package:

    ssh-keygen -Y verify -f allowed_signers -I NAME -n conntra-certificate -s FILE.sig < FILE
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from conntra_hardware.base.errors import FileFormatError, InputError
from conntra_hardware.base.files import check_writable, write_atomically

__all__ = ["check_signature", "check_signing", "sign", "signature_path"]

_NAMESPACE = "conntra-certificate"
_WHO = "signer"
_LIMIT_S = 120.0  # a passphrase is typed in that time, a key in hardware touched
_LARGEST_KEY = 2**16
_KEY = re.compile(r"(?P<key>(?:ssh|ecdsa|sk-ssh|sk-ecdsa)-\S+ [A-Za-z0-9+/]+=*)(?: .*)?")


def signature_path(path: str | Path) -> Path:
    """Return where the signature of the file ``path`` lies: beside it."""
    return Path(f"{path}.sig")


def check_signing(path: str | Path, key: str | Path) -> None:
    """Raise where ``path`` cannot be signed with ``key``, as far as can be told before anything has run.

    InputError where ssh-keygen or the key is missing, FileFormatError where the signature cannot be written.
    """
    _program("--sign")
    if not Path(key).expanduser().is_file():
        raise InputError(f"--sign {key}: no such file; a key of `ssh-keygen -t ed25519` expected")
    check_writable(signature_path(path))


def sign(path: str | Path, key: str | Path) -> Path:
    """Sign the file ``path`` with ``key`` (a private key, or the public one of an agent's); return the signature's.

    InputError where ssh-keygen or the key cannot be used, FileFormatError where the signature cannot be written.
    """
    check_signing(path, key)
    command = ["-Y", "sign", "-f", str(Path(key).expanduser()), "-n", _NAMESPACE]
    ran = _ran("--sign", command, Path(path).read_bytes())
    if ran.returncode or not ran.stdout.startswith(b"-----BEGIN SSH SIGNATURE-----"):
        raise InputError(f"--sign {key}: {_said(ran)}; a private key of OpenSSH expected")
    write_atomically(signature_path(path), ran.stdout)
    return signature_path(path)


def check_signature(path: str | Path, signer: str | Path) -> str | None:
    """Return why the signature beside ``path`` is not that of ``signer``, a file of public keys; None where it is.

    InputError where ``signer`` holds no key or ssh-keygen is missing, FileFormatError where a file cannot be read.
    """
    _program("--signer")
    keys = _keys(signer)
    signature = signature_path(path)
    try:
        data, there = Path(path).read_bytes(), signature.is_file()
    except OSError as error:
        raise FileFormatError(f"certificate {path}: {error.strerror}; check the name") from None
    if not there:
        return f"signature: {signature} is missing; it belongs beside the certificate"
    with tempfile.TemporaryDirectory(prefix="conntra-") as folder:
        allowed = Path(folder) / "allowed_signers"
        lines = [f'{_WHO} namespaces="{_NAMESPACE}" {key}\n' for key in keys]
        allowed.write_text("".join(lines), encoding="ascii")
        os.chmod(allowed, 0o600)
        command = ["-Y", "verify", "-f", str(allowed), "-I", _WHO, "-n", _NAMESPACE, "-s", str(signature)]
        ran = _ran("--signer", command, data)
    return None if ran.returncode == 0 else f"signature: not made with {signer} for this file ({_said(ran)})"


def _keys(signer: str | Path) -> list[str]:
    try:
        with open(Path(signer).expanduser(), "rb") as file:
            text = file.read(_LARGEST_KEY).decode("utf-8", "replace")
    except OSError as error:
        raise InputError(
            f"--signer {signer}: {error.strerror}; a public key, such as id_ed25519.pub, expected"
        ) from None
    lines = [line.strip() for line in text.splitlines()]
    found = [_KEY.fullmatch(line) for line in lines if line and not line.startswith("#")]
    if not found or None in found:
        raise InputError(f"--signer {signer}: not a public key of OpenSSH; a file such as id_ed25519.pub expected")
    return [match["key"] for match in found if match is not None]


def _program(option: str) -> str:
    program = shutil.which("ssh-keygen")
    if program is None:
        raise InputError(f"{option}: needs ssh-keygen, which is not on PATH; install OpenSSH 8.2 or later")
    return program


def _ran(option: str, command: list[str], data: bytes) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run([_program(option), *command], input=data, capture_output=True, timeout=_LIMIT_S)
    except subprocess.TimeoutExpired:
        raise InputError(f"{option}: ssh-keygen did not answer within {_LIMIT_S:g} s; try it by hand") from None
    except OSError as error:
        raise InputError(f"{option}: ssh-keygen does not start ({error.strerror}); check the installation") from None


def _said(ran: subprocess.CompletedProcess[bytes]) -> str:
    lines = [line.strip() for line in (ran.stderr or ran.stdout).decode("utf-8", "replace").splitlines()]
    said = [line for line in lines if line and "@@@" not in line]
    return f"ssh-keygen: {said[-1][:200].rstrip('.')}" if said else f"ssh-keygen: exit status {ran.returncode}"
