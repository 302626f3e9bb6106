# SPDX-License-Identifier: GPL-2.0-only
"""How many anon_vmas reuse lets a tree have."""

import pytest

from invariants import violates
from invariants.reuse import growth_bound
from model.kernels import KERNELS
from model.traits import Reuse
from strategies.ops import exit_, fork, mmap, write
from subjects.model import ModelSubject
from tests.invariants.broken_base import refer, world_after

BEYOND_TWICE_THE_PEAK = (
    mmap("p0", 0),
    write("p0", 0),
    fork("p0", "p1"),
    exit_("p0"),
    fork("p1", "p2"),
    fork("p1", "p3"),
    exit_("p1"),
    fork("p2", "p4"),
    fork("p4", "p5"),
    exit_("p2"),
    fork("p3", "p6"),
    exit_("p4"),
    fork("p3", "p7"),
    exit_("p3"),
    fork("p6", "p8"),
    exit_("p6"),
    fork("p7", "p9"),
)


def root_of(world):
    """The only root of a World."""
    (root,) = [anon_vma for anon_vma in world.anon_vmas.values() if anon_vma.root is anon_vma]
    return root


def generations(count):
    """A process that forks and dies, its child doing the same, and so on."""
    ops = [mmap("p0", 0), write("p0", 0)]
    for n in range(count):
        ops += [fork(f"p{n}", f"p{n + 1}"), exit_(f"p{n}")]
    return ops


@pytest.mark.parametrize("kernel", ["v6.1", "v6.12"])
def test_reuse_does_not_keep_a_tree_below_twice_its_peak(kernel):
    """Ten anon_vmas in a tree that never had more than four VMAs, on correct releases."""
    world = world_after(BEYOND_TWICE_THE_PEAK, kernel)
    assert len(world.anon_vmas) == 10
    assert root_of(world).peak_vmas == 4
    assert violates(world) is None


@pytest.mark.parametrize("kernel", [n for n, k in KERNELS.items() if k.reuse is not Reuse.NONE])
def test_a_forking_daemon_stays_small_with_reuse(kernel):
    """Fifty generations of fork and exit leave one VMA with three anon_vmas."""
    world = world_after(generations(50), kernel)
    assert len(world.vmas) == 1
    assert len(world.anon_vmas) == 3


def test_a_forking_daemon_grows_without_reuse():
    """Without reuse each generation adds an anon_vma, and the tenth breaks the law."""
    kernel = KERNELS["v6.12"].with_defect("B01")
    assert len(world_after(generations(8), kernel).anon_vmas) == 9
    assert violates(world_after(generations(8), kernel)) is None
    assert violates(world_after(generations(9), kernel)).law == "growth"


def test_the_bound_leaves_room_for_what_a_search_has_reached():
    """The most anon_vmas ever reached with 2 to 6 processes lie below the bound."""
    for peak, most in {2: 3, 3: 8, 4: 16, 5: 22, 6: 27}.items():
        assert most <= growth_bound(peak)


@pytest.mark.parametrize("kernel", ["v2.6.34", "v3.0", "v3.7", "v3.18"])
def test_the_releases_before_reuse_grow_as_it_was_reported(kernel):
    """The law sees endless growth where it truly was, also where no anon_vma knows its root."""
    assert violates(world_after(generations(8), kernel)) is None
    violation = violates(world_after(generations(9), kernel))
    assert (violation.law, violation.clause) == ("growth", "unbounded")


def test_an_anon_vma_that_only_a_reference_keeps_is_no_growth():
    """What somebody outside holds is not what reuse could have saved."""
    subject = ModelSubject(KERNELS["v6.12"])
    world = subject.world
    subject.apply(mmap("p0", 0))
    subject.apply(write("p0", 0))
    for n in range(40):
        subject.apply(fork("p0", f"c{n}"))
        refer(world, f"c{n}")
        subject.apply(exit_(f"c{n}"))
    assert len(world.anon_vmas) > growth_bound(root_of(world).peak_vmas)
    assert violates(world) is None
