# SPDX-License-Identifier: GPL-2.0-only
import re
import subprocess
import sys
from html import unescape
from html.parser import HTMLParser

import attrs
import pytest

from campaign.cli import build_parser
from campaign.errors import BAD_INPUT, CLEAN, FAULT, FOUND, INTERRUPTED, NOTHING_PROVED
from docs.site import commands
from docs.site.markdown import plain
from docs.site.parts import PARTS
from docs.site.stepthrough import told
from invariants import LAWS
from invariants.goals import GOALS
from model.defects import DEFECTS
from model.kernels import KERNELS, NEWEST
from strategies.ops import FIELDS, OpKind
from strategies.trace import load


@attrs.define
class Page(HTMLParser):
    """A page of the site: its ids, its links, what it loads, its text."""

    text: str
    ids: list = attrs.field(factory=list)
    links: list = attrs.field(factory=list)
    loaded: list = attrs.field(factory=list)
    said: str = ""

    def __attrs_post_init__(self):
        """Read it."""
        super().__init__()
        self.feed(self.text)

    def handle_starttag(self, tag, attributes):
        """Note what an element has."""
        values = dict(attributes)
        self.ids += [values["id"]] if "id" in values else []
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        elif tag in {"script", "img", "iframe", "link", "source"}:
            self.loaded += [values[name] for name in ("src", "href") if name in values]

    def handle_data(self, data):
        """Note the text."""
        self.said += data


def build(source, output, *options):
    """Build a site as ``make docs`` does; return the finished process."""
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-n", "-W", "--keep-going", "-q"]
    doctrees = output.with_name(f"{output.name}-doctrees")
    return subprocess.run(
        [*command, "-d", doctrees, *options, source, output],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="session")
def site(root, tmp_path_factory):
    """The folder with the built site."""
    output = tmp_path_factory.mktemp("docs") / "site"
    built = build(root / "docs", output)
    assert (built.returncode, built.stderr) == (0, "")
    return output


def page(site, name):
    """A page of the site."""
    return Page((site / f"{name}.html").read_text("utf-8"))


def test_the_site_is_built_without_a_warning(site):
    """Every page of docs/ becomes one, and the index leads to them."""
    links = page(site, "index").links
    for name in ("first-finding", "guarding", "reference/laws", "how-fork-shares-memory.zh"):
        assert f"{name}.html" in links


def test_nothing_is_loaded_from_elsewhere(site):
    """No page needs the network: scripts, style sheets, pictures and frames are its own."""
    for path in site.rglob("*.html"):
        assert [each for each in Page(path.read_text("utf-8")).loaded if "//" in each] == [], path
    for path in site.rglob("*.css"):
        found = re.findall(r"url\([\"']?(?:https?:)?//|@import", path.read_text("utf-8"))
        assert found == [], path


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("laws", [law.id for law in LAWS]),
        ("defects", [defect.lower() for defect in DEFECTS]),
        ("kernels", [*KERNELS, *NEWEST.traits()]),
        ("operations", list(OpKind)),
    ],
)
def test_a_reference_page_has_a_section_for_each(site, name, ids):
    """Whatever the code has of a kind has a section, and so an address, of its own."""
    # Docutils makes an address of a name by putting a hyphen for what is neither letter nor digit.
    wanted = {re.sub(r"[^a-z0-9]+", "-", each.lower()).strip("-") for each in ids}
    assert (
        wanted - {re.sub(r"[^a-z0-9]+", "-", each) for each in page(site, f"reference/{name}").ids}
        == set()
    )


def test_laws_and_goals_are_stated_and_defects_name_what_they_break(site):
    """The statement of each law and goal is there word for word, and each defect by its laws."""
    said = " ".join(page(site, "reference/laws").said.split())
    assert [law.id for law in LAWS if " ".join(law.statement.split()) not in said] == []
    said = " ".join(page(site, "reference/goals").said.split())
    assert [goal.id for goal in GOALS if " ".join(goal.statement.split()) not in said] == []
    links = page(site, "reference/defects").links
    for defect in DEFECTS.values():
        assert {f"laws.html#{law}" for law in defect.laws} <= set(links), defect.id


def test_every_option_of_every_command_is_shown(site, capsys):
    """The page of commands has each option that a command's help has, at an address of its own."""
    shown = page(site, "reference/commands")
    names = re.findall(r"^    (\w+) ", build_parser().format_help(), re.MULTILINE)
    assert len(names) > 12
    for name in names:
        assert f"anonvma {name}" in shown.said
        with pytest.raises(SystemExit):
            build_parser().parse_args([name, "--help"])
        options = re.findall(r"^  (?:-\w, )?(--?[\w-]+)", capsys.readouterr().out, re.MULTILINE)
        assert options
        missing = [each for each in options if f"anonvma-{name}-{each}" not in shown.ids]
        assert missing == [], name


