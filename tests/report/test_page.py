# SPDX-License-Identifier: GPL-2.0-only
import json
import re

import pytest

from report.page import Words, attributes, document, element, escaped, island
from report.page_text import PAGE_TEXT
from tests.browser import complaints, open_page, press

WORDS = Words(
    {
        "title": ("About {0}", "关于 {0}"),
        "hello": ("Hello, {0} and {1}", "你好，{1} 和 {0}"),
        "map": ("Map", "地图"),
    }
)
NASTY = "</script><script>document.title='broken'</script>\"'&<!--"


def page(tmp_path, body="", **parts):
    """The path of a page about something with a nasty name."""
    path = tmp_path / "page.html"
    path.write_text(document(WORDS, ("title", NASTY), body, **parts), encoding="utf-8")
    return path


def test_text_and_attributes_are_escaped():
    """Whatever is put into an element or an attribute is shown as it is and ends neither."""
    made = element("p", NASTY, title=NASTY, hidden=True, data_none=None)
    assert "<script" not in made
    assert made.count("<") == 2
    assert made.count('"') == 2
    assert " hidden" in made
    assert "data-none" not in made


def test_text_that_is_no_unicode_can_be_written():
    """A file name of bytes that are no UTF-8 becomes an escape and not an error."""
    assert escaped("a\udcffb").encode() == b"a\\udcffb"


def test_attribute_names_come_from_keywords():
    """A trailing underscore avoids Python's words, and others become hyphens."""
    assert attributes(class_="a", aria_label="b") == ' class="a" aria-label="b"'


def test_an_island_cannot_be_left():
    """JSON in a page holds no character that HTML would read, and is the same value again."""
    value = {NASTY: [NASTY, "\u2028"]}
    made = island("data", value)
    text = re.fullmatch(r'<script type="application/json" id="data">(.*)</script>', made)[1]
    assert not set(text) & set("<>&\u2028")
    assert json.loads(text) == value


def test_arguments_are_no_patterns():
    """What is filled into a text is not filled in itself."""
    assert WORDS.english("hello", "{1}", "you") == "Hello, {1} and you"


@pytest.mark.parametrize("key", PAGE_TEXT)
def test_both_languages_have_the_same_blanks(key):
    """A text in one language leaves out nothing that it has in the other."""
    english, chinese = (sorted(re.findall(r"\{\d\}", text)) for text in PAGE_TEXT[key])
    assert english == chinese


def test_nothing_comes_from_outside(tmp_path):
    """A page names no address to load from."""
    text = page(tmp_path).read_text()
    assert not re.search(r"(src|href)=\"(?!#)", text)
    assert not re.search(r"@import|url\(", text)


@pytest.mark.parametrize(
    ("language", "heading"), [("en-US", "About"), ("fr", "About"), ("zh-TW", "关于")]
)
def test_the_language_is_the_readers(browser, tmp_path, language, heading):
    """A page is in Chinese for who reads Chinese, and in English for everybody else."""
    open_page(browser, page(tmp_path), language=language)
    assert browser.find_element("tag name", "h1").text.startswith(heading)
    assert browser.title.startswith(heading)
    assert not complaints(browser)


def test_the_language_is_switched(browser, tmp_path):
    """The buttons change every text, label and title, and tell the page's own script."""
    body = WORDS.said("p", "hello", 1, 2, id="p") + f'<div id="d"{WORDS.label("map")}></div>'
    body += f'<div id="t"{WORDS.title("hello", NASTY, 3)}></div>'
    script = "page.onLanguage((now) => { document.body.dataset.now = now; });"
    open_page(browser, page(tmp_path, body, script=script))
    buttons = browser.find_elements("css selector", "[data-language]")
    for button, said, label, lang in (
        (buttons[1], "你好，2 和 1", "地图", "zh-CN"),
        (buttons[0], "Hello, 1 and 2", "Map", "en"),
    ):
        button.click()
        assert browser.find_element("id", "p").text == said
        assert browser.find_element("id", "d").get_attribute("aria-label") == label
        assert NASTY in browser.find_element("id", "t").get_attribute("title")
        assert browser.find_element("tag name", "html").get_attribute("lang") == lang
        assert browser.find_element("tag name", "body").get_attribute("data-now") == lang[:2]
        assert button.get_attribute("aria-pressed") == "true"


def test_a_script_has_the_data_and_the_words(browser, tmp_path):
    """A page's own script sees the value given to it, and puts texts that stay translated."""
    body = '<p id="p"></p>'
    script = "page.put(document.getElementById('p'), 'hello', page.data.who, page.data.who);"
    open_page(browser, page(tmp_path, body, script=script, data={"who": NASTY}), language="zh-CN")
    assert browser.find_element("id", "p").text == f"你好，{NASTY} 和 {NASTY}"
    assert "broken" not in browser.title[:6]
    assert not complaints(browser)


def test_no_other_script_runs(browser, tmp_path):
    """The browser refuses a script that the page was not made with."""
    body = (
        "<script>document.title = 'broken'</script><img src=x onerror=\"document.title='broken'\">"
    )
    open_page(browser, page(tmp_path, body))
    assert browser.title.startswith("About")
    assert any("Content Security Policy" in each for each in complaints(browser))


def test_the_first_tab_skips_to_the_contents(browser, tmp_path):
    """By keyboard, the first stop is a link to the main part."""
    open_page(browser, page(tmp_path, "text"))
    press(browser, "\ue004")
    assert browser.switch_to.active_element.text == "Skip to the contents"


def test_light_and_dark_differ(browser, tmp_path):
    """The ground is light or dark as the reader's system is."""
    grounds = []
    for dark in (False, True):
        open_page(browser, page(tmp_path), dark=dark)
        body = browser.find_element("tag name", "body")
        grounds.append(body.value_of_css_property("background-color"))
    assert grounds == ["rgba(255, 255, 255, 1)", "rgba(13, 17, 23, 1)"]
