# SPDX-License-Identifier: GPL-2.0-only
"""Places for objects that come and go."""

from hypothesis import given
from hypothesis import strategies as st

from report.show.layout_slots import (
    PLENTY,
    Life,
    columns,
    depths,
    first_free,
    in_preorder,
    lives_of,
)

LIVES = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 10)).map(lambda pair: Life(pair[0], sum(pair))),
    max_size=40,
).map(lambda lives: {str(at): life for at, life in enumerate(lives)})


def clashes(lives, places):
    """Pairs that are there at the same time at the same place."""
    ids = list(lives)
    return [
        (one, other)
        for at, one in enumerate(ids)
        for other in ids[at + 1 :]
        if places[one] == places[other] and lives[one].meets(lives[other])
    ]


def test_a_life_is_from_the_first_frame_to_the_last():
    """A gap in between belongs to it: the place is kept."""
    assert lives_of([["a"], ["a", "b"], [], ["a"]]) == {"a": Life(0, 3), "b": Life(1, 1)}


@given(lives=LIVES)
def test_nobody_is_where_another_is(lives):
    """Whatever the lives, a place is given to one at a time."""
    assert clashes(lives, first_free(lives)) == []


@given(lives=LIVES, data=st.data())
def test_no_two_columns_are_one(lives, data):
    """Whatever the lives and the tree, a column is given to one at a time."""
    parents = {
        each: data.draw(st.sampled_from([None, *list(lives)[:at]])) if at else None
        for at, each in enumerate(lives)
    }
    assert clashes(lives, columns(lives, parents)) == []


def test_a_few_share_nothing():
    """As long as there are few, a place is never used again."""
    lives = {str(at): Life(at, at) for at in range(PLENTY)}
    assert list(first_free(lives).values()) == list(range(PLENTY))


def test_of_many_the_dead_make_room():
    """Beyond that, those that never meet have one place."""
    lives = {str(at): Life(at, at) for at in range(PLENTY + 1)}
    assert set(first_free(lives).values()) == {0}


def test_parents_come_before_children():
    """A child follows its parent and its parent's earlier children, with theirs."""
    parents = {"a": None, "b": "a", "c": "a", "d": "b", "e": None}
    assert in_preorder(parents) == ["a", "b", "d", "c", "e"]
    assert depths(parents) == {"a": 0, "b": 1, "d": 2, "c": 1, "e": 0}


def test_a_circle_of_parents_is_no_end():
    """Parents that a broken kernel has made go round in a circle are roots."""
    parents = {"a": "b", "b": "a", "c": "c", "d": "nobody"}
    assert sorted(in_preorder(parents)) == ["a", "b", "c", "d"]


def test_long_lines_of_descent_come_back():
    """Where keeping the order would need ever more columns, the lowest free ones are taken."""
    lives = {str(at): Life(at, at + 1) for at in range(100)}
    parents = {str(at): str(at - 1) if at else None for at in range(100)}
    assert max(columns(lives, parents).values()) < PLENTY
