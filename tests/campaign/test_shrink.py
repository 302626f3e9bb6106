# SPDX-License-Identifier: GPL-2.0-only
import os
import subprocess
import sys
from functools import partial
from itertools import count

import attrs
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from campaign.execute import Finding, execute, find
from campaign.shrink import shrink
from campaign.shrink_passes import cost
from campaign.store import recorded, save_trace
from model.kernels import KERNELS
from strategies.mix import generate
from strategies.ops import (
    OpKind,
    exit_,
    fork,
    mmap,
    mprotect,
    mremap,
    munmap,
    read,
    write,
)
from strategies.trace import Trace, load, loads
from tests.campaign.test_replay import FOUND, TRACE, run, save
from tests.strategies.test_ops import operations
from tests.strategies.test_trace import has_own_label, op_lists

V5_18 = KERNELS["v5.18"]

DOUBLE_REUSE = (
    mmap("p0", 0),
    write("p0", 0),
    fork("p0", "p1"),
    fork("p1", "p2"),
    exit_("p1"),
    fork("p2", "p3"),
    fork("p3", "p4"),
)
"""The shortest history that makes v5.18 reuse an anon_vma twice."""

GENERATION_BETWEEN = (
    *DOUBLE_REUSE[:2],
    fork("p0", "q"),
    fork("q", "p1"),
    *DOUBLE_REUSE[3:],
)
MOVED_FAR = (
    mmap("p0", 5),
    write("p0", 5),
    mremap("p0", 5, 1, 900),
    fork("p0", "p1"),
    fork("p1", "p2"),
    munmap("p1", 900),
    fork("p2", "p3"),
    fork("p3", "p4"),
)
ODD_ARGUMENTS = (
    mmap("p0", 1, 4, "r--"),
    mprotect("p0", 2, 1, "rw-"),
    write("p0", 2),
    fork("p0", "x"),
    fork("x", "y"),
    munmap("x", 0, 9),
    fork("y", "z"),
    fork("z", "last"),
)
"""Histories with a double reuse, longer than need be, that no deletion makes shorter."""


def finding(step, law="law", op=None):
    """A finding of a made-up law."""
    return Finding(law, "clause", op.kind.value if op else "fork", step, "message")


def has_kinds(*kinds):
    """A predicate that finds something where the last of some kinds has come, in this order."""

    def predicate(ops):
        wanted = list(kinds)
        for step, op in enumerate(ops):
            if op.kind is wanted[0]:
                wanted.pop(0)
                if not wanted:
                    return finding(step)
        return None

    return predicate


def history_with_double_reuse(seed):
    """The first history of a seed that makes v5.18 reuse an anon_vma twice."""
    for case in count():
        ops = generate(seed, case)
        if execute(V5_18, ops, full=False).finding is not None:
            return ops
    return None


@st.composite
def failing(draw):
    """A list of operations and a predicate that finds something in it: kinds in some order."""
    kinds = draw(st.lists(st.sampled_from(OpKind), min_size=1, max_size=3))
    ops, taken = draw(op_lists(5)), set()
    for kind in kinds:
        ops += (draw(operations((kind,))), *draw(op_lists(5)))
    ops = tuple(op for op in ops if has_own_label(op, taken))
    predicate = has_kinds(*kinds)
    assume(predicate(ops) is not None)
    return ops, kinds, predicate


