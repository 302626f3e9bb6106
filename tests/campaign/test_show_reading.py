# SPDX-License-Identifier: GPL-2.0-only
"""The step-through page for whoever reads it: languages, colours, paper, keyboard, size."""

import pytest
from selenium.webdriver.common.keys import Keys

from campaign.store import save_trace
from strategies.ops import exit_, fork, mmap, write
from strategies.trace import Trace
from tests.browser import press
from tests.campaign.show_pages import (  # noqa: F401 - fixtures
    DOUBLE_REUSE,
    TRACES,
    click,
    fragment,
    ids,
    make_pages,
    open_shown,
    text_of,
)

TEXTS = (
    "--ink",
    "--faint",
    "--bad",
    "--new",
    "--changed",
    "--freed",
    "--other",
    "--link",
    "--good",
)

COLLISIONS = """
  const boxes = [...document.querySelectorAll(".picture text")].map((each) => {
    const box = each.getBoundingClientRect();
    return {text: each.textContent, left: box.left + 1, right: box.right - 1,
            top: box.top + 2.5, bottom: box.bottom - 2.5};
  }).filter((box) => box.text && box.bottom > box.top);
  const within = (a, b, from, to) => a[from] < b[to] && b[from] < a[to];
  const meet = (a, b) => within(a, b, "left", "right") && within(a, b, "top", "bottom");
  return boxes.flatMap((a, at) => boxes.slice(at + 1).filter((b) => meet(a, b))
    .map((b) => `${a.text} | ${b.text}`));
"""


def open_page_without_script(browser, path):
    """Open a page where ``open_page`` cannot ask the browser anything."""
    browser.get(path.as_uri())


def contrast(one, other):
    """The contrast of two colours, as WCAG 2 defines it."""

    def luminance(colour):
        digits = colour.strip().lstrip("#")
        parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


