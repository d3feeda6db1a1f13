"""What stands in the page's head and at its end: the policy, the style, the script."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from html import escape
from importlib.resources import files

__all__ = ["head_html", "script_html"]


@cache
def _text(name: str) -> str:
    return files("conntra_neuro.report.page").joinpath(name).read_text(encoding="utf-8")


def _script() -> str:
    return _text("explorer_view.js") + _text("explorer.js")


def _hash(text: str) -> str:
    """Return the source of a Content-Security-Policy that allows exactly this inline text."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"


def head_html(title: str) -> str:
    """Return the content of the page's head.

    The policy allows this style and this script, by their hashes, and nothing else: no network, no frame, no form, no
    other script, and no style attribute.
    """
    style, script = _text("page.css"), _script()
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; base-uri 'none'; form-action 'none'"
    )
    return (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><meta name="generator" content="conntra-neuro">'
        f"<title>{escape(title)}</title><style>{style}</style>"
    )


def script_html() -> str:
    """Return the script, to stand behind all that it finds in the page."""
    return f"<script>{_script()}</script>"