class TestAnyPredicate:
    """What holds whatever is being looked for."""

    @given(failing(), st.integers(1, 30) | st.none())
    def test_the_result_still_fails_and_is_no_worse(self, case, max_replays):
        """The result has the bucket of the original, is cut at its finding, and costs no more."""
        ops, _, predicate = case
        result = shrink(ops, predicate, max_replays=max_replays)
        assert result.finding == predicate(result.ops)
        assert result.finding.bucket == predicate(ops).bucket
        assert result.finding.step == len(result.ops) - 1
        assert cost(result.ops) <= cost(ops)

    @given(failing())
    def test_shrinking_is_deterministic_and_comes_to_rest(self, case):
        """The same list gives the same result, and the result gives itself."""
        ops, _, predicate = case
        result = shrink(ops, predicate)
        assert shrink(ops, predicate) == result
        assert shrink(result.ops, predicate).ops == result.ops
        assert result.complete

    @given(failing())
    def test_no_list_is_replayed_twice(self, case):
        """A candidate that was tried is not tried again, and replays are counted."""
        ops, _, predicate = case
        replayed = []
        result = shrink(ops, lambda tried: replayed.append(tried) or predicate(tried))
        assert len(replayed) == len(set(replayed)) == result.replays

    @given(failing(), st.integers(1, 30))
    def test_a_shrunk_trace_can_be_saved(self, case, max_replays):
        """What the shrinker makes of a valid trace is a valid trace, wherever it is stopped."""
        ops, _, predicate = case
        result = shrink(ops, predicate, max_replays=max_replays)
        trace = Trace("v5.18", result.ops, finding=recorded(result.finding))
        assert loads(trace.to_json_text(), "a.json") == trace

    @given(failing())
    def test_only_what_is_needed_stays(self, case):
        """Of a list that needs some kinds in order, exactly those operations are left."""
        ops, kinds, predicate = case
        assert [op.kind for op in shrink(ops, predicate).ops] == kinds

    def test_a_list_without_a_finding(self):
        """Operations that break no law are no work for the shrinker."""
        with pytest.raises(ValueError, match="nothing to shrink"):
            shrink([exit_("p0")], lambda _ops: None)


class TestBuckets:
    """Findings in other buckets than the first one's."""

    OPS = (fork("p0", "p1"), mmap("p0", 0), munmap("p0", 0), mmap("p0", 1), fork("p0", "p2"))

    def predicate(self, ops):
        """Find law A when a fork follows a munmap, law B when one follows any other list."""
        for step, op in enumerate(ops):
            if step and op.kind is OpKind.FORK:
                unmapped = any(each.kind is OpKind.MUNMAP for each in ops[:step])
                return finding(step, "A" if unmapped else "B")
        return None

    def test_the_first_bucket_is_pinned(self):
        """A shorter list with another finding is not taken for the same bug."""
        result = shrink(self.OPS, self.predicate)
        assert result.finding.law == "A"
        assert [op.kind for op in result.ops] == [OpKind.MUNMAP, OpKind.FORK]

    def test_other_buckets_are_kept_as_slips(self):
        """The best list met of each other bucket is handed back with its finding."""
        (slip,) = shrink(self.OPS, self.predicate).slips
        assert slip.finding == self.predicate(slip.ops)
        assert slip.finding.law == "B"
        assert slip.finding.step == len(slip.ops) - 1 == 1

    def test_the_kind_of_operation_is_part_of_the_bucket(self):
        """One law broken by another kind of operation is a slip, too."""

        def predicate(ops):
            last = len(ops) - 1
            return finding(last, op=ops[last]) if ops else None

        result = shrink([exit_("p0"), mmap("p0", 0)], predicate)
        assert result.ops == (mmap("p0", 0),)
        assert [slip.ops for slip in result.slips] == [(exit_("p0"),)]


class TestBudget:
    """Stopping before the end."""

    OPS = tuple(write("p0", page) for page in range(20)) + DOUBLE_REUSE

    @pytest.mark.parametrize("max_replays", [1, 2, 10])
    def test_replays(self, max_replays):
        """No more lists are replayed than allowed, and the result says that it is not the end."""
        result = shrink(self.OPS, partial(find, V5_18), max_replays=max_replays)
        assert result.replays == max_replays
        assert not result.complete
        assert find(V5_18, result.ops) == result.finding

    def test_seconds(self):
        """Without time, the original is cut at its finding and nothing else."""
        ops = [*self.OPS, exit_("p0")]
        result = shrink(ops, partial(find, V5_18), max_seconds=0)
        assert (result.ops, result.replays, result.complete) == (self.OPS, 1, False)

    def test_enough_is_enough(self):
        """A budget that is not used up changes nothing."""
        free = shrink(self.OPS, partial(find, V5_18))
        ample = shrink(self.OPS, partial(find, V5_18), max_replays=10_000, max_seconds=600)
        assert free.complete
        assert ample == free


