# SPDX-License-Identifier: GPL-2.0-only
"""Drivers of kernel trees, broken ones too, and histories to run on them."""

import re
import struct
from functools import cache

import attrs

from subjects.tree.build import Profile, build
from subjects.tree.calls import Call, OpCode, request
from subjects.tree.emit import extract
from subjects.tree.layout import open_tree
from subjects.tree.probe import probe
from subjects.tree.process import TreeDriver
from subjects.tree.snapshot import decode


@cache
def extracted(tree, level):
    """The C files of a tree at a level."""
    opened = open_tree(tree)
    return extract(opened, probe(opened), level)


def profile_of(mode):
    """How a driver for a mode has to be built."""
    return Profile.ASAN if mode == "asan" else Profile.PLAIN


def start(tree, level="A", mode="plain", into=None, code="", **options):
    """A driver, with a piece of C put in front of what a function of mm/rmap.c does."""
    made = extracted(tree, level)
    if into:
        head = re.compile(rf"^[^\n;]*\b{into}\([^;{{]*\)\s*\n{{", re.MULTILINE)
        text, count = head.subn(lambda match: match[0] + " " + code, made.files["rmap.c"])
        assert count == 1, f"{into} is defined {count} times"
        made = attrs.evolve(made, files={**made.files, "rmap.c": text})
    return TreeDriver(build(made, profile_of(mode)), mode, **options)


def history(*calls):
    """A request: calls as (OpCode, arguments...)."""
    return request([Call(op, args) for op, *args in calls])


def run(driver, *calls):
    """The result of one history."""
    (result,) = driver.run([history(*calls)])
    return result


FAMILY = (
    (OpCode.NEW, 0, 0, 16, 20, 16),
    (OpCode.FAULT_A, 0, 0, -1),
    (OpCode.FORK_A, 0, 1),
    (OpCode.FORK_A, 1, 2),
    (OpCode.EXIT_A, 1),
    (OpCode.EXIT_A, 0),
)
"""A mapping, its fault, a child, a grandchild, and two of the three end."""


def with_words(op, *args, fail=0, hook=0, flags=0):
    """One operation of a request, with what a Call does not have."""
    return struct.pack("<12q", op, *args, *[0] * (8 - len(args)), fail, hook, flags)


def run_words(driver, *ops):
    """The result of one history of such operations."""
    (result,) = driver.run([struct.pack("<2q", len(ops), 12 * len(ops)) + b"".join(ops)])
    return result


def outcomes(result, level="A", fields=("parent", "num_children", "num_active_vmas")):
    """The answers to a history, decoded."""
    return [decode(answer, level, fields) for answer in result.answers()]
