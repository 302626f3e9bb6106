# SPDX-License-Identifier: GPL-2.0-only
"""exec: the address space goes, an empty one comes, and the process stays."""

from model.kernels import KERNELS
from strategies.ops import exec_, exit_, fork, mmap, pin, read, unpin, write
from tests.model.worlds import Machine, every_release, objects

FAULTED = (mmap("p0", 0), write("p0", 0))


@every_release
def test_nothing_is_left_of_the_old_address_space(kernel):
    """The only process's exec frees every VMA, link, anon_vma and page."""
    m = Machine(kernel, *FAULTED, exec_("p0"))
    assert objects(m.world) == (0, 0, 0, 0)
    assert (m.ranges(), m.mm().map_count) == ([], 0)
    assert m.do(read("p0", 0)) == -14


@every_release
def test_the_process_can_start_over(kernel):
    """After exec the process maps, writes and forks as a new one does."""
    m = Machine(kernel, *FAULTED, fork("p0", "p1"), exec_("p1"), mmap("p1", 0), write("p1", 0))
    assert m.own("p1") not in m.chain("p0")
    assert len(m.chain("p1")) == 1
    assert m.do(fork("p1", "p2")) == 0


@every_release
def test_a_descendants_links_outlive_an_exec(kernel):
    """A page inherited from a process that has since called exec is still found."""
    m = Machine(kernel, *FAULTED, fork("p0", "p1"), exec_("p0"))
    page = m.page("p1")
    assert page.mapping in [avc.anon_vma for avc in m.vma("p1").anon_vma_chain]
    assert m.do(read("p1", 0)) == 1
    m.do(exit_("p1"), exit_("p0"))
    assert objects(m.world) == (0, 0, 0, 0)


@every_release
def test_a_pin_outlives_an_exec(kernel):
    """What was pinned before stays pinned, and is let go by unpin or exit."""
    m = Machine(kernel, *FAULTED, pin("p0", 0), exec_("p0"))
    assert [p.page.content for p in m.world.pins.values()] == [1]
    assert m.do(unpin("p0", 0)) == 0
    assert objects(m.world) == (0, 0, 0, 0)


def test_an_exec_of_nobody_does_nothing():
    """A process that is not there runs no program."""
    m = Machine(KERNELS["v7.0"], *FAULTED)
    assert m.do(exec_("p9")) is None
    assert m.ranges() == [(0, 1)]
