# SPDX-License-Identifier: GPL-2.0-only
"""What the modelled kernel itself notices: the model's own stop signs.

The laws in ``invariants`` look at a World from outside, between two operations. The exceptions
here are raised *inside* an operation, at the place where a real kernel would have crashed,
warned or deadlocked. Each class carries the id of the law under which a campaign reports it.
"""

from typing import ClassVar


class ModelViolation(Exception):
    """An operation of the modelled kernel did something that no kernel may do.

    Attributes:
        law: Id of the law (``anonvma list invariants``) that the violation is reported under.
        clause: Short stable word for the kind of violation; part of a finding's bucket.
    """

    law: ClassVar[str] = "kernel-warning"

    def __init__(self, clause: str, message: str) -> None:
        super().__init__(message)
        self.clause = clause


class UseAfterFree(ModelViolation):
    """A field of a freed object was read or written (a KASAN report on a real kernel)."""

    law: ClassVar[str] = "use-after-free"


class LockViolation(ModelViolation):
    """A lock was taken twice, released without being held, or missing where it is asserted."""

    law: ClassVar[str] = "locks"


class KernelWarning(ModelViolation):
    """A ``VM_WARN_ON``, ``VM_BUG_ON`` or ``BUG_ON`` of the kernel source would have fired."""

    law: ClassVar[str] = "kernel-warning"


def warn_on(condition: bool, clause: str, what: str) -> None:  # noqa: FBT001 - as in C
    """Be a ``VM_WARN_ON``: raise KernelWarning if the condition holds.

    Args:
        condition: What must not be.
        clause: The function that asserts it.
        what: The assertion in words.
    """
    if condition:
        raise KernelWarning(clause, f"{clause}: {what}")


class KernelOops(ModelViolation):
    """An operation dereferenced a NULL or wild pointer: the modelled kernel died in it."""

    law: ClassVar[str] = "oops"
