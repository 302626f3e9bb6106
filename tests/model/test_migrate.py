# SPDX-License-Identifier: GPL-2.0-only
"""Moving a page to another frame, as in mm/migrate.c."""

import pytest

from model import migrate as migrate_module
from model.errors import KernelWarning
from model.migrate import unmap_and_move
from model.structs import EAGAIN
from model.traits import SharedMapping
from model.vma_traits import SwapPinned, WpReuse
from strategies.ops import (
    exit_,
    fork,
    madvise,
    migrate,
    mmap,
    mprotect,
    mremap,
    pin,
    read,
    swap_out,
    unpin,
    write,
)
from tests.model.worlds import (
    Machine,
    each_kernel,
    every_kernel,
    every_release,
    snapshot,
    spied,
)

FAULTED = (mmap("p0", 0), write("p0", 0))
SHARED = (*FAULTED, fork("p0", "p1"))
FAMILY = (*SHARED, fork("p1", "p2"))
CACHED = (*SHARED, swap_out("p0", 0), read("p0", 0))
"""A page that p0 maps, and that p1 will find in the swap cache."""


def keeps_mapping(kernel):
    """Whether a page that is mapped again keeps the anon_vma that it has."""
    return kernel.shared_mapping is SharedMapping.ROOT


def knows_exclusive(kernel):
    """Whether a page can be marked as certainly one process's own."""
    return kernel.wp_reuse is WpReuse.ANON_EXCLUSIVE


def forget(m, label):
    """Take the links of a process out of all trees, as no kernel may."""
    m.lawful = False
    for anon_vma in m.world.anon_vmas.values():
        tree = anon_vma.rb_root
        tree[:] = [avc for avc in tree if avc.vma.vm_mm.name != label]


class TestMove:
    @every_kernel
    def test_every_mapping_is_replaced(self, kernel):
        """All who mapped the old page map the new one, at the same place; the old one is freed."""
        m = Machine(kernel, *FAMILY)
        old = m.page()
        assert m.do(migrate("p1", 0)) == 0
        new = m.page("p0")
        assert m.page("p1") is m.page("p2") is new
        assert list(m.world.pages.values()) == [new]
        assert old is not new
        assert (new.mapcount, new.refcount) == (3, 3)
        assert m.world.marks["page-migrated"] == m.world.marks["shared-page-migrated"] == 1

    @every_kernel
    def test_what_the_page_says_of_itself_moves(self, kernel):
        """Content, index and anon_vma are those of the old page."""
        m = Machine(kernel, mmap("p0", 2, 3), write("p0", 4), mremap("p0", 2, 3, 10))
        m.do(migrate("p0", 12))
        new = m.page(page=12)
        assert (new.content, new.index, m.name(new.mapping)) == (1, 4, "AV0")
        assert "shared-page-migrated" not in m.world.marks

    @every_release
    def test_a_childs_page_stays_the_childs(self, kernel):
        """A child's page keeps the child's anon_vma, but in v2.6.34, which binds it anew."""
        m = Machine(kernel, *SHARED, write("p1", 0), migrate("p1", 0))
        assert m.name(m.page("p1").mapping) == ("AV1" if keeps_mapping(kernel) else "AV0")
        assert m.do(read("p1", 0)) == 2

    @every_release
    def test_an_ancestors_page_stays_the_ancestors(self, kernel):
        """An inherited page keeps the anon_vma of the ancestor that made it, who may be gone."""
        m = Machine(kernel, *SHARED, exit_("p0"), migrate("p1", 0))
        assert m.name(m.page("p1").mapping) == "AV0"

    @every_kernel
    def test_a_writable_entry_stays_writable(self, kernel):
        """A page that one process may write is writable and, from v5.19 on, exclusive again."""
        m = Machine(kernel, *FAULTED, migrate("p0", 0))
        assert m.mm().pgd[0].write
        assert m.page().anon_exclusive is knows_exclusive(kernel)

    @every_kernel
    def test_a_read_only_entry_stays_read_only(self, kernel):
        """Exclusiveness moves along without write access too."""
        m = Machine(kernel, *FAULTED, mprotect("p0", 0, 1, "r--"), migrate("p0", 0))
        assert not m.mm().pgd[0].write
        assert m.page().anon_exclusive is knows_exclusive(kernel)

    @every_kernel
    def test_a_shared_page_stays_shared(self, kernel):
        """The entries of a shared page stay read-only, and none becomes exclusive."""
        m = Machine(kernel, *SHARED, migrate("p0", 0))
        assert not m.mm("p0").pgd[0].write
        assert not m.mm("p1").pgd[0].write
        assert not m.page().anon_exclusive

    @every_kernel
    def test_the_swap_slot_moves_along(self, kernel):
        """A page in the swap cache is found there after its move by whoever has the entry."""
        m = Machine(kernel, *CACHED)
        old, slot = m.page(), m.page().swap
        assert m.do(migrate("p0", 0)) == 0
        new = m.page()
        assert (slot.page, new.swap, new.refcount) == (new, slot, 2)
        assert new is not old
        m.do(read("p1", 0))
        assert m.page("p1") is new

    @every_kernel
    def test_who_has_dropped_it_gets_nothing(self, kernel):
        """A process that could map the page, but does not, does not map the new one either."""
        m = Machine(kernel, *SHARED, madvise("p1", 0, 1, "dontneed"), migrate("p0", 0))
        assert m.mm("p1").pgd == {}
        assert m.page().mapcount == 1


