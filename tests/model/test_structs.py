# SPDX-License-Identifier: GPL-2.0-only
"""The structures: compared as pointers are, and a World that says what may have changed."""

import pytest

from model.kernels import V6_12
from model.structs import AnonVma, AnonVmaChain, Page, RwSem, World
from strategies.ops import exit_, fork, madvise, mmap, mprotect, mremap, munmap, read, write
from subjects.state import state_of
from tests.model.layers import forking
from tests.model.worlds import every_kernel

STORY = (
    mmap("p0", 0, 4),
    read("p0", 0),
    write("p0", 0),
    write("p0", 0),
    fork("p0", "p1"),
    write("p1", 0),
    write("p0", 0),
    mprotect("p1", 1, 1, "r--"),
    madvise("p0", 0, 1, "dontfork"),
    fork("p1", "p2"),
    madvise("p2", 0, 4, "dontneed"),
    mprotect("p1", 1, 1, "rw-"),
    mremap("p1", 2, 1, 9),
    munmap("p2", 0, 2),
    exit_("p1"),
)
"""A little of everything."""


def structure(world):
    """A World without its pages and page table entries."""
    state = state_of(world)
    vmas = {label: process["vmas"] for label, process in state["processes"].items()}
    return vmas, state["anon_vmas"]


def pages(world):
    """The pages of a World with their contents, and the page table entries."""
    state = state_of(world)
    contents = {page.serial: (page.content, page.mapcount) for page in world.pages.values()}
    entries = {
        (mm.name, address): entry.write
        for mm in world.mms.values()
        for address, entry in mm.pgd.items()
    }
    return state["frames"], contents, entries


@every_kernel
def test_a_change_can_be_told_from_the_generation(kernel):
    """Whatever an operation changes raises one of two numbers, so a reader may skip the rest."""
    m = forking(kernel)
    for op in STORY:
        numbers = (m.world.generation, m.world.pte_generation)
        before = (structure(m.world), pages(m.world))
        m.do(op)
        after = (structure(m.world), pages(m.world))
        if after[0] != before[0]:
            assert m.world.generation > numbers[0], op
        elif after[1] != before[1]:
            assert m.world.pte_generation > numbers[1], op


@every_kernel
def test_nothing_changes_nothing(kernel):
    """An operation that does nothing raises neither number."""
    m = forking(kernel, *STORY)
    numbers = (m.world.generation, m.world.pte_generation)
    m.do(read("p0", 0), munmap("p0", 20), mprotect("p0", 20, 1, "r--"), write("nobody", 0))
    assert (m.world.generation, m.world.pte_generation) == numbers


@pytest.mark.parametrize("make", [lambda: AnonVma(1, RwSem("a")), lambda: Page(1)])
def test_objects_are_compared_as_pointers(make):
    """Two objects with equal fields are two objects."""
    one, two = make(), make()
    assert one == one  # noqa: PLR0124 - that is what is shown
    assert one != two
    assert len({one, two}) == 2


def test_an_object_has_the_kernels_fields_only():
    """A misspelt field is an error, not a new field."""
    with pytest.raises(AttributeError):
        AnonVmaChain(1).anonvma = None


def test_a_new_world_is_empty():
    """A World begins without processes, objects, locks or marks."""
    world = World(V6_12)
    assert (world.mms, world.held, world.marks, world.reused) == ({}, [], {}, [])
    world.mark("seen")
    world.mark("seen")
    assert world.marks == {"seen": 2}
