# SPDX-License-Identifier: GPL-2.0-only
"""Stand-ins for what a check does in workers, and sections that say what they are told to."""

import time

import attrs

from campaign.check_section import Broken, Context, Verdict
from campaign.execute import Finding
from model.kernels import KERNELS
from report.check.results import Outcome
from strategies import ops


def recount(pin):
    """Count the states of a scope, which is called what it is to do."""
    if pin.name == "raises":
        raise ZeroDivisionError
    if pin.name == "hangs":
        time.sleep(60)
    return (1, 3, 9)


def passed(name="good"):
    """A verdict that all is well."""
    return Verdict(name=name, outcome=Outcome.PASSED)


def failed(bucket="oops/a/fork", name="bad", **more):
    """A verdict on something that shows in a trace."""
    broken = Broken(bucket=bucket, title=f"{name}: {bucket}", rule="oops", **more)
    return Verdict(name=name, outcome=Outcome.FAILED, broken=(broken,))


def unproved(name="unknown"):
    """A verdict that nothing was proved."""
    broken = Broken(bucket="goals", title="a goal was missed", rule="no-result")
    return Verdict(name=name, outcome=Outcome.UNPROVED, broken=(broken,))


def fault(name="odd"):
    """A verdict that something could not be judged."""
    broken = Broken(bucket="fault", title="a worker died", rule="no-result")
    return Verdict(name=name, outcome=Outcome.FAULT, broken=(broken,))


def in_trace(length, known=()):
    """What the verdict on a trace that fails at its end has besides."""
    trace = (ops.mmap("p0", 0, 1), *[ops.read("p0", 0)] * (length - 1))
    finding = Finding("oops", "a", "fork", length - 1, "it died", known)
    return {
        "kernel": KERNELS["v6.12"],
        "ops": trace,
        "finding": finding,
        "is_shrunk": True,
    }


@attrs.frozen
class Told:
    """A section with these verdicts."""

    said: tuple
    name: str = "told"
    about: str = "what it is told"

    def verdicts(self, context):
        """Yield them; an exception is raised."""
        for each in self.said:
            if isinstance(each, Exception):
                raise each
            yield each


@attrs.define(eq=False)
class Heard:
    """Keeps events."""

    events: list = attrs.field(factory=list)

    def __call__(self, event):
        """Keep one."""
        self.events.append(event)

    def of(self, kind):
        """The events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]


def context(tmp_path, **more):
    """The context of a check that has a minute."""
    options = {"ends": time.monotonic() + 60, "jobs": 1, "seed": 1, "out": str(tmp_path / "out")}
    return Context(**(options | {"emit": Heard()} | more))
