# SPDX-License-Identifier: GPL-2.0-only
"""What the step-through page is made from: steps as what they changed, crowds, comparison."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from report.calls import Call, CallKind
from report.show.compare import Sides
from report.show.data import Texts, calls_json, delta, frame_json, scene_json
from report.show.limits import MOST, crowd_of
from report.show.page import MOST_BYTES, About, History, show_page
from report.show.steps import steps_html
from report.show.text import SHOW_TEXT
from strategies.ops import exit_, fork, mmap, write
from tests.report.told import committed, frames_of, generated

CASES = st.integers(min_value=0, max_value=400)
FEW = settings(max_examples=20, deadline=None)


def merged(old, fields):
    """Fields of an object after a step: what report/show/assets/show_history.js does."""
    view = dict(old)
    for name, value in fields.items():
        if isinstance(value, dict):
            was = old[name]
            tail = was[len(was) - value["tail"] :]
            view[name] = [*was[: value["head"]], *value["between"], *tail]
        else:
            view[name] = value
    return view


@given(case=CASES)
@FEW
def test_steps_add_up(case):
    """Every scene of a generated history is the one before it and what the step is said to do."""
    scene, before = {}, {}
    for frame in generated(case):
        encoded = json.loads(json.dumps(frame_json(frame, before, Texts())))
        for each, fields in encoded.get("set", {}).items():
            scene[each] = merged(scene.get(each, {}), fields)
        for each in encoded.get("gone", ()):
            del scene[each]
        before = frame.scene
        assert scene == json.loads(json.dumps(scene_json(frame.scene)))


def test_a_step_holds_only_what_it_changed():
    """A write by one of two processes says nothing of the other."""
    ops = [mmap("p0", 0), fork("p0", "p1"), write("p1", 0)]
    *_, before, last = frames_of(ops)
    changed, gone = delta(before.scene, last.scene)
    assert "mm:p0" not in changed
    assert changed["mm:p1"] == {"ptes": {"head": 0, "tail": 0, "between": [[0, "page#5", True]]}}
    assert gone == []


def test_texts_of_calls_are_written_once():
    """Calls name their functions by a place in a table, and leave out what is usual."""
    texts = Texts()
    inside = Call("anon_vma", CallKind.ALLOCATE, is_failed=True)
    call = Call("f", CallKind.CALL, "vma#1", inside=(inside,), times=3)
    assert calls_json([call, call], texts) == [[2, 3, "vma#1", 0, 3, [[0, 1, "", 1]]]] * 2
    assert list(texts.numbers) == ["anon_vma", "allocate", "f", "call"]


class TestCrowd:
    """Who is drawn when there are too many."""

    def family(self, size):
        """One process and so many children, the first of which acts last."""
        ops = [mmap("p0", 0), write("p0", 0)]
        ops += [fork("p0", f"p{each}") for each in range(1, size)]
        return frames_of([*ops, write("p1", 0)])

    def test_a_few_are_all_drawn(self):
        """Nobody of a small history is left out."""
        frames = self.family(5)
        crowd = crowd_of(frames)
        assert crowd.left_out == {}
        assert crowd.frame(frames[-1]) is frames[-1]

    def test_of_many_who_acted_last_is_drawn(self):
        """Of 40 processes, 16 are drawn; they include who acted last, and the note counts."""
        frames = self.family(40)
        crowd = crowd_of(frames)
        drawn = [each for each in crowd.frame(frames[-1]).scene if each.startswith("mm:")]
        assert len(drawn) == MOST["mm"]
        assert {"mm:p1", "mm:p39"} <= set(drawn)
        assert crowd.left_out["mm"] == 40 - MOST["mm"]

    def test_links_go_with_what_they_link(self):
        """No link of a VMA that is not drawn is drawn, all others are."""
        frames = self.family(40)
        scene = crowd_of(frames).frame(frames[-1]).scene
        links = [view for each, view in scene.items() if each.startswith("avc#")]
        assert links
        assert all(link.vma in scene and link.anon_vma in scene for link in links)
        assert all(avc in scene for each in scene.values() for avc in getattr(each, "chain", ()))

    def test_a_page_is_drawn_with_its_anon_vma_only(self):
        """No page that is drawn points to an anon_vma that exists and is left out."""
        ops = [mmap("p0", 2 * page) for page in range(60)]
        ops += [write("p0", 2 * page) for page in range(60)]
        frames = frames_of(ops)
        crowd = crowd_of(frames, MOST | {"anon_vma": 10})
        pages = [v for each, v in crowd.frame(frames[-1]).scene.items() if "page#" in each]
        assert len(pages) == 10
        assert all(page.mapping in crowd.kept for page in pages)

    def test_those_of_another_time_crowd_nobody_out(self):
        """A hundred processes one after the other are all drawn."""
        ops = [mmap("p0", 0), write("p0", 0)]
        for each in range(1, 100):
            ops += [fork("p0", f"p{each}"), exit_(f"p{each}")]
        assert crowd_of(frames_of(ops)).left_out == {}

    def test_whom_the_finding_names_is_drawn(self):
        """However few may be drawn, those that a broken law names are among them."""
        frames = committed("double-reuse")
        crowd = crowd_of(frames, dict.fromkeys(MOST, 2))
        assert {"vma#18", "vma#9", "anon_vma#12", "mm:p4", "mm:p2"} <= crowd.kept


class TestSides:
    """Which objects of two worlds are not alike."""

    def unlike(self, one, other, absent=frozenset()):
        """For each step, the ids of either world that the other has not so."""
        sides = Sides(frozenset(absent))
        return [sides.compare(*pair) for pair in zip(one, other, strict=False)]

    def test_a_world_is_like_itself(self):
        """Nothing differs between a kernel and itself."""
        frames = committed("double-reuse")
        assert set(map(str, self.unlike(frames, frames))) == {"([], [])"}

    def test_the_releases_differ_where_the_second_reuse_is(self):
        """v5.18 and v6.1 differ in the VMA that is given another's anon_vma, and not before."""
        absent = {"num_children", "num_active_vmas", "degree", "exclusive"}
        one, other = committed("double-reuse"), committed("double-reuse", "v6.1")
        *before, (mine, theirs) = self.unlike(one, other, absent)
        assert before == [([], [])] * 7
        assert {"vma#18"} <= set(mine) & set(theirs)
        assert "vma#9" not in {*mine, *theirs}
        assert "anon_vma#22" in theirs

    def test_serial_numbers_do_not_count(self):
        """Objects are known by their birth: numbers that run ahead change nothing."""
        ops = [mmap("p0", 0), write("p0", 0), fork("p0", "p1")]
        one = frames_of(ops)
        other = frames_of([mmap("p9", 0), *ops])  # A step without effect comes first.
        assert len(one) + 1 == len(other)
        late = [type(frame)(**{**_fields(frame), "step": frame.step - 1}) for frame in other[1:]]
        assert all(pair == ([], []) for pair in self.unlike(one[1:], late[1:]))


