"""The documentation site: the pages of this folder, with a reference that is made from the code itself."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(ROOT), str(ROOT / "hardware"), str(ROOT / "scripts")]

import docs_pages  # noqa: E402

from conntra_hardware.base.version import package_version  # noqa: E402

docs_pages.write(HERE / "_generated")

project = "conntra-neuro"
author = "the conntra-neuro authors"
project_copyright = "the conntra-neuro authors"
release = package_version("development")
language = "en"
smartquotes = False  # "--from" is an option, not a dash

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
]
exclude_patterns = ["_build", "requirements.txt"]
root_doc = "index"

myst_enable_extensions = ["colon_fence", "deflist", "attrs_block"]
# Headings are anchors as on GitHub, so that links between pages work there and here.
myst_heading_anchors = 4
# Fenced blocks carry words of scripts/check_docs.py behind their language.
myst_fence_as_directive = []
copybutton_prompt_text = "$ "

autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 88
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = "conntra-neuro"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_theme_options = {
    "navigation_with_keys": True,
    "light_css_variables": {"color-brand-primary": "#0b5c8a", "color-brand-content": "#0b5c8a"},
    "dark_css_variables": {"color-brand-primary": "#6cb8e6", "color-brand-content": "#6cb8e6"},
}


def setup(app):
    """Connect what turns this project's docstrings and links into those of Sphinx."""
    app.connect("autodoc-process-docstring", docs_pages.docstring)
    app.connect("source-read", docs_pages.links_of_page)
