"""The documentation site: the pages of this folder, with a reference that is made from the code itself."""

from __future__ import annotations

import hashlib
import logging
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(ROOT), str(ROOT / "hardware"), str(ROOT / "scripts")]
# Notebooks run in processes of their own, on the code of this checkout.
os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "hardware"), os.environ.get("PYTHONPATH", "")])
JUPYTER = ROOT / "build" / "docs-state" / "jupyter"
for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
    os.environ[name] = str(JUPYTER)
# Errors only: a kernel otherwise remarks on its transport, and who starts it on each notebook.
PROFILE = JUPYTER / "profile_default"
PROFILE.mkdir(parents=True, exist_ok=True)
(PROFILE / "ipython_kernel_config.py").write_text("c.IPKernelApp.log_level = 40\n", encoding="utf-8")
logging.getLogger("traitlets").setLevel(logging.WARNING)

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
    "myst_nb",
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


def code_of_the_project() -> str:
    """Return a hash of what notebooks depend on: with other code, their outputs may be others."""
    found = hashlib.sha256()
    for folder, pattern in ((ROOT / "conntra_neuro", "*.py"), (ROOT / "hardware", "*.*"), (ROOT / "tests/data", "*.*")):
        for path in sorted(folder.rglob(pattern)):
            if "__pycache__" not in path.parts and path.is_file():
                found.update(path.name.encode() + path.read_bytes())
    return found.hexdigest()[:16]


# A notebook runs once, until it or the code changes; each in a folder of its own, which is removed.
nb_execution_mode = "cache"
nb_execution_cache_path = str(ROOT / "build" / "docs-notebooks" / code_of_the_project())
nb_execution_in_temp = True
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_merge_streams = True

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
