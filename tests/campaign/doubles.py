# SPDX-License-Identifier: GPL-2.0-only
"""Stand-ins for the cases of a campaign: quick, and one of them up to no good.

They live in a module of their own so that a worker process can import them.
"""

import os
import signal
import sys
import time

import attrs

from campaign.cases import CaseResult
from campaign.execute import Finding
from strategies import ops

MEBIBYTE = 1 << 20


def leave():
    """End the process with an exit status."""
    os._exit(3)


def die():
    """Be killed."""
    os.kill(os.getpid(), signal.SIGKILL)


def hang():
    """Never come back."""
    while True:
        time.sleep(0.01)


def eat_memory():
    """Take memory until there is none."""
    eaten = []
    while True:
        eaten.append(bytes(16 * MEBIBYTE))


def fail():
    """Raise what no case may raise."""
    raise ZeroDivisionError


def print_something():
    """Write to standard output, through Python and past it."""
    sys.stdout.write("not an event\n")
    sys.stdout.flush()
    os.write(1, b"not an event either\n")


@attrs.frozen
class Cases:
    """Cases of one step each; the numbers in ``at`` do something else first."""

    at: tuple = ()
    what: object = None
    seconds: float = 0.0

    def __call__(self, case):
        """Run a case."""
        if case in self.at:
            self.what()
        time.sleep(self.seconds)
        return CaseResult(case, steps=1, effective=1, checked=1)


@attrs.frozen
class Unwelcome:
    """Cases that no worker can even be given."""

    def __call__(self, case):
        """Run a case."""
        return CaseResult(case)

    def __reduce__(self):
        return sys.exit, (4,)


@attrs.frozen
class Outcomes:
    """Cases whose outcome is laid down; all others reach nothing and find nothing."""

    results: dict

    def __call__(self, case):
        """Run a case."""
        return self.results.get(case, CaseResult(case, steps=10, effective=9, checked=9))


def found(case, law="reuse-free", goals=()):
    """A result with a finding that nobody can reproduce."""
    finding = Finding(law, "in-use", "fork", 1, "one thing, and another")
    history = (ops.mmap("p0", 0), ops.fork("p0", "p1"))
    return CaseResult(case, 2, 2, 2, goals, finding, ops=history)
