# SPDX-License-Identifier: GPL-2.0-only
"""What ``SUBJECT`` means on the command line and in a trace."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import NoReturn

from campaign.errors import UnavailableError, UsageError
from model.kernels import DEFECTS, KERNELS, NEWEST, Kernel
from strategies.trace import printable

_ELSEWHERE = {
    "tree:": "compiling a kernel source tree is not built in yet",
    "host": "running on this host's kernel is not built in yet",
    "vm:": "running in a virtual machine is not built in yet",
}


def kernel_named(name: str | None) -> Kernel:
    """Return the model kernel called ``name``; the newest when there is no name.

    A name may be followed by defects to put in: ``v6.12+B16``.

    Raises:
        UsageError: No such kernel or defect.
        UnavailableError: It is a subject that does not run here.
    """
    if not name:
        return NEWEST
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
        if DEFECTS[defect].is_in(kernel):
            msg = f"{printable(name)}: {release} has defect {defect} already; name {release} alone"
            raise UsageError(msg)
        kernel = kernel.with_defect(defect)
    return kernel


def _refuse(what: str, name: str, known: Iterable[str]) -> NoReturn:
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    guess = f"; did you mean {close[0]}?" if close else ""
    msg = f"unknown {what} '{printable(name)}'{guess} (known: {', '.join(names)})"
    raise UsageError(msg)