def test_every_exit_code_has_a_meaning():
    """The codes that the page lists are those of the contract."""
    assert list(commands.codes()) == [CLEAN, FOUND, BAD_INPUT, NOTHING_PROVED, FAULT, INTERRUPTED]


def test_the_trace_page_has_every_field(site):
    """Each field of each kind of operation is on the page of the format, the schema beside it."""
    said = page(site, "reference/trace").said
    assert {name for fields in FIELDS.values() for name in fields if name not in said} == set()
    assert (site / "trace.schema.json").exists()


def headings(root, name):
    """How many headings of which level a page has, and its histories in order."""
    text = (root / "docs" / f"{name}.md").read_text("utf-8")
    levels = [len(each) for each in re.findall(r"^(#+) ", text, re.MULTILINE)]
    return levels, re.findall(r"^```\{stepthrough\} (\S+)", text, re.MULTILINE)


def test_both_languages_tell_the_same(root, site):
    """The explanation in Chinese has the sections and histories of the one in English."""
    one, other = "how-fork-shares-memory", "how-fork-shares-memory.zh"
    assert headings(root, one) == headings(root, other)
    assert f"{other}.html" in page(site, one).links
    assert f"{one}.html" in page(site, other).links
    assert 'lang="zh-CN"' in page(site, other).text


def test_every_history_is_told_on_both_pages(root, site):
    """What each operation of an embedded trace changes stands in the page."""
    _, traces = headings(root, "how-fork-shares-memory")
    assert len(traces) == 9
    for name in ("how-fork-shares-memory", "how-fork-shares-memory.zh"):
        said = unescape(page(site, name).said)
        for trace in traces:
            assert "\n".join(told(load(root / "docs" / trace))) in said, trace


def test_every_trace_of_the_documentation_is_shown(root):
    """docs/traces has no trace that no page shows."""
    _, traces = headings(root, "how-fork-shares-memory")
    there = {f"traces/{path.name}" for path in (root / "docs/traces").glob("*.json")}
    assert there == {each for each in traces if each.startswith("traces/")}


@pytest.mark.parametrize(
    ("trace", "line"),
    [
        ("first-fork", "page#9  mapping av1, index 0, content 2, exclusive, mapped p1:0(rw)"),
        (
            "grandchild",
            "page#5  mapping av0, mapcount 3→2, refcount 3→2, mapped p1:1(r) p2:1(r) -p0",
        ),
        ("last-user", "page#4  mapping av0→av1, content 1→2, exclusive"),
        ("root", "num_active_vmas 1→0, tree p1[0,1) p2[0,1) -p0[0,1)"),
        ("reuse", "p3[0,1) rw-, anon_vma av1, chain av2 av1 av0"),
        ("split-and-merge", "p1[1,3) rw-, anon_vma av1, chain av1 av0"),
        ("merge-refused", "p0[0,1)→p0[0,2) rw-, anon_vma av0, chain av0"),
    ],
)
def test_a_trace_shows_what_the_explanation_says_of_it(root, trace, line):
    """The model still does what the text beside a trace tells, and breaks no law."""
    lines = list(told(load(root / f"docs/traces/{trace}.json")))
    assert any(line in each for each in lines)
    assert lines[-1].startswith(" ")


def small(folder, text):
    """A documentation of one page with our extension."""
    folder.mkdir()
    (folder / "conf.py").write_text('extensions = ["myst_parser", "docs.site.extension"]\n')
    (folder / "index.md").write_text(f"# Title\n\n{text}\n")
    return folder


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("<!-- generated: nothing -->", "nothing is generated as nothing; there is"),
        ("```{stepthrough} gone.json\n```", "no such file; check the path"),
        ("```{stepthrough} conf.py\n```", "is not JSON at line 1"),
        ("```{stepthrough} gone.json\n:lang: de\n```", '"de" unknown'),
    ],
)
def test_a_mistake_in_a_page_stops_the_build(root, tmp_path, text, complaint):
    """A part or a trace that is not there, or no trace, is an error that names it."""
    built = build(small(tmp_path / "source", text), tmp_path / "out")
    assert built.returncode != 0
    assert complaint in " ".join((built.stdout + built.stderr).split())


def test_text_of_the_code_is_not_taken_for_markdown():
    """What would be emphasis, a link or HTML in Markdown is text where it comes from the code."""
    assert plain("__a*b*[c](d)<e>|`f`") == r"\_\_a\*b\*\[c\](d)\<e\>|\`f\`"


def test_every_part_is_on_a_page(root):
    """Nothing is generated that no page shows."""
    text = "".join(path.read_text("utf-8") for path in (root / "docs").rglob("*.md"))
    assert [name for name in PARTS if f"<!-- generated: {name} -->" not in text] == []


def test_the_style_sheet_is_found(site):
    """The site has our style sheet."""
    assert (site / "_static/anonvma.css").exists()
    assert any("anonvma.css" in each for each in page(site, "index").loaded)
