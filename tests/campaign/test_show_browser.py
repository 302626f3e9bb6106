# SPDX-License-Identifier: GPL-2.0-only
"""The step-through page in a real browser."""

import json
from functools import partial

import pytest
from selenium.webdriver.common.keys import Keys

from report.scene import AnonVmaView, PageView, VmaView
from strategies.ops import exit_, fork, mmap, mremap, write
from strategies.trace import Trace
from tests.browser import press, wait_for
from tests.campaign.show_pages import (  # noqa: F401 - fixtures
    DOUBLE_REUSE,
    TRACES,
    click,
    fragment,
    ids,
    make_pages,
    marks,
    number,
    open_shown,
    order,
    same_colour,
    text_of,
)
from tests.report.told import traced

NASTY = "</script><script>document.title='broken'</script>\"'&<!--\u2028<b>bold</b>"


@pytest.mark.parametrize(
    "name",
    [
        "double-reuse",
        "merge-without-links",
        "pinned-page-shared-through-swap",
        "failed-fork-leaves-links",
        "mremap-merged-without-links",
        "endless-chain",
        "root-freed-before-a-held-child",
    ],
)
def test_every_step_shows_what_the_model_has(shown, name):
    """In each step, all that exists is in the picture with the model's numbers, and no more."""
    path = TRACES / f"{name}.json"
    browser = shown(path, fragment="#step=start")
    for frame in traced(path):
        there = set(ids(browser, ".picture [data-id]:not(.is-ghost)"))
        assert there == set(frame.scene)
        for each, view in frame.scene.items():
            text = text_of(browser, each) if not each.startswith("mm:") else ""
            if isinstance(view, AnonVmaView):
                assert view.name in text
                assert number(text, "refcount") == view.refcount
                assert [number(text, field) for field, _ in view.counts] == [
                    count for _, count in view.counts
                ]
                assert ("root" in text) == (view.root == each)
            elif isinstance(view, PageView):
                assert number(text, "mapcount") == view.mapcount
                assert number(text, "index") == view.index
                assert number(text, "content") == view.content
            elif isinstance(view, VmaView):
                assert view.prot in text
                orders = [order(browser, link) for link in view.chain]
                assert orders == [str(at + 1) for at in range(len(view.chain))]
        press(browser, Keys.ARROW_RIGHT)


def test_it_opens_at_the_finding(shown):
    """The page shows at once which law is broken, by what values, and where in the picture."""
    browser = shown(DOUBLE_REUSE)
    banner = browser.find_element("css selector", ".banner").text
    assert "fork reuses only an anon_vma without an active VMA" in banner
    assert "fork gave anon_vma#12 (av2) to vma#18 (p4) while vma#9 (p2)" in banner
    values = [e.text for e in browser.find_elements("css selector", ".contradiction li")]
    assert values == [
        "vma#18 (p4) ->anon_vma = anon_vma#12 (av2)",
        "vma#9 (p2) ->anon_vma = anon_vma#12 (av2)",
    ]
    assert "CVE-2022-42703" in banner
    broken = set(ids(browser, ".picture .broken[data-id]"))
    assert broken == {"anon_vma#12", "vma#18", "vma#9", "mm:p4", "mm:p2", "avc#13", "avc#21"}
    for each in broken - {"mm:p4", "mm:p2"}:
        assert "✗" in text_of(browser, each)


def test_changes_have_signs(shown):
    """New, changed and freed objects have a sign each, and values are told as old→new."""
    browser = shown(DOUBLE_REUSE, fragment="#step=4")
    assert "degree 2→1" in text_of(browser, "anon_vma#7")
    assert "Δ" in text_of(browser, "anon_vma#7")
    assert text_of(browser, "vma#5").endswith("†")
    assert "freed" in text_of(browser, "vma#5")
    press(browser, Keys.ARROW_RIGHT)
    assert text_of(browser, "vma#14").endswith("+")
    assert not browser.find_elements("css selector", '[data-id="vma#5"]')


