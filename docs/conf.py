# SPDX-License-Identifier: GPL-2.0-only
"""How Sphinx makes a site of the pages beside this file: ``make docs``."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

# The pages are told about the code beside them, wherever another copy is installed.
sys.path.insert(0, str(Path(__file__).parents[1]))

project = "anonvma"
author = "the anonvma authors"
project_copyright = "the anonvma authors, GPL-2.0-only"
release = metadata.version("anonvma")

extensions = ["myst_parser", "sphinx_argparse_cli", "docs.site.extension"]
exclude_patterns = ["site/**", "traces/**"]

nitpicky = True
# What is said of options and pointers (--vs, ->) is said as it is typed.
smartquotes = False
highlight_language = "none"
# Headings down to this level can be linked to, as on other readers of Markdown.
myst_heading_anchors = 3

html_theme = "furo"
html_title = f"anonvma {release}"
html_static_path = ["static"]
html_css_files = ["anonvma.css"]
html_extra_path = ["trace.schema.json"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": True}
