# SPDX-License-Identifier: GPL-2.0-only
"""Whether anything shorter exists: the search around a history, and ``shrink --prove``."""

from pathlib import Path

import pytest

from campaign import cli, shrink_command
from campaign.execute import find
from campaign.explorer import Limits
from campaign.prove import prove, scope_around
from campaign.subject_names import kernel_named
from strategies.ops import OpKind, exit_, fork, mmap, mprotect, write
from strategies.trace import Trace, load

V5_18 = kernel_named("v5.18")
DOUBLE_REUSE = (
    mmap("p0", 0),
    write("p0", 0),
    fork("p0", "p1"),
    fork("p1", "p2"),
    exit_("p1"),
    fork("p2", "p3"),
    fork("p3", "p4"),
)
B04 = kernel_named("v6.12+B04")
THREE_MMAPS = (
    mmap("p0", 0),
    mmap("p0", 1, prot="r--"),
    mmap("p0", 2),
    write("p0", 2),
    mprotect("p0", 1, 1, "rw-"),
)


@pytest.fixture
def shrink_prove(capsys, tmp_path):
    """Run ``shrink --prove`` on operations of a kernel: exit code, output lines, the result."""

    def run(kernel: str, ops, *args: str):
        path = tmp_path / "a.json"
        path.write_text(Trace(kernel=kernel, ops=tuple(ops)).to_json_text())
        code = cli.main(["shrink", "--prove", str(path), *args])
        return code, capsys.readouterr().out.splitlines(), load(Path(tmp_path / "a.shrunk.json"))

    return run


def test_the_scope_is_that_of_the_history():
    """A scope around a history has its kinds, its processes, mappings and pages, and no more."""
    scope = scope_around(V5_18, DOUBLE_REUSE)
    assert (scope.live, scope.mappings, scope.arena, scope.failures) == (4, 1, 1, 0)
    assert set(scope.kinds) == {OpKind.MMAP, OpKind.TOUCH, OpKind.FORK, OpKind.EXIT}
    assert scope_around(B04, THREE_MMAPS).mappings == 3


def test_nothing_shorter():
    """Of the double reuse every shorter history was tried, and none has it."""
    proof = prove(V5_18, DOUBLE_REUSE, find(V5_18, DOUBLE_REUSE))
    assert (proof.shorter, proof.complete) == (None, True)
    assert proof.exploration.depth == 6


def test_something_shorter():
    """Three mappings side by side take fewer operations than three mmaps."""
    finding = find(B04, THREE_MMAPS)
    proof = prove(B04, THREE_MMAPS, finding)
    assert proof.complete
    assert len(proof.shorter.ops) == 4
    assert proof.shorter.finding.bucket == finding.bucket


def test_a_limit_proves_less():
    """A search that did not get that far proves nothing about what it did not try."""
    proof = prove(V5_18, DOUBLE_REUSE, find(V5_18, DOUBLE_REUSE), Limits(depth=3))
    assert (proof.shorter, proof.complete, proof.exploration.depth) == (None, False, 3)


def test_the_command_says_that_nothing_is_shorter(shrink_prove):
    """The shrunk trace comes with the scope and the number of states in which none is shorter."""
    code, lines, trace = shrink_prove("v5.18", DOUBLE_REUSE)
    assert code == 1
    assert lines[2] == (
        "proof      nothing shorter is in the scope: 4 live processes, 1 mapping, 1 page; "
        "mmap, touch, fork, exit (324 states)"
    )
    assert trace.ops == DOUBLE_REUSE


def test_the_command_takes_what_is_shorter(shrink_prove):
    """What the search finds and the passes did not becomes the result, on disk too."""
    code, lines, trace = shrink_prove("v6.12+B04", THREE_MMAPS)
    assert code == 1
    assert lines[0].startswith("shrunk     5 -> 4 operations, ")
    assert lines[2].startswith(
        "proof      passes alone came to 5; nothing shorter is in the scope:"
    )
    assert len(trace.ops) == 4
    assert find(B04, trace.ops) is not None


def test_an_interrupted_proof_says_how_far_it_came(shrink_prove, monkeypatch):
    """Ctrl-C ends a proof with exit code 130; what was shrunk is on disk and told all the same."""

    def soon(*args, **options):
        return prove(*args, **(options | {"interrupted": lambda: True}))

    monkeypatch.setattr(shrink_command, "prove", soon)
    code, lines, trace = shrink_prove("v5.18", DOUBLE_REUSE)
    assert code == 130
    assert lines[2].startswith("proof      not complete, interrupted: nothing up to 0 operations ")
    assert trace.ops == DOUBLE_REUSE