def test_keys_step(shown):
    """Arrows, Home and End move through the steps, F goes to the finding."""
    browser = shown(DOUBLE_REUSE, fragment="#step=2")
    for key, step in (
        (Keys.ARROW_LEFT, "1"),
        (Keys.HOME, "start"),
        (Keys.ARROW_LEFT, "start"),
        (Keys.ARROW_RIGHT, "0"),
        (Keys.END, "6"),
        (Keys.ARROW_RIGHT, "6"),
        (Keys.HOME, "start"),
        ("f", "6"),
    ):
        press(browser, key)
        assert fragment(browser)["step"] == step
    current = browser.find_elements("css selector", '[aria-current="step"]')
    assert [each.get_attribute("data-step") for each in current] == ["6"]


def test_the_slider_steps(shown):
    """The slider stands where the step is and moves it; it says aloud which operation it is."""
    browser = shown(DOUBLE_REUSE)
    slider = browser.find_element("id", "slider")
    assert slider.get_attribute("value") == "6"
    slider.send_keys(Keys.ARROW_LEFT)
    assert fragment(browser)["step"] == "5"
    assert slider.get_attribute("aria-valuetext") == "ops[5] p3 = fork(p2)"
    assert "ops[5] p3 = fork(p2)" in browser.find_element("id", "live").get_attribute("textContent")


def test_play_goes_through_all_steps(shown):
    """Space plays from the start, and pauses."""
    browser = shown(DOUBLE_REUSE)
    browser.execute_script("document.activeElement.blur()")
    press(browser, " ")
    assert fragment(browser)["step"] == "start"
    assert browser.find_element("id", "play").text == "Pause"
    wait_for(lambda: fragment(browser)["step"] != "start")
    press(browser, " ")
    assert browser.find_element("id", "play").text == "Play"


