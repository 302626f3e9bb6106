# SPDX-License-Identifier: GPL-2.0-only
"""Allocation, injected failure, and what becomes of freed objects."""

import attrs
import pytest

from model.errors import KernelWarning, UseAfterFree
from model.kernels import V6_12
from model.slab import (
    GFP_KERNEL,
    alloc_page,
    kmem_cache_alloc_anon_vma,
    kmem_cache_alloc_avc,
    kmem_cache_alloc_vma,
    kmem_cache_free_anon_vma,
    kmem_cache_free_avc,
    kmem_cache_free_vma,
    mas_preallocate,
    put_page,
    should_fail,
)
from model.structs import AnonVma, AnonVmaChain, Page, VmAreaStruct, World
from strategies.ops import exit_, fork, mmap, munmap, write
from tests.model.worlds import Machine, every_kernel, objects


def new_vma(world):
    """Allocate a VMA of a process of its own."""
    return kmem_cache_alloc_vma(world, Machine(V6_12).mm(), 0, 1, 0, 0)


CACHES = {
    "AnonVma": (lambda w: kmem_cache_alloc_anon_vma(w, GFP_KERNEL), kmem_cache_free_anon_vma),
    "AnonVmaChain": (lambda w: kmem_cache_alloc_avc(w, GFP_KERNEL), kmem_cache_free_avc),
    "VmAreaStruct": (new_vma, kmem_cache_free_vma),
    "Page": (alloc_page, put_page),
}
FIELDS = [
    (cls.__name__, field.name)
    for cls in (AnonVma, AnonVmaChain, VmAreaStruct, Page)
    for field in attrs.fields(cls)
]
every_cache = pytest.mark.parametrize("cache", CACHES)


def freed(cache):
    """An object of a kind, allocated and freed."""
    world = World(V6_12)
    alloc, free = CACHES[cache]
    obj = alloc(world)
    free(world, obj)
    return world, obj


@pytest.mark.parametrize(("cache", "field"), FIELDS)
def test_reading_a_field_of_a_freed_object_is_noticed(cache, field):
    """Reading any field of a freed object raises UseAfterFree with kind, number and field."""
    _, obj = freed(cache)
    with pytest.raises(UseAfterFree, match=f"{cache}#1 was freed, then its field {field} was used"):
        getattr(obj, field)


@pytest.mark.parametrize(("cache", "field"), FIELDS)
def test_writing_a_field_of_a_freed_object_is_noticed(cache, field):
    """Writing any field of a freed object raises UseAfterFree."""
    _, obj = freed(cache)
    with pytest.raises(UseAfterFree, match=field):
        setattr(obj, field, 0)


@every_cache
def test_a_freed_object_can_be_printed(cache):
    """A freed object shows its kind and number, so that a report can name it."""
    _, obj = freed(cache)
    assert repr(obj) == f"<freed {cache}#1>"


@every_cache
def test_freeing_twice_is_noticed(cache):
    """An object that is freed again is used after it was freed."""
    world, obj = freed(cache)
    with pytest.raises(UseAfterFree):
        CACHES[cache][1](world, obj)


@every_cache
def test_an_object_is_registered_while_it_lives(cache):
    """A World knows every object between allocation and freeing, by a number never used again."""
    world, obj = freed(cache)
    assert objects(world) == (0, 0, 0, 0)
    second = CACHES[cache][0](world)
    assert second.serial == 2
    assert sum(objects(world)) == 1
    assert second is not obj


@every_kernel
@pytest.mark.parametrize("gone", [exit_("p0"), munmap("p0", 0)], ids=["exit", "munmap"])
def test_what_a_process_gives_up_is_poisoned(kernel, gone):
    """VMA, chain entry, anon_vma and page of a mapping that is gone can no longer be used."""
    m = Machine(kernel, mmap("p0", 0), write("p0", 0))
    vma, page = m.vma(), m.page()
    avc, anon_vma = vma.anon_vma_chain[0], vma.anon_vma
    m.do(gone)
    for obj in (vma, avc, anon_vma, page):
        assert repr(obj).startswith("<freed ")
        with pytest.raises(UseAfterFree):
            _ = obj.serial


@pytest.mark.parametrize("mask", [0, 0b1, 0b1010, -1])
def test_the_mask_says_which_allocations_fail(mask):
    """Bit n of the failure mask fails the n-th allocation and every bit is used in turn."""
    world = World(V6_12, fail_mask=mask)
    assert [should_fail(world) for _ in range(6)] == [bool(mask >> n & 1) for n in range(6)]
    assert world.allocations == 6


def test_every_cache_and_the_maple_tree_can_fail():
    """Anon_vmas, chain entries, VMAs and tree nodes are allocations that can fail."""
    world = World(V6_12, fail_mask=-1)
    assert kmem_cache_alloc_anon_vma(world, GFP_KERNEL) is None
    assert kmem_cache_alloc_avc(world, GFP_KERNEL) is None
    assert new_vma(world) is None
    assert not mas_preallocate(world)
    assert (world.allocations, objects(world)) == (4, (0, 0, 0, 0))


def test_pages_never_fail():
    """A page is not a counted allocation: its failure would kill the process, not unwind."""
    world = World(V6_12, fail_mask=-1)
    assert alloc_page(world).refcount == 1
    assert world.allocations == 0


@every_kernel
def test_each_operation_counts_from_nought(kernel):
    """The mask's first bit means the first allocation of each operation anew."""
    m = Machine(kernel, mmap("p0", 0), write("p0", 0))
    assert m.world.allocations == 2
    m.do(write("p0", 0))
    assert m.world.allocations == 0


@pytest.mark.parametrize(
    "use",
    [
        pytest.param(lambda a: setattr(a, "refcount", 1), id="referenced"),
        pytest.param(lambda a: a.rb_root.append(None), id="with a VMA in its tree"),
        pytest.param(lambda a: setattr(a.rwsem, "writer", True), id="locked"),
        pytest.param(lambda a: setattr(a.rwsem, "readers", 1), id="locked for reading"),
    ],
)
def test_an_anon_vma_in_use_is_not_freed(use):
    """An anon_vma that is referenced, locked or has VMAs breaks the contract of its cache."""
    world = World(V6_12)
    anon_vma = kmem_cache_alloc_anon_vma(world, GFP_KERNEL)
    use(anon_vma)
    with pytest.raises(KernelWarning, match="anon_vma#1 freed with refcount"):
        kmem_cache_free_anon_vma(world, anon_vma)


@every_kernel
def test_a_page_lives_as_long_as_one_process_maps_it(kernel):
    """A shared page is freed with its last mapping."""
    m = Machine(kernel, mmap("p0", 0), write("p0", 0), fork("p0", "p1"))
    page = m.page()
    m.do(exit_("p0"))
    assert (page.mapcount, page.refcount) == (1, 1)
    m.do(munmap("p1", 0))
    assert repr(page).startswith("<freed Page")
