# SPDX-License-Identifier: GPL-2.0-only
"""What ``SUBJECT`` means on the command line and in a trace."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import NoReturn

from campaign.errors import UnavailableError, UsageError
from model.defects import DEFECTS, Defect, DefectError
from model.kernels import KERNELS, NEWEST, Kernel
from strategies.trace import printable

TREE = "tree:"
"""What the name of a source tree begins with; its path follows, in a trace a hash."""

TREE_MODES = ("plain", "guard", "asan")
"""How a tree's memory is watched: ``subjects.tree.process``."""

_ELSEWHERE = {
    "host": "running on this host's kernel is not built in yet",
    "vm:": "running in a virtual machine is not built in yet",
}


def is_tree(name: str | None) -> bool:
    """Tell whether a SUBJECT is a source tree."""
    return bool(name) and str(name).startswith(TREE)


def tree_mode(text: str) -> str:
    """Return the value of ``--build``.

    Raises:
        UsageError: There is no such build.
    """
    if text not in TREE_MODES:
        msg = f"--build {printable(text)}: there are {', '.join(TREE_MODES)}"
        raise UsageError(msg)
    return text


def kernel_named(name: str | None) -> Kernel:
    """Return the model kernel called ``name``; the newest when there is no name.

    A name may be followed by defects to put in: ``v6.12+B16``.

    Raises:
        UsageError: No such kernel or defect, or a defect that means nothing on that kernel.
        UnavailableError: It is a subject that does not run here.
    """
    if not name:
        return NEWEST
    if is_tree(name):
        msg = (
            f"{printable(name)} cannot run here: this needs a model kernel, such as {NEWEST.name} "
            "(fuzz, replay, show, shrink, matrix, check and power take a source tree)"
        )
        raise UnavailableError(msg)
    for prefix, reason in _ELSEWHERE.items():
        if name.startswith(prefix) and (prefix.endswith(":") or name == prefix):
            msg = f"{printable(name)} cannot run here: {reason}; use a model kernel, {NEWEST.name}"
            raise UnavailableError(msg)
    release, *defects = name.split("+")
    if release not in KERNELS:
        _refuse("kernel", release, KERNELS)
    kernel = KERNELS[release]
    for defect in defects:
        if defect not in DEFECTS:
            _refuse("defect", defect, DEFECTS)
        try:
            kernel = kernel.with_defect(defect)
        except DefectError as error:
            msg = f"{printable(name)}: {error}"
            raise UsageError(msg) from None
    return kernel


def defects_named(names: str) -> list[Defect]:
    """Return the defects of a list such as ``B16,B01``; of ``all``, every one.

    Raises:
        UsageError: No such defect.
    """
    if names == "all":
        return list(DEFECTS.values())
    for name in names.split(","):
        if name not in DEFECTS:
            _refuse("defect", name, DEFECTS)
    return [DEFECTS[name] for name in names.split(",")]


def _refuse(what: str, name: str, known: Iterable[str]) -> NoReturn:
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    guess = f"; did you mean {close[0]}?" if close else ""
    msg = f"unknown {what} '{printable(name)}'{guess} (known: {', '.join(names)})"
    raise UsageError(msg)
