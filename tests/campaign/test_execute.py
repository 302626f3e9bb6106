# SPDX-License-Identifier: GPL-2.0-only
"""Executing operations under the laws, and what a finding says."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from campaign.execute import ModelRun, execute, find, known_defects
from invariants.reuse import ReuseFree
from model.errors import ModelViolation
from model.kernels import KERNELS, NEWEST
from model.structs import AnonVmaChain
from strategies.mix import generate
from strategies.ops import exit_, fork, mmap, read, write

DOUBLE_REUSE = (
    mmap("p0", 0),
    write("p0", 0),
    fork("p0", "p1"),
    fork("p1", "p2"),
    exit_("p1"),
    fork("p2", "p3"),
    fork("p3", "p4"),
)


@pytest.mark.parametrize("kernel", ["v4.0", "v5.18"])
def test_the_double_reuse_is_found_and_named(kernel):
    """The shortest known history of CVE-2022-42703 breaks reuse-free and is recognised."""
    finding = find(KERNELS[kernel], DOUBLE_REUSE)
    assert finding.bucket == "reuse-free/in-use/fork"
    assert finding.step == 6
    assert finding.defects == ("B16",)
    assert "(p4)" in finding.message
    assert "(p2)" in finding.message


@pytest.mark.parametrize("kernel", ["v6.1", "v6.12"])
def test_the_double_reuse_is_gone_where_it_was_fixed(kernel):
    """The same history is clean from v6.0 on, with every operation effective."""
    execution = execute(KERNELS[kernel], DOUBLE_REUSE)
    assert execution.finding is None
    assert execution.steps == execution.effective == len(DOUBLE_REUSE)
    assert execution.marks["ancestor-reused"] == 1


def test_a_defect_can_be_put_back_into_a_later_release():
    """v6.12 with defect B16 has the double reuse again, and names it."""
    kernel = KERNELS["v6.12"].with_defect("B16")
    assert find(kernel, DOUBLE_REUSE).defects == ("B16",)
    assert [d.cve for d in known_defects(kernel, "reuse-free")] == ["CVE-2022-42703"]


def test_without_reuse_chains_grow_without_bound():
    """With defect B01 a chain of fork and exit breaks the growth law; without, it does not."""
    history = [mmap("p0", 0), write("p0", 0)]
    for n in range(12):
        history += [fork(f"p{n}", f"p{n + 1}"), exit_(f"p{n}")]
    finding = find(NEWEST.with_defect("B01"), history)
    assert (finding.law, finding.defects) == ("growth", ("B01",))
    assert find(NEWEST, history) is None


@settings(max_examples=60)
@given(case=st.integers(0, 10**6), kernel=st.sampled_from(sorted(KERNELS)))
def test_quick_and_full_checking_find_the_same(case, kernel):
    """Checking with the screen and checking every law in full end alike."""
    history = generate(5, case, 60)
    assert execute(KERNELS[kernel], history, full=False) == execute(KERNELS[kernel], history)


def test_operations_of_unknown_processes_are_recorded_no_ops():
    """An operation of a dead or unknown process changes nothing and is not counted effective."""
    history = (mmap("p0", 0), write("p9", 0), fork("p0", "p1"), exit_("p1"), read("p1", 0))
    execution = execute(NEWEST, history)
    assert execution.finding is None
    assert (execution.steps, execution.effective) == (5, 3)


def test_a_fork_to_a_label_that_is_taken_is_a_no_op():
    """A label names one process for ever, alive or dead."""
    history = (mmap("p0", 0), fork("p0", "p1"), exit_("p1"), fork("p0", "p1"), fork("p0", "p0"))
    execution = execute(NEWEST, history)
    assert (execution.steps, execution.effective) == (5, 3)


def test_a_run_steps_and_finishes():
    """The state machine's view of a kernel: step by step, raising where a law breaks."""
    run = ModelRun(KERNELS["v5.18"])
    for op in DOUBLE_REUSE[:-1]:
        run.step(op)
    with pytest.raises(ReuseFree):
        run.step(DOUBLE_REUSE[-1])


def test_an_oops_of_the_model_is_reported_where_it_happened(monkeypatch):
    """What would be a NULL dereference in C names the function of the model it happened in."""
    monkeypatch.setattr("model.rmap.kmem_cache_alloc_avc", lambda _w, _gfp: object())
    run = ModelRun(NEWEST)
    run.step(mmap("p0", 0))
    with pytest.raises(ModelViolation) as caught:
        run.step(write("p0", 0))
    assert caught.value.law == "oops"
    assert "anon_vma_chain_link" in str(caught.value)


def test_a_field_that_was_never_set_is_an_oops(monkeypatch):
    """A model change that forgets to set a field is a finding that names the field."""

    def alloc(w, _gfp):
        w.serial += 1
        avc = w.avcs[w.serial] = AnonVmaChain(w.serial)
        w.generation += 1
        return avc

    def link(_w, vma, avc, _anon_vma):
        vma.anon_vma_chain.insert(0, avc)

    monkeypatch.setattr("model.rmap.kmem_cache_alloc_avc", alloc)
    monkeypatch.setattr("model.rmap.anon_vma_chain_link", link)
    finding = find(NEWEST, (mmap("p0", 0), write("p0", 0)))
    assert finding.bucket == "oops/unset-field/touch"
    assert "AnonVmaChain.anon_vma" in finding.message
    assert execute(NEWEST, (mmap("p0", 0), write("p0", 0)), full=False).finding == finding