class TestKept:
    @every_kernel
    @pytest.mark.parametrize("setup", [FAULTED, SHARED], ids=["alone", "shared"])
    def test_a_pin_keeps_the_page_where_it_is(self, kernel, setup):
        """A pinned page is not moved, and everything is as before."""
        m = Machine(kernel, *setup, pin("p0", 0))
        before = (snapshot(m.world), m.page(), m.mm().pgd[0].write)
        exclusive = m.page().anon_exclusive
        assert m.do(migrate("p0", 0)) == -EAGAIN
        assert (snapshot(m.world), m.page(), m.mm().pgd[0].write) == before
        assert m.page().anon_exclusive is exclusive
        m.do(unpin("p0", 0))
        assert m.do(migrate("p0", 0)) == 0

    @every_kernel
    def test_so_does_any_other_reference(self, kernel):
        """A page that something else refers to is mapped again, with the rights it had."""
        m = Machine(kernel, *FAULTED)
        page = m.page()
        page.refcount += 1
        assert unmap_and_move(m.world, page) == -EAGAIN
        page.refcount -= 1
        assert (m.page(), page.mapcount, page.refcount) == (page, 1, 1)
        assert m.mm().pgd[0].write
        assert page.anon_exclusive is knows_exclusive(kernel)
        assert list(m.world.pages.values()) == [page]

    @each_kernel(lambda kernel: kernel.swap_pinned is SwapPinned.KEPT)
    def test_a_pinned_page_in_the_swap_cache(self, kernel):
        """The swap cache's reference is expected, the pin's is not."""
        m = Machine(kernel, *FAULTED, swap_out("p0", 0), read("p0", 0), pin("p0", 0))
        page = m.page()
        assert m.do(migrate("p0", 0)) == -EAGAIN
        assert m.page() is page
        assert page.swap.page is page


class TestAnonVma:
    @every_kernel
    def test_it_is_held_while_nothing_maps_the_page(self, kernel, monkeypatch):
        """A reference keeps the page's anon_vma from the first walk to the end of the second."""
        m = Machine(kernel, *FAULTED)
        anon_vma = m.page().mapping
        before, during = anon_vma.refcount, []
        for walk in ("try_to_migrate", "remove_migration_ptes"):
            with spied(
                monkeypatch,
                migrate_module,
                walk,
                lambda *_: during.append(anon_vma.refcount),
            ):
                m.do(migrate("p0", 0))
        assert during == [before + 1] * 2
        assert (anon_vma.refcount, m.world.held) == (before, [])

    @every_kernel
    def test_the_entries_are_gone_in_between(self, kernel, monkeypatch):
        """When the new page takes its place the old one is mapped nowhere."""
        m, seen = Machine(kernel, *SHARED), []
        with spied(
            monkeypatch,
            migrate_module,
            "migrate_page_move_mapping",
            lambda *_: seen.extend([list(m.mm("p0").pgd), list(m.mm("p1").pgd)]),
        ):
            m.do(migrate("p0", 0))
        assert seen == [[], []]
        assert m.page("p0") is m.page("p1")


class TestWarnings:
    @every_kernel
    def test_a_mapping_that_is_missed(self, kernel):
        """If a walk does not find every mapping the model stops: the kernel would give up."""
        m = Machine(kernel, *SHARED)
        forget(m, "p1")
        with pytest.raises(KernelWarning, match="mapcount 1 left after an rmap walk") as caught:
            m.do(migrate("p0", 0))
        assert caught.value.clause == "migration-missed"

    @every_kernel
    def test_an_entry_that_is_missed(self, kernel, monkeypatch):
        """If the second walk misses what the first one found, its process would wait for ever."""
        m = Machine(kernel, *SHARED)
        with (
            spied(
                monkeypatch,
                migrate_module,
                "migrate_page_move_mapping",
                lambda *_: forget(m, "p1"),
            ),
            pytest.raises(KernelWarning, match="misses its entry at p1 page 0") as caught,
        ):
            m.do(migrate("p0", 0))
        assert caught.value.clause == "migration-entry-missed"

    @each_kernel(knows_exclusive)
    def test_a_writable_page_that_is_not_exclusive(self, kernel):
        """A writable entry must show an exclusive page: VM_BUG_ON_PAGE (v5.19)."""
        m = Machine(kernel, *FAULTED)
        m.page().anon_exclusive = False
        with pytest.raises(KernelWarning, match="writable, but not exclusive"):
            m.do(migrate("p0", 0))
