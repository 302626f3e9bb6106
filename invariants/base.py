# SPDX-License-Identifier: GPL-2.0-only
"""What a law is.

An *invariant* (law) is a named statement that holds in every World between two operations. A
check that finds it broken raises the law's own exception class from its own line, naming both
objects and the fields that contradict each other. A check trusts nothing it can recount: it
compares what a field says with what the World shows.

Kinds: ``safety``: memory corruption or disclosure follows. ``accounting``: a count lies, and
decisions are taken on it. ``documented``: a statement of the kernel's own comments is untrue.
``policy``: neither, but the design says so.

A law applies to the kernels that have what it speaks of; ``applies_to`` says which. Laws of kind
``documented`` are advisory: a campaign reports them and goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

import attrs

from model.errors import ModelViolation
from model.kernels import Kernel
from model.structs import World
from model.traits import Accounting, Root


class Kind(Enum):
    """What follows when a law is broken."""

    SAFETY = "safety"
    ACCOUNTING = "accounting"
    DOCUMENTED = "documented"
    POLICY = "policy"


class InvariantViolation(ModelViolation):
    """A law does not hold; each law has a subclass of its own with its id in ``law``."""


def every_kernel(_kernel: Kernel) -> bool:
    """Say that a law applies to every kernel."""
    return True


def has_parents(kernel: Kernel) -> bool:
    """Tell whether an anon_vma knows its parent (from v3.19, with the first count of users)."""
    return kernel.accounting is not Accounting.NONE


def has_roots(kernel: Kernel) -> bool:
    """Tell whether an anon_vma knows its root (from v2.6.36)."""
    return kernel.root is not Root.NONE


@attrs.frozen
class Invariant:
    """A law over a World.

    Attributes:
        id: Name in findings and on the command line.
        statement: The law in one sentence.
        source: Where it is stated or what implies it.
        kind: What follows when it is broken.
        check: Raises the law's exception if a World breaks it; None for a law that is checked
            while an operation runs (``noticed``).
        noticed: Who notices it instead of ``check``.
        applies_to: Tells whether a kernel promises it.
    """

    id: str
    statement: str
    source: str
    kind: Kind
    check: Callable[[World], None] | None
    noticed: str = ""
    applies_to: Callable[[Kernel], bool] = every_kernel
