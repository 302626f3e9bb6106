# SPDX-License-Identifier: GPL-2.0-only
"""Trees that were edited back to what older releases did, against the recordings of these."""

import pytest

from subjects.recording import open_recording
from subjects.tree.layout import open_tree
from subjects.tree.probe import probe
from subjects.tree.snapshot import decode
from tests.kernel_trees import copy_of, count_by_degree, keep_pointer, tree_of
from tests.subjects.tree.driven import start
from tests.subjects.tree.test_recordings import RECORDINGS, request_of

FIELDS = ("parent", "degree")


@pytest.fixture(scope="module")
def degree(tmp_path_factory, compiler):
    """A tree that counts by degree."""
    return count_by_degree(copy_of(tree_of("6.1"), tmp_path_factory.mktemp("degree")))


@pytest.fixture(scope="module")
def stale(tmp_path_factory, compiler):
    """A tree that counts by degree, and whose unlink keeps the pointer."""
    tree = copy_of(tree_of("6.1"), tmp_path_factory.mktemp("stale"))
    return keep_pointer(count_by_degree(tree))


def test_facts(degree, stale):
    """The facts are those of the older releases."""
    facts = probe(open_tree(degree)), probe(open_tree(stale))
    assert [found.counters for found in facts] == [("degree",), ("degree",)]
    assert [found.unlink_resets for found in facts] == [True, False]


@pytest.mark.parametrize("distribution", ["forkexit", "forkexit-fail", "multivma"])
@pytest.mark.parametrize(
    ("release", "edited"),
    [("5.17-rc5", "degree"), ("5.10.13", "stale"), ("4.19", "stale"), ("4.0.5", "stale")],
)
def test_every_recorded_step_comes_out_identical(request, release, edited, distribution):
    """A tree with an older release's way of counting does what was recorded of that release."""
    path = RECORDINGS / f"{release}-A-{distribution}.ndjson.gz"
    with open_recording(str(path)) as opened:
        sequences = list(opened.sequences)
    compared = 0
    with start(request.getfixturevalue(edited)) as driver:
        results = driver.run(map(request_of, sequences))
        for sequence, result in zip(sequences, results, strict=True):
            for step, answer in zip(sequence.steps, result.answers(), strict=True):
                outcome = decode(answer, "A", FIELDS)
                outcome.pop("pages", None)
                assert outcome == step.outcome, (sequence.seed, step.op)
                compared += 1
    assert compared == 1600
