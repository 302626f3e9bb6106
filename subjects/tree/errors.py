# SPDX-License-Identifier: GPL-2.0-only
"""What reading or building a tree stops with: one line for the user."""

from __future__ import annotations


class TreeError(Exception):
    """The tree does not hold what is needed, or it does not compile; exit code 2."""


class NotFitting(TreeError):
    """The tree's code may be right, but it needs something that the stand-ins do not have."""


class CannotBuild(Exception):
    """Nothing can be built on this machine, whatever the tree is like; exit code 3."""


class NoParser(CannotBuild):
    """A Python package is missing that reads C."""

    def __init__(self, package: str) -> None:
        name = package.replace("_", "-")
        super().__init__(f"reading C needs the Python package {name}: pip install 'anonvma[tree]'")


class NoCompiler(CannotBuild):
    """There is no compiler, or part of it is missing."""
