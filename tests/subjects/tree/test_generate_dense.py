# SPDX-License-Identifier: GPL-2.0-only
"""Histories in which a few pages are split and merged all the time."""

from model.kernels import KERNELS
from strategies.ops import OpKind
from subjects.tree.calls import OpCode, request
from subjects.tree.generate import generate_b
from subjects.tree.generate_dense import DENSE_OF, generate_dense, generate_mixed
from subjects.tree.judge import judge
from subjects.tree.shown import records_of, shown
from subjects.tree.translate import play
from tests.kernel_trees import release_of
from tests.subjects.tree.driven import start


def vmas(record):
    """The VMAs of the first process by address, as (start, end, whether it is faulted)."""
    found = [vma for vma in shown(record.state).vmas if vma.mm == 0]
    return sorted((vma.start, vma.end, vma.anon_vma >= 0) for vma in found)


def merges_of_three(case):
    """Which of three VMAs that an mprotect made one had been faulted."""
    played = play(KERNELS["v6.12"], "B", generate_dense(1, case, 40))
    records = [records_of(answer)[0] for answer in played.answers]
    for call, before, after in zip(played.calls[1:], records, records[1:], strict=False):
        if call.op == OpCode.MPROTECT and call.args[0] == 0:
            old, new = vmas(before), vmas(after)
            for at in range(len(old) - 2):
                three = old[at : at + 3]
                if any(each[:2] == (three[0][0], three[2][1]) for each in new):
                    yield tuple(each[2] for each in three)


def test_they_are_the_same_each_time():
    """The same seed and case give the same history, others another one."""
    assert generate_dense(1, 5, 40) == generate_dense(1, 5, 40)
    assert generate_dense(1, 5, 40) != generate_dense(1, 6, 40) != generate_dense(2, 6, 40)


def test_three_vmas_become_one_whichever_of_them_is_faulted():
    """Two unfaulted ones before a faulted one, too, which no other history comes to."""
    seen = {faulted for case in range(120) for faulted in merges_of_three(case)}
    assert {(False, False, True), (True, False, False), (False, False, False)} <= seen


def test_memory_is_short_in_some_of_them():
    """Of those that can fail some do, one allocation or two in a row."""
    drawn = [op for case in range(40) for op in generate_dense(1, case, 40)]
    masks = {op.fail for op in drawn}
    assert {0, 1, 3} <= masks
    assert not any(op.fail for op in drawn if op.kind in {OpKind.GET, OpKind.PUT})


def test_a_campaign_has_both():
    """One history of a few is dense, the others are those of all campaigns."""
    for case in range(2 * DENSE_OF):
        drawn = generate_mixed(1, case, 30)
        dense = case % DENSE_OF == DENSE_OF - 1
        assert drawn == (generate_dense if dense else generate_b)(1, case, 30)


def test_tree_and_model_agree_on_them(kernel_tree):
    """Return codes, events and every word of the state."""
    model = KERNELS[f"v{release_of(kernel_tree)}"]
    played = [play(model, "B", generate_dense(3, case, 60)) for case in range(60)]
    with start(kernel_tree, "B") as driver:
        answers = driver.run([request(each.calls) for each in played])
        found = [judge(*pair) for pair in zip(played, answers, strict=True)]
    assert found == [None] * len(played)
