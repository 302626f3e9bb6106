# SPDX-License-Identifier: GPL-2.0-only
"""What the reference pages show, taken from the code when the site is built.

A page says ``<!-- generated: NAME -->`` where it wants the Markdown that ``PARTS[NAME]`` returns.
Nothing of that is committed, except for the JSON Schema of traces: a test holds it against
``strategies.trace_schema``, and ``python -m docs.site.schema_file`` writes it anew.
"""
