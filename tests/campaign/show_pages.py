# SPDX-License-Identifier: GPL-2.0-only
"""Pages of traces in a browser, for the tests of what is on them."""

from pathlib import Path

import pytest

from campaign import cli
from tests.browser import complaints, open_page

TRACES = Path("tests/traces")
DOUBLE_REUSE = TRACES / "double-reuse.json"


@pytest.fixture(name="made", scope="module")
def make_pages(tmp_path_factory):
    """What makes a page of a trace, each once."""
    directory, known = tmp_path_factory.mktemp("pages"), {}

    def make(trace, *on):
        key = (str(trace), on)
        if key not in known:
            known[key] = directory / f"{len(known)}.html"
            subjects = [part for name in on for part in ("--on", name)]
            assert cli.main(["show", str(trace), "-o", str(known[key]), *subjects]) == 0
        return known[key]

    return make


@pytest.fixture(name="shown")
def open_shown(browser, made):
    """What opens the page of a trace, and afterwards sees that the browser had no complaint."""

    def show(trace, *on, **options):
        open_page(browser, made(trace, *on), **options)
        return browser

    yield show
    assert not complaints(browser)


def text_of(browser, identifier):
    """The texts of what stands for an object in the first picture, in one line."""
    script = """
      const thing = document.querySelector(`.pane [data-id="${CSS.escape(arguments[0])}"]`);
      return [...thing.querySelectorAll("text")].map((each) => each.textContent).join(" ");
    """
    return browser.execute_script(script, identifier)


def ids(browser, selector):
    """The ids of the objects of a selection."""
    script = "return [...document.querySelectorAll(arguments[0])].map((each) => each.dataset.id)"
    return browser.execute_script(script, selector)


def fragment(browser):
    """The parameters of the address."""
    return browser.execute_script(
        "return Object.fromEntries(new URLSearchParams(location.hash.slice(1)))"
    )


def number(text, field):
    """The number after a field's name, the new one where there are two."""
    value = text.partition(f"{field} ")[2].split()[0]
    return int(value.rpartition("→")[2])


def order(browser, link):
    """The number in a link's circle."""
    script = """
      const link = document.querySelector(`.picture [data-id="${CSS.escape(arguments[0])}"]`);
      return link.querySelector(".order").textContent;
    """
    return browser.execute_script(script, link)


def click(browser, identifier):
    """Click an object of the first picture."""
    script = """
      const thing = document.querySelector(`.pane [data-id="${CSS.escape(arguments[0])}"] text`);
      thing.dispatchEvent(new MouseEvent("click", {bubbles: true}));
    """
    browser.execute_script(script, identifier)


def same_colour(shown, named):
    """Whether rgb(1, 2, 3) is #010203."""
    parts = [int(part) for part in shown[shown.index("(") + 1 : -1].split(",")[:3]]
    return "#" + "".join(f"{part:02x}" for part in parts) == named.strip()


def marks(browser):
    """The VMAs that the picture says a walk visits, in order."""
    script = """
      const made = [...document.querySelectorAll(".walked.found")];
      const order = (each) => parseInt(each.textContent);
      return made.sort((a, b) => order(a) - order(b)).map((each) => each.dataset.walked);
    """
    return browser.execute_script(script)
