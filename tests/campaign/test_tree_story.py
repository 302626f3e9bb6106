# SPDX-License-Identifier: GPL-2.0-only
"""Traces on a source tree, told for showing."""

from itertools import pairwise

import pytest

from campaign.show_histories import Teller, histories
from campaign.tree_replay import tree_named
from campaign.tree_story import tree_story
from report.calls import CallKind, flat
from report.scene import AnonVmaView, LinkView, PageView, VmaView
from strategies.trace import load
from tests.campaign.test_tree_cve import put_back
from tests.kernel_trees import (  # noqa: F401 - a fixture for all
    build_cache,
    copy_of,
    tree_of,
)

DOUBLE_REUSE = "tests/traces/double-reuse.json"


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """The frames of the CVE's trace on 6.12, as it is and with the bug put back."""
    trace, found = load(DOUBLE_REUSE), {}
    bad = tmp_path_factory.mktemp("bad")
    copy_of(tree_of("6.12"), bad)
    put_back(bad)
    for name, path in (("good", tree_of("6.12")), ("bad", bad)):
        tree = tree_named(f"tree:{path}", None)
        found[name] = [each.frame for each in tree_story(tree, trace)]
    return found


def of(frame, kind):
    """The objects of a kind in a frame."""
    return [view for view in frame.scene.values() if isinstance(view, kind)]


def test_a_clean_tree_is_told_to_the_end(told):
    """Each operation has a frame, with the VMAs and pages of the processes that live."""
    frames = told["good"]
    assert [frame.step for frame in frames] == list(range(-1, 7))
    assert not any(frame.broken for frame in frames)
    assert [view.process for view in of(frames[-1], VmaView)] == ["p0", "p2", "p3", "p4"]
    assert [page.mapcount for page in of(frames[-1], PageView)] == [4]


def test_a_finding_ends_the_story_and_names_what_is_drawn(told):
    """The double reuse is found in the tree's own state; its objects are in the picture."""
    last = told["bad"][-1]
    (broken,) = last.broken
    assert (last.step, broken.law) == (6, "reuse-free")
    assert set(broken.objects) <= set(last.scene)
    (reused,) = [view for view in of(last, AnonVmaView) if view.id in broken.objects]
    assert reused.counts == (("degree", 2),)


def test_links_keep_their_names(told):
    """A link that no operation touched is the same object in the next step."""
    frames = told["good"]
    for before, frame in pairwise(frames):
        links = {view.id: (view.vma, view.anon_vma) for view in of(before, LinkView)}
        kept = {view.id: (view.vma, view.anon_vma) for view in of(frame, LinkView)}
        assert all(links[each] == kept[each] for each in links.keys() & kept.keys())
        lost = set(links.values()) & set(kept.values()) - {
            links[each] for each in links.keys() & kept.keys()
        }
        assert not lost
    assert len(of(frames[-1], LinkView)) == 11


def test_calls_are_the_drivers_with_what_happened_in_them(told):
    """A fork is a call to the driver, with its allocations, locks and failures."""
    calls = [call for _, call in flat(told["good"][-1].calls)]
    assert calls[0].name.startswith("fork(")
    kinds = {call.kind for call in calls[1:]}
    assert {CallKind.ALLOCATE, CallKind.LOCK} <= kinds


def test_a_tree_stands_beside_others_without_comparison():
    """A tree has other calls than a model, so no step is said to differ."""
    trace = load(DOUBLE_REUSE)
    tree = tree_named(f"tree:{tree_of('6.12')}", None)

    def tell(_since):
        return tree_story(tree, trace)

    tellers = [Teller(name, tree.subject.kernel, tell, is_comparable=False) for name in "ab"]
    one, other = histories(trace, tellers)
    assert len(one.frames) == len(other.frames) == 8
    assert other.difference is None