def _fields(frame):
    return {name: getattr(frame, name) for name in type(frame).__slots__ if name != "__weakref__"}


class TestPage:
    """The page as a whole."""

    def test_its_size_is_bounded(self):
        """Of more steps than fit, the last are on the page, and it says how many are not."""
        frames = generated(3, steps=400)
        big = [frame for _ in range(3) for frame in frames[1:]]
        steps = [
            type(frame)(**{**_fields(frame), "step": at, "returned": "x" * 4000})
            for at, frame in enumerate(big)
        ]
        text = show_page(About("big", len(steps)), [History("v6.12", frames[0].scene, steps)])
        assert len(text.encode()) < MOST_BYTES + 1_000_000
        assert "Left out: the first " in text

    def test_nothing_is_said_of_what_is_not_left_out(self):
        """A small page has no such note."""
        frames = committed("double-reuse")
        text = show_page(About("small", 7), [History("v5.18", {}, frames, finding=6)])
        assert "Left out" not in text.partition("page-text")[0]

    def test_steps_can_be_read_without_script(self):
        """Between noscript tags are all steps as text, with the broken law."""
        frames = committed("double-reuse")
        text = show_page(About("small", 7), [History("v5.18", {}, frames, finding=6)])
        steps = text.partition("<noscript>")[2].partition("</noscript>")[0]
        assert steps.count("<h3>") == 8
        assert "ops[6] p4 = fork(p3) → 0" in steps
        assert "Δ anon_vma#12 degree 1 → 2" in steps
        assert "✗ fork gave anon_vma#12 to vma#18 (p4) while vma#9 (p2)" in steps

    def test_the_text_of_steps_is_bounded(self):
        """Of more text than there is room for, the last steps are kept, and it says so."""
        frames = committed("double-reuse")
        whole = steps_html("v5.18", {}, frames, 1_000_000)
        assert "Left out" not in whole
        short = steps_html("v5.18", {}, frames, 2_000)
        kept = short.count("<h3>")
        assert 0 < kept < len(frames)
        assert f"<p>Left out: the {len(frames) - kept} steps before.</p>" in short
        assert short.endswith(whole.rpartition("<h3>")[2])
        assert len(short.encode()) < 2_100


def test_chinese_and_english_have_the_same_blanks():
    """No text loses an argument in the other language."""
    for english, chinese in SHOW_TEXT.values():
        assert english.count("{") == chinese.count("{")
        assert all(f"{{{at}}}" in chinese for at in range(english.count("{")))