def test_less_motion_plays_nothing_by_itself(shown):
    """For who has asked for reduced motion, play is one step."""
    browser = shown(DOUBLE_REUSE, fragment="#step=1")
    feature = {"name": "prefers-reduced-motion", "value": "reduce"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    browser.find_element("id", "play").click()
    assert fragment(browser)["step"] == "2"
    assert browser.find_element("id", "play").text == "Play"


def test_back_goes_back(shown):
    """Each step that was gone to is an entry of the browser's history."""
    browser = shown(DOUBLE_REUSE, fragment="#step=1")
    for step in ("3", "5"):
        browser.execute_script("return new Promise((done) => setTimeout(done, 450))")
        browser.find_element("css selector", f'.row[data-step="{step}"]').click()
    browser.back()
    assert fragment(browser)["step"] == "3"
    assert browser.find_element("css selector", ".banner .step").text == "ops[3]"
    browser.forward()
    assert browser.find_element("css selector", ".banner .step").text == "ops[5]"


def test_the_address_says_what_is_seen(shown):
    """Step, object, world and language of an address are those of the page."""
    browser = shown(DOUBLE_REUSE, "v5.18", "v6.1", fragment="#step=3&on=none&at=page%234&lang=zh")
    assert browser.find_element("css selector", ".banner .step").text == "ops[3]"
    assert len(browser.find_elements("css selector", ".pane")) == 1
    assert ids(browser, ".chosen") == ["page#4"]
    assert browser.find_element("css selector", ".of-operations h2").text == "操作"


def test_nothing_moves_between_steps(shown):
    """Whatever is drawn in two steps stands at the same place in both, on the screen as well."""
    browser = shown(DOUBLE_REUSE, fragment="#step=1")
    script = """
      return Object.fromEntries([...document.querySelectorAll(".picture [data-id]")].map((each) => {
        const box = each.querySelector("rect, circle").getBoundingClientRect();
        return [each.dataset.id, [Math.round(box.x), Math.round(box.y)]];
      }));
    """
    places = {}
    for _ in range(7):
        for each, place in browser.execute_script(script).items():
            assert places.setdefault(each, place) == place
        press(browser, Keys.ARROW_RIGHT)
    assert len(places) > 20


class TestWalk:
    """The reverse-map walk from a page."""

    def test_all_are_found(self, shown):
        """Clicked, a page shows whom a walk visits, in the order of the tree, and who is lit."""
        browser = shown(DOUBLE_REUSE, fragment="#step=5")
        click(browser, "page#4")
        walked = browser.find_elements("css selector", "ol.walk li.found")
        assert [each.text.split()[3] for each in walked] == ["vma#1", "vma#9", "vma#14"]
        assert marks(browser) == ["vma#1", "vma#9", "vma#14"]
        lit = set(ids(browser, ".picture .lit[data-id]"))
        assert {"anon_vma#3", "vma#1", "vma#9", "avc#10", "avc#15"} <= lit
        assert not {"anon_vma#7", "avc#11", "avc#13"} & lit

    def test_who_is_missed_is_red(self, shown, tmp_path):
        """Who maps a page and is not in its anon_vma's tree is marked as missed."""
        ops = [mmap("p0", 1), write("p0", 1), fork("p0", "p1"), mremap("p0", 1, 1, 2)]
        ops += [mmap("p0", 0), mremap("p0", 2, 1, 1)]
        path = tmp_path / "missed.json"
        path.write_text(Trace(kernel="v6.16", ops=tuple(ops)).to_json_text())
        browser = shown(path)
        click(browser, "page#4")
        details = browser.find_element("id", "details").text
        assert "✗ vma#11 p0 maps it at page 1 and the walk does not come there" in details
        assert "The walk misses 1 mapping(s)." in details
        (missed,) = browser.find_elements("css selector", ".walked.missed")
        assert missed.get_attribute("data-walked") == "vma#11"
        bad = browser.execute_script(
            "return getComputedStyle(document.documentElement).getPropertyValue('--bad')"
        )
        assert same_colour(missed.value_of_css_property("color"), bad)
        assert marks(browser) == ["vma#5"]

    def test_of_a_page_without_anon_vma_no_walk_starts(self, shown):
        """Where page->mapping leads to freed memory, the page says so."""
        browser = shown(TRACES / "mremap-merged-without-links.json")
        click(browser, "page#4")
        details = browser.find_element("id", "details").text
        assert "anon_vma#3 (av0) ✗ freed" in details
        assert "The walk misses 1 mapping(s)." in details

    def test_escape_lets_go(self, shown):
        """Escape, and another click, end it."""
        browser = shown(DOUBLE_REUSE)
        click(browser, "page#4")
        assert browser.find_elements("css selector", ".dimmed")
        press(browser, Keys.ESCAPE)
        assert "at" not in fragment(browser)
        assert browser.find_element("id", "legend").is_displayed()

    def test_a_keyboard_is_enough(self, shown):
        """Focused, an object is chosen by Enter; its fields are told in the kernel's words."""
        browser = shown(DOUBLE_REUSE)
        browser.execute_script("document.querySelector('.picture [data-id=\"vma#9\"]').focus()")
        press(browser, Keys.ENTER)
        details = browser.find_element("id", "details").text
        for word in ("vm_start", "vm_end", "vm_pgoff", "vm_flags", "anon_vma", "anon_vma_chain"):
            assert word in details
        press(browser, Keys.ENTER)
        assert "at" not in fragment(browser)


class TestCalls:
    """The kernel functions of a step."""

    def test_they_are_a_tree_that_folds(self, shown):
        """Callers hold what they call, and can be closed."""
        browser = shown(DOUBLE_REUSE)
        assert browser.find_elements("css selector", "#calls details details details")
        text = browser.find_element("id", "calls").text
        assert (
            text.index("dup_mmap()")
            < text.index("anon_vma_fork()")
            < text.index("anon_vma_clone()")
        )
        browser.find_element("css selector", "#calls summary").click()
        assert "anon_vma_clone()" not in browser.find_element("id", "calls").text

    def test_a_failed_allocation_is_marked(self, shown):
        """Where memory ran out, the list says so."""
        browser = shown(TRACES / "failed-fork-leaves-links.json")
        failed = browser.find_elements("css selector", "#calls .failed")
        assert [each.text for each in failed] == ["✗ failed"]


class TestSideBySide:
    """The same trace on two releases."""

    def test_both_worlds_are_there(self, shown):
        """Each has its picture; what differs is marked, and so is the first differing step."""
        browser = shown(DOUBLE_REUSE, "v5.18", "v6.1")
        heads = [each.text for each in browser.find_elements("css selector", ".pane h2")]
        assert heads == ["v5.18", "v6.1"]
        other = '.pane[data-world="1"] '
        assert "anon_vma#22" in ids(browser, f"{other}.thing:has(.badge.is-other)")
        assert "vma#9" not in ids(browser, f"{other}.thing:has(.badge.is-other)")
        assert [
            each.get_attribute("data-step")
            for each in browser.find_elements("css selector", ".mark.other")
        ] == ["6"]
        row = browser.find_element("css selector", '.row[data-step="6"]').text
        assert "✗" in row
        assert "≠" in row

    def test_they_stand_beside_each_other_if_there_is_room(self, shown):
        """In a wide window two pictures are side by side, in a narrow one they are stacked."""
        tops = []
        for width in (1400, 600):
            browser = shown(DOUBLE_REUSE, "v5.18", "v6.1", width=width)
            tops.append([p.rect["y"] for p in browser.find_elements("css selector", ".pane")])
        assert tops[0][0] == tops[0][1]
        assert tops[1][0] < tops[1][1]

    def test_the_first_difference_is_jumped_to(self, shown):
        """D goes to the first step that differs."""
        browser = shown(DOUBLE_REUSE, "v5.18", "v6.1", fragment="#step=1&on=v6.1")
        press(browser, "d")
        assert fragment(browser)["step"] == "6"

    def test_one_of_several_is_chosen(self, shown):
        """With three subjects, the one beside the first can be changed or dropped."""
        browser = shown(DOUBLE_REUSE, "v5.18", "v6.1", "v6.12")
        select = browser.find_element("id", "compare")
        for option, heads in ((2, ["v5.18", "v6.12"]), (0, ["v5.18"])):
            select.find_elements("tag name", "option")[option].click()
            found = [each.text for each in browser.find_elements("css selector", ".pane h2")]
            assert found == heads


def test_whatever_a_trace_says_is_text(shown, tmp_path):
    """A note, a name and a message with markup in them are shown as they are."""
    trace = json.loads(DOUBLE_REUSE.read_text())
    trace["note"] = NASTY
    trace["finding"] |= {"law": NASTY.replace("\u2028", ""), "message": NASTY}
    path = tmp_path / "<b>x<script>alert(1)<" / "script>\"'&.json"
    path.parent.mkdir()
    path.write_text(json.dumps(trace))
    browser = shown(path, "v6.1")
    assert "broken" not in browser.title
    about = [each.text for each in browser.find_elements("css selector", ".about")]
    assert " ".join(NASTY.split()) in about[0]
    assert "document.title='broken'" in about[1]
    assert not browser.find_elements("css selector", "main b, h1 b")
    assert browser.find_element("tag name", "h1").text == "script>\"'& on v6.1"


def is_at(browser, step):
    """Whether the page shows the state after an operation."""
    return browser.find_element("css selector", ".banner .step").text == f"ops[{step}]"


def test_a_thousand_steps_are_stepped_through(shown, tmp_path):
    """Any of a thousand steps is shown as soon as it is asked for, from either side."""
    ops = [mmap("p0", 0, 2), write("p0", 0)]
    for each in range(333):
        ops += [fork("p0", f"p{each + 1}"), write(f"p{each + 1}", 0), exit_(f"p{each + 1}")]
    path = tmp_path / "long.json"
    path.write_text(Trace(kernel="v6.12", ops=tuple(ops[:1000])).to_json_text())
    browser = shown(path)
    assert len(browser.find_elements("css selector", ".row")) == 1001
    told = traced(path)
    for step in (500, 3, 998, 997, 501):
        browser.execute_script("location.hash = arguments[0]", f"#step={step}")
        wait_for(partial(is_at, browser, step))
        there = set(ids(browser, ".picture [data-id]:not(.is-ghost)"))
        assert there == set(told[step + 1].scene)
