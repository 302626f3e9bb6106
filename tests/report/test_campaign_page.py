# SPDX-License-Identifier: GPL-2.0-only
import re

import pytest

from campaign.cli import main
from report.page_text import PAGE_TEXT
from report.run.chart import round_up, spread
from report.run.data import FindingEntry
from report.run.finding import findings
from report.run.text import CAMPAIGN_TEXT
from tests.browser import complaints, open_page, press
from tests.campaign.runs import NASTY, events, nasty_events, recorded


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A directory with pages about runs."""
    root = tmp_path_factory.mktemp("pages")
    good = recorded(root / "out", events())
    earlier = recorded(root / "out", events()[:8])
    nasty = recorded(root / "out", nasty_events(), "nasty")
    (root / "out/a.json").write_text("{}")
    (root / "out/a.html").write_text("<title>steps</title>")
    for name, record in (("good", good), ("nasty", nasty), ("cut", earlier)):
        arguments = ["--compare", str(earlier)] if name == "good" else []
        page = root / f"{name}.html"
        assert main(["report", str(record), "-o", str(page), *arguments]) == 0
    return root


def texts(browser, selector):
    """The texts of all elements that a selector finds."""
    return [each.text for each in browser.find_elements("css selector", selector)]


@pytest.mark.parametrize("key", CAMPAIGN_TEXT)
def test_both_languages_have_the_same_blanks(key):
    """A text in one language leaves out nothing that it has in the other."""
    english, chinese = (sorted(re.findall(r"\{\d\}", text)) for text in CAMPAIGN_TEXT[key])
    assert english == chinese
    assert key not in PAGE_TEXT


@pytest.mark.parametrize(
    ("value", "end"), [(0, 1), (1, 1), (24, 24), (25, 30), (43, 50), (999, 1000), (1001, 1200)]
)
def test_axes_end_at_round_numbers(value, end):
    """An axis ends at a round number that is hardly larger than the largest value."""
    assert round_up(value) == end


def test_of_many_rows_some_are_shown():
    """Rows are taken evenly, with both ends."""
    assert spread(5, 20) == [0, 1, 2, 3, 4]
    assert spread(100, 5) == [0, 25, 50, 74, 99]


@pytest.mark.parametrize(
    ("cases", "said"),
    [(None, "First in case 8"), (1, "in case 8 only"), (2, "first in case 8, 2 cases in all")],
)
def test_how_many_cases_have_a_finding(cases, said):
    """One case is not spoken of as of several."""
    entry = FindingEntry(
        bucket="b",
        kind="safety",
        statement="s",
        message="m",
        known=(),
        only_if="",
        is_remark=False,
        case=8,
        cases=cases,
        operations=2,
        before=5,
        stopped="",
        shortest_in="",
        steps=(),
        trace=None,
        page=None,
        show="",
        replay="",
    )
    assert f">{said}</span>" in "\n".join(findings([entry]))


def test_a_page_is_one_file(pages):
    """A page loads nothing: its only addresses are its own parts and traces beside it."""
    text = (pages / "good.html").read_text()
    targets = set(re.findall(r'(?:href|src)="([^"]*)"', text))
    assert {target for target in targets if not target.startswith("#")} == {
        "./out/a.json",
        "./out/a.html",
    }
    assert not re.search(r"@import|url\(", text)
    assert len(text) < 300_000


def test_every_part_is_there(browser, pages):
    """The page has a heading for each part, and the contents lead to all of them."""
    open_page(browser, pages / "good.html")
    assert texts(browser, "h1") == ["Campaign on v5.18"]
    headings = texts(browser, "h2")
    assert headings == [
        "Outcome",
        "What ran",
        "Compared with an earlier run",
        "Findings",
        "Lost cases and faults",
        "Goals",
        "Over time",
        "Operations and the shapes of state that they met",
        "What each law costs",
    ]
    assert texts(browser, "nav a") == headings
    for link in browser.find_elements("css selector", "nav a"):
        target = link.get_attribute("href").partition("#")[2]
        assert browser.find_elements("id", target)
    assert "Finding: a law was broken." in texts(browser, ".outcome")
    assert not complaints(browser)


def test_what_was_found_is_said_first(browser, pages):
    """The outcome names each finding with what it is known as, and leads to it."""
    open_page(browser, pages / "good.html")
    (named,) = browser.find_elements("css selector", ".found a")
    assert named.text == "reuse-free/in-use/fork"
    assert "CVE-2022-42703" in texts(browser, ".found li")[0]
    named.click()
    assert "reuse-free/in-use/fork" in browser.find_element("css selector", ".finding:target").text


def test_what_a_finding_says(browser, pages):
    """A finding has its law, its history, its trace and its page, one click away."""
    open_page(browser, pages / "good.html")
    said = texts(browser, ".finding")[0]
    for part in (
        "reuse-free/in-use/fork",
        "fork reuses only an anon_vma without an active VMA",
        "CVE-2022-42703",
        "first in case 11, 3 cases in all",
        "7 operations, shrunk from 58",
        "p1 = fork(p0)",
        "anonvma replay ",
    ):
        assert part in said
    links = browser.find_elements("css selector", ".finding a")
    assert [link.get_attribute("href").rpartition("/")[2] for link in links[:2]] == [
        "a.json",
        "a.html",
    ]
    links[1].click()
    assert browser.title == "steps"


def test_tables_can_be_read_out(browser, pages):
    """Every table has a caption, and every row of it a head."""
    open_page(browser, pages / "good.html")
    for table in browser.find_elements("css selector", "table"):
        assert table.find_element("css selector", "caption").get_attribute("textContent")
        rows = table.find_elements("css selector", "tbody tr")
        heads = table.find_elements("css selector", "tbody th[scope=row]")
        assert len(rows) == len(heads) > 0


def test_colour_is_never_the_only_sign(browser, pages):
    """Missing goals, holes and the earlier run's lines differ in words or in form, too."""
    open_page(browser, pages / "good.html")
    assert "MISSING, required" in texts(browser, "td.missing")
    assert texts(browser, "td.hole") == ["hole"]
    dashed = browser.find_element("css selector", ".curve .before")
    solid = browser.find_element("css selector", ".curve .now")
    assert dashed.value_of_css_property("stroke-dasharray") != "none"
    assert solid.value_of_css_property("stroke-dasharray") == "none"