class TestReading:
    """For whoever reads it."""

    def test_chinese(self, shown):
        """All of the interface is in Chinese for who reads Chinese; the kernel's words are not."""
        browser = shown(DOUBLE_REUSE, language="zh-CN")
        assert browser.find_element("id", "play").text == "播放"
        assert "违反" in browser.find_element("css selector", ".law").text
        assert "refcount 3" in text_of(browser, "anon_vma#3")
        click(browser, "page#4")
        assert "反向映射" in browser.find_element("id", "details").text

    def test_the_language_is_switched(self, shown):
        """The buttons change every word of the page and keep the step."""
        browser = shown(DOUBLE_REUSE, fragment="#step=3")
        browser.find_element("css selector", '[data-language="zh"]').click()
        assert browser.find_element("css selector", ".fine").text == "✓ 此处所有规则都成立。"
        assert fragment(browser) == {"step": "3", "lang": "zh"}
        browser.find_element("css selector", '[data-language="en"]').click()
        assert browser.find_element("css selector", ".fine").text == "✓ Every law holds here."

    def test_dark_and_light(self, shown):
        """The colours are the system's, until the reader says otherwise."""
        browser = shown(DOUBLE_REUSE, dark=True)
        body = browser.find_element("tag name", "body")
        grounds = [body.value_of_css_property("background-color")]
        for theme in (2, 1, 0):
            browser.find_elements("css selector", "#theme option")[theme].click()
            grounds.append(body.value_of_css_property("background-color"))
        dark, light = "rgba(13, 17, 23, 1)", "rgba(255, 255, 255, 1)"
        assert grounds == [dark, dark, light, dark]

    @pytest.mark.parametrize("dark", [False, True])
    def test_texts_can_be_told_from_their_ground(self, shown, dark):
        """Every colour of a text has a contrast of 4.5 to 1 to what it stands on."""
        browser = shown(DOUBLE_REUSE, dark=dark)
        colours = browser.execute_script(
            """
            const style = getComputedStyle(document.documentElement);
            const pair = (name) => [name, style.getPropertyValue(name)];
            return Object.fromEntries(arguments[0].map(pair));
            """,
            ["--ground", "--panel", "--box", "--lane", "--bad-ground", *TEXTS],
        )
        for ground in ("--ground", "--panel", "--box", "--lane"):
            for text in TEXTS:
                assert contrast(colours[ground], colours[text]) >= 4.5, (ground, text)
        assert contrast(colours["--bad-ground"], colours["--bad"]) >= 4.5

    def test_everything_that_can_be_pressed_has_a_name(self, shown):
        """Each button, field and object has words for who does not see it."""
        browser = shown(DOUBLE_REUSE, "v5.18", "v6.1")
        script = """
          const what = "button, select, input, [role=button], [role=region]";
          const all = document.querySelectorAll(what);
          const name = (each) => each.getAttribute("aria-label") || each.textContent.trim()
            || (each.labels && each.labels.length && each.labels[0].textContent.trim());
          return [...all].filter((each) => !name(each)).map((each) => each.outerHTML);
        """
        assert browser.execute_script(script) == []

    @pytest.mark.parametrize(
        "name",
        [
            "double-reuse",
            "merge-without-links",
            "pinned-page-shared-through-swap",
            "root-freed-before-a-held-child",
            "wiped-mapping-is-prepared",
            "failed-fork-leaves-links",
        ],
    )
    def test_no_text_runs_into_another(self, shown, name):
        """In no step of a trace do two texts of the picture share any room."""
        browser = shown(TRACES / f"{name}.json", fragment="#step=start")
        for _ in range(8):
            assert browser.execute_script(COLLISIONS) == []
            press(browser, Keys.ARROW_RIGHT)

    def test_long_numbers_keep_to_their_places(self, shown, tmp_path):
        """Nor do they where a long history has made the numbers of objects long."""
        ops = [mmap("p0", page, 1, "rw-") for page in range(0, 12, 2)]
        ops += [write("p0", page) for page in range(0, 12, 2)]
        for child in range(420):
            ops += [fork("p0", f"c{child}"), exit_(f"c{child}")]
        ops += [fork("p0", "p1"), write("p0", 0), write("p1", 2)]
        trace = save_trace(tmp_path, Trace("v6.12", tuple(ops)))
        browser = shown(trace, width=3000, height=2000)
        made = ids(browser, ".picture .page.is-new")
        assert made
        assert min(int(each.removeprefix("page#")) for each in made) > 9_999
        assert browser.execute_script(COLLISIONS) == []

    def test_a_window_of_usual_size_is_enough(self, shown):
        """At 1280 by 800 the CVE's picture and finding are seen without scrolling."""
        browser = shown(DOUBLE_REUSE, width=1280, height=800)
        script = """
          const canvas = document.querySelector(".canvas"), page = document.documentElement;
          return [canvas.scrollHeight - canvas.clientHeight,
                  canvas.scrollWidth - canvas.clientWidth,
                  page.scrollHeight - page.clientHeight];
        """
        assert max(browser.execute_script(script)) <= 1
        size = "return parseFloat(document.querySelector('.canvas svg').style.width)"
        width = browser.execute_script(
            "return document.querySelector('.canvas svg').viewBox.baseVal.width"
        )
        assert browser.execute_script(size) / width >= 0.8

    def test_on_paper_controls_are_gone(self, shown):
        """Printed are the step and the list, on white, and nothing that could be pressed only."""
        browser = shown(DOUBLE_REUSE, dark=True)
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
        assert not browser.find_element("css selector", ".bar").is_displayed()
        assert browser.find_element("css selector", ".canvas svg").is_displayed()
        assert browser.find_element("id", "steps").is_displayed()
        ground = browser.find_element("tag name", "body").value_of_css_property("background-color")
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "screen"})
        assert ground == "rgba(255, 255, 255, 1)"

    def test_without_javascript_it_is_text(self, browser, made):
        """Steps and finding can be read where no script runs."""
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
        try:
            open_page_without_script(browser, made(DOUBLE_REUSE))
            text = browser.find_element("tag name", "body").text
        finally:
            browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
        assert "ops[6] p4 = fork(p3)" in text
        assert "fork gave anon_vma#12 to vma#18 (p4)" in text