class TestProgress:
    """What is told on the way."""

    def test_every_better_list_is_told(self):
        """The caller hears of each better list, from the original to the result."""
        told = []
        ops = TestBudget.OPS
        result = shrink(ops, partial(find, V5_18), on_better=lambda *better: told.append(better))
        assert told[0][0] == ops
        assert told[-1] == (result.ops, result.finding)
        costs = [cost(better) for better, _ in told]
        assert costs == sorted(set(costs), reverse=True)

    def test_the_passes_are_logged(self):
        """Each pass that made progress is named with the length after it, the cut first."""
        result = shrink([*TestBudget.OPS, exit_("p0")], partial(find, V5_18))
        assert result.passes[0] == ("cut", 27)
        assert result.passes[-1][1] == 7
        lengths = [length for _, length in result.passes]
        assert lengths == sorted(lengths, reverse=True)


class TestQuality:
    """How short known bugs come out."""

    @pytest.mark.parametrize("seed", range(8))
    def test_the_double_reuse_comes_out_at_its_minimum(self, seed):
        """Whatever history shows the double reuse, seven operations are left, always the same."""
        result = shrink(history_with_double_reuse(seed), partial(find, V5_18))
        assert result.ops == DOUBLE_REUSE

    @pytest.mark.parametrize(
        "ops",
        [
            pytest.param(GENERATION_BETWEEN, id="a generation in between"),
            pytest.param(MOVED_FAR, id="a mapping that moved far away"),
            pytest.param(ODD_ARGUMENTS, id="arguments that do not matter"),
        ],
    )
    def test_what_deleting_cannot_remove(self, ops):
        """Splicing, contracting, plainer arguments and new labels do what deleting cannot."""
        for gone in ops:
            assert find(V5_18, [op for op in ops if op is not gone]) is None
        assert shrink(ops, partial(find, V5_18)).ops == DOUBLE_REUSE

    def test_endless_growth(self):
        """The growth of v2.6.34 to v3.18 shrinks to a chain of single children."""
        ops = [mmap("p0", 0), write("p0", 0)]
        for age in range(12):
            child = f"p{age + 1}"
            ops += [fork(f"p{age}", child), write(child, 0), exit_(f"p{age}"), read(child, 0)]
        kernel = KERNELS["v6.12"].with_defect("B01")
        result = shrink(ops, partial(find, kernel))
        kinds = [op.kind for op in result.ops[2:]]
        assert kinds == [OpKind.FORK, OpKind.EXIT] * (len(kinds) // 2) + [OpKind.FORK]
        assert len(result.ops) == 19


class TestCommand:
    """``anonvma shrink``."""

    PADDED = (
        mmap("p0", 7, 3),
        *DOUBLE_REUSE[:4],
        write("p2", 8),
        *DOUBLE_REUSE[4:],
        exit_("p0"),
    )

    def test_the_shrunk_trace_is_saved_beside(self, capsys, tmp_path):
        """A trace is shrunk, saved beside itself, and its reproduce line works."""
        path = save(tmp_path, ops=self.PADDED, seed=3, note="from a campaign")
        code, lines, errors = run(capsys, "shrink", path)
        shrunk = tmp_path / "changed.shrunk.json"
        assert (code, errors) == (1, [])
        assert lines[0].startswith("shrunk     10 -> 7 operations, ")
        assert FOUND.bucket in lines[1]
        assert lines[-2:] == [f"saved      {shrunk}", f"reproduce  anonvma replay {shrunk}"]
        assert load(shrunk) == attrs.evolve(TRACE, seed=3, note="from a campaign")
        assert run(capsys, *lines[-1].split()[2:])[0] == 1

    def test_the_shrunk_trace_is_saved_elsewhere(self, capsys, tmp_path):
        """The result goes where -o says, and the trace stays as it is."""
        path = save(tmp_path)
        before = load(path)
        assert run(capsys, "shrink", path, "-o", tmp_path / "a.json")[0] == 1
        assert load(tmp_path / "a.json").ops == DOUBLE_REUSE
        assert load(path) == before

    def test_nothing_to_shrink(self, capsys, tmp_path):
        """A trace without a finding is told so, and nothing is written."""
        path = save(tmp_path, kernel="v6.12")
        code, (line,), _ = run(capsys, "shrink", path)
        assert (code, line) == (0, f"nothing to shrink: {path} is CLEAN on v6.12")
        assert [each.name for each in tmp_path.iterdir()] == ["changed.json"]

    def test_another_finding_than_the_recorded_one(self, capsys, tmp_path):
        """A trace that finds something else now is shrunk for that, and it is said."""
        path = save(tmp_path, finding=attrs.evolve(FOUND, clause="gone"))
        _, lines, _ = run(capsys, "shrink", path)
        assert "recorded   reuse-free/gone/fork: the trace finds something else now" in lines

    def test_an_interrupt_saves_the_best_so_far(self, capsys, tmp_path, monkeypatch):
        """Ctrl-C ends with exit code 130 and the best trace so far on disk."""
        calls = []

        def interrupted(kernel, ops):
            calls.append(ops)
            if len(calls) > 5:
                raise KeyboardInterrupt
            return find(kernel, ops)

        monkeypatch.setattr("campaign.shrink_command.find", interrupted)
        path = save(tmp_path, ops=self.PADDED)
        code, _, errors = run(capsys, "shrink", path)
        saved = load(tmp_path / "changed.shrunk.json")
        assert code == 130
        assert errors[0] == (
            f"shrinking: {len(saved.ops)} operations so far, {tmp_path}/changed.shrunk.json"
        )
        assert find(KERNELS["v5.18"], saved.ops) is not None
        assert len(saved.ops) < len(self.PADDED)

    @pytest.mark.parametrize("seconds", ["0", "-1", "inf", "nan", "soon"])
    def test_a_time_that_is_none(self, capsys, tmp_path, seconds):
        """A budget that is no positive number of seconds is bad usage."""
        assert run(capsys, "shrink", save(tmp_path), "--seconds", seconds)[0] == 2

    def test_bad_input(self, capsys, tmp_path):
        """What cannot be read, run or written is one line and exit code 2."""
        path = save(tmp_path)
        unknown = str(save_trace(tmp_path, attrs.evolve(TRACE, kernel="v9.9")))
        for argv in (
            ["shrink", tmp_path / "none.json"],
            ["shrink", unknown],
            ["shrink", path, "-o", tmp_path / "no" / "a.json"],
        ):
            code, _, (error,) = run(capsys, *argv)
            assert code == 2
            assert error.startswith("anonvma: ")

    def test_a_subject_that_cannot_run_here(self, capsys, tmp_path):
        """A trace of another kind of subject proves nothing here: exit code 3."""
        assert run(capsys, "shrink", save(tmp_path, kernel="vm:debian"))[0] == 3

    def test_the_hash_seed_changes_nothing(self, root, tmp_path):
        """The shrunk file is the same, byte for byte, whatever order hashes have."""
        path = save(tmp_path, ops=tuple(history_with_double_reuse(0)), finding=None)
        for seed in ("0", "1", "2"):
            argv = ["-m", "campaign.cli", "shrink", path, "-o", tmp_path / seed]
            environment = os.environ | {"PYTHONHASHSEED": seed}
            done = subprocess.run([sys.executable, *argv], cwd=root, env=environment, check=False)
            assert done.returncode == 1
        texts = {(tmp_path / seed).read_text() for seed in ("0", "1", "2")}
        assert len(texts) == 1