def test_in_chinese(browser, pages):
    """For a reader of Chinese, every heading, caption and label is in Chinese."""
    open_page(browser, pages / "good.html", language="zh-CN")
    said = texts(browser, "h1, h2, caption, figcaption, summary, nav a, dt, .about, .outcome")
    said = [text for text in said if text]
    assert len(said) > 50
    shapes = {"hole", "root", "gone"}
    assert all(re.search(r"[\u4e00-\u9fff]", text) for text in said if text not in shapes)
    labels = browser.find_elements("css selector", "main [aria-label]")
    assert all(re.search(r"[\u4e00-\u9fff]", e.get_attribute("aria-label")) for e in labels)
    assert not complaints(browser)


@pytest.mark.parametrize("language", ["en-US", "zh-CN"])
def test_nothing_is_markup(browser, pages, language):
    """A record whose every text is made to break the page is shown as text."""
    open_page(browser, pages / "nasty.html", language=language)
    assert NASTY in browser.find_element("tag name", "h1").text
    assert texts(browser, ".finding h3") == [NASTY]
    assert NASTY in browser.title
    assert not browser.find_elements("css selector", "main script")
    assert not complaints(browser)


def test_a_page_about_a_cut_record(browser, pages):
    """The page of a record that breaks off says so where one looks first."""
    open_page(browser, pages / "cut.html")
    assert texts(browser, ".outcome") == ["Unfinished: the record ends before the summary."]
    assert "breaks off after 4 s" in texts(browser, ".note")[0]


@pytest.mark.parametrize("width", [400, 800, 1400])
@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_any_window(browser, pages, width, dark):
    """Whatever the width and the theme, only tables scroll sideways, and text stands out."""
    open_page(browser, pages / "good.html", width=width, dark=dark)
    script = "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    needed, there = browser.execute_script(script)
    assert needed <= there
    for selector in (
        "p.about",
        ".outcome",
        "td.hole",
        "td.h1",
        "nav a",
        ".finding dt",
        "td.missing",
    ):
        assert contrast(browser, selector) >= 4.5, selector


def contrast(browser, selector):
    """The contrast of a text with its ground, as WCAG defines it."""
    return browser.execute_script(
        """
        const rgb = (text) => text.match(/[0-9.]+/g).map(Number);
        const light = ([r, g, b]) => [r, g, b]
          .map((c) => c / 255)
          .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
          .reduce((sum, c, n) => sum + c * [0.2126, 0.7152, 0.0722][n], 0);
        const element = document.querySelector(arguments[0]);
        let ground = element;
        const colour = (e) => rgb(getComputedStyle(e).backgroundColor);
        while (colour(ground)[3] === 0) ground = ground.parentElement;
        const [one, other] = [light(rgb(getComputedStyle(element).color)), light(colour(ground))];
        return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
        """,
        selector,
    )


def test_by_keyboard(browser, pages):
    """Tab reaches the links, the languages, the scrolling table and what unfolds, in order."""
    open_page(browser, pages / "good.html", width=400)
    reached = []
    for _ in range(40):
        press(browser, "\ue004")
        active = browser.switch_to.active_element
        reached.append(active.get_attribute("role") or active.tag_name)
    assert reached[:3] == ["a", "button", "button"]
    assert {"region", "summary"} <= set(reached)


def test_on_paper(browser, pages):
    """It prints on a light ground whatever the theme, without what only a screen needs."""
    open_page(browser, pages / "good.html", dark=True)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": []})
    body = browser.find_element("tag name", "body")
    assert body.value_of_css_property("background-color") == "rgba(255, 255, 255, 1)"
    assert not browser.find_element("css selector", ".page-language").is_displayed()
    assert not browser.find_element("css selector", "nav").is_displayed()
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
