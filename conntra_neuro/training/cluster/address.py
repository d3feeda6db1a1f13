"""Addresses of clusters: ``local:N``, a scheduler's, and the certificates with which one is spoken to.

tcp://HOST:8786
tls://HOST:8786                                       certificates of Dask's own configuration
tls://HOST:8786?ca=ca.pem&cert=me.pem&key=me.key      those that are named
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl

from conntra_hardware.base.errors import InputError

__all__ = ["Address", "read_address"]

_MOST_LOCAL = 256
_SCHEMES = ("tcp", "tls", "ws", "wss", "ucx")
_FILES = {"ca": "tls_ca_file", "cert": "tls_client_cert", "key": "tls_client_key"}
_ASKED = "as in tls://HOST:8786?ca=ca.pem&cert=me.pem&key=me.key"


@dataclass(frozen=True)
class Address:
    """Where a cluster is: ``workers`` processes of this machine, else a ``scheduler`` such as tcp://HOST:8786.

    ``tls`` holds files by the names that Dask's ``Security`` gives them; empty leaves them to Dask's configuration.
    """

    workers: int | None = None
    scheduler: str = ""
    tls: Mapping[str, str] = field(default_factory=dict)


def read_address(address: str) -> Address:
    """Return what ``address`` means; InputError where it means nothing, or names a file that is not there."""
    kind, _, count = address.partition(":")
    if kind == "local":
        if not count.isdecimal() or not 1 <= int(count) <= _MOST_LOCAL:
            raise InputError(
                f"cluster {address!r}: local:N with 1 to {_MOST_LOCAL} worker processes expected, as in local:2"
            )
        return Address(workers=int(count))
    where, asks, query = address.partition("?")
    scheme, slashes, place = where.rpartition("://")
    scheme = scheme if slashes else "tcp"
    host, _, port = place.rpartition(":")
    if scheme not in _SCHEMES or not host or not port.isdecimal():
        raise InputError(f"cluster {address!r}: a scheduler such as tcp://HOST:8786 expected, or local:2")
    return Address(scheduler=f"{scheme}://{place}", tls=_files(address, scheme, query) if asks else {})


def _files(address: str, scheme: str, query: str) -> dict[str, str]:
    pairs = parse_qsl(query, keep_blank_values=True)
    named = dict(pairs)
    if scheme != "tls" or set(named) != set(_FILES) or len(pairs) != len(named):
        raise InputError(f"cluster {address!r}: ca, cert and key expected, once each, {_ASKED}")
    for name, path in named.items():
        if not Path(path).expanduser().is_file():
            raise InputError(f"cluster {address!r}: {name}={path}: no such file; a PEM file expected, {_ASKED}")
    return {_FILES[name]: str(Path(path).expanduser()) for name, path in named.items()}
