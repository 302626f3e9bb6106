# SPDX-License-Identifier: GPL-2.0-only
"""``anonvma export --as dot|svg|json``: one state or all, as pictures and as data."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import attrs
import pytest

from campaign import export_graph
from campaign.cli import main
from campaign.store import save_trace
from campaign.story import story
from campaign.subject_names import kernel_named
from report.scene import AnonVmaView, LinkView, PageView, VmaView
from strategies.ops import fork, get, mmap, mprotect, munmap, pin, read, swap_out, write
from strategies.trace import Trace, load

REUSE = "tests/traces/double-reuse.json"
TRACES = sorted(Path("tests/traces").glob("*.json"))
SVG = "{http://www.w3.org/2000/svg}"
NASTY = '</title><script>alert("1")</script> \\" & \\n <b>'
EVERYTHING = (
    *(mmap("p0", 0, 4), write("p0", 0), write("p0", 1), fork("p0", "p1"), read("p1", 3)),
    *(swap_out("p0", 1), get("p0", 0), pin("p1", 0), mprotect("p1", 2, 1, "r--")),
    *(fork("p1", "p2"), munmap("p2", 0, 4)),
)


def export(capsys, *argv):
    """Exit code, standard output and standard error of an export."""
    code = main(["export", *map(str, argv)])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def exported(capsys, *argv):
    """What an export writes that must succeed."""
    code, text, error = export(capsys, *argv)
    assert (code, error) == (0, "")
    return text


@pytest.fixture
def nasty(tmp_path):
    """A trace whose note is not to be trusted."""
    return save_trace(tmp_path, Trace("v6.12", EVERYTHING, note=NASTY), "nasty")


def final(path):
    """The last frame of a trace on the kernel that it names."""
    trace = load(path)
    law = trace.finding.law if trace.finding else ""
    return list(story(kernel_named(trace.kernel), trace.ops, law=law))[-1].frame


class TestWhichState:
    """The finding's, another one, or all."""

    @pytest.mark.parametrize("form", ["dot", "svg", "json"])
    def test_by_default_that_of_the_finding(self, capsys, tmp_path, form):
        """A trace that goes on after its finding is shown at the finding."""
        trace = load(REUSE)
        longer = attrs.evolve(trace, ops=(*trace.ops, mmap("p0", 9)))
        path = save_trace(tmp_path, longer, "longer")
        text = exported(capsys, path, "--as", form)
        assert "ops[6]" in text or '"step": 6' in text
        assert "ops[7]" not in text

    def test_else_the_last(self, capsys, nasty):
        """A clean trace is shown at its end."""
        (frame,) = json.loads(exported(capsys, nasty, "--as", "json"))["frames"]
        assert frame["step"] == len(EVERYTHING) - 1

    def test_the_one_that_is_asked_for(self, capsys):
        """Any step up to the finding can be shown."""
        (frame,) = json.loads(exported(capsys, REUSE, "--as", "json", "--step", 2))["frames"]
        assert frame["operation"] == "p1 = fork(p0)"

    def test_on_another_kernel(self, capsys):
        """On a release with the fix the state after the last operation is shown."""
        data = json.loads(exported(capsys, REUSE, "--as", "json", "--on", "v6.1"))
        assert (data["kernel"], data["frames"][0]["broken"]) == ("v6.1", [])

    def test_all(self, capsys):
        """With --all every form has the beginning and every operation."""
        frames = json.loads(exported(capsys, REUSE, "--as", "json", "--all"))["frames"]
        assert [frame["step"] for frame in frames] == list(range(-1, 7))
        assert exported(capsys, REUSE, "--as", "dot", "--all").count("digraph ") == 8
        assert exported(capsys, REUSE, "--as", "svg", "--all").count("translate(") == 8


class TestBadInput:
    """One line, exit code 2."""

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            (["--step", "7"], "--step 7: the trace has operations 0 to 6"),
            (["--step", "x"], "--step x: give a whole number"),
            (["--step", "-1"], "--step -1: give a whole number"),
            (["--step", "1", "--all"], "not allowed with"),
        ],
    )
    def test_steps_that_are_not_there(self, capsys, options, said):
        """A step that is no step is refused, with those that are."""
        code, text, error = export(capsys, REUSE, "--as", "svg", *options)
        assert (code, text, len(error.splitlines())) == (2, "", 1)
        assert said in error

    def test_a_step_behind_the_finding(self, capsys, tmp_path):
        """After the law is broken there is nothing to show."""
        trace = load(REUSE)
        longer = attrs.evolve(trace, ops=(*trace.ops, mmap("p0", 9)))
        path = save_trace(tmp_path, longer, "longer")
        code, _, error = export(capsys, path, "--as", "dot", "--step", 7)
        assert (code, error) == (
            2,
            "anonvma: --step 7: the law breaks at ops[6], and nothing follows\n",
        )

    def test_forms_without_states(self, capsys):
        """A C program has no step to choose."""
        code, _, error = export(capsys, REUSE, "--as", "c", "--all")
        assert code == 2
        assert "--step and --all go with --as dot, svg, json, not with c" in error

    def test_a_picture_of_too_many_steps(self, capsys, tmp_path):
        """Thousands of states make no picture; what does is said."""
        path = save_trace(tmp_path, Trace("v6.12", (mmap("p0", 0),) * 300), "long")
        code, text, error = export(capsys, path, "--as", "svg", "--all")
        assert (code, text) == (2, "")
        assert "300 operations; a picture has at most 200; choose one with --step" in error

    def test_never_an_unbounded_file(self, capsys, monkeypatch):
        """What grows past the limit is not written."""
        monkeypatch.setattr(export_graph, "MOST_BYTES", 10_000)
        code, text, error = export(capsys, REUSE, "--as", "json", "--all")
        assert (code, text) == (2, "")
        assert "choose one step" in error

    def test_a_release_without_the_operation(self, capsys):
        """A trace that a release cannot run is exit code 3."""
        trace = "tests/traces/stale-pointer-after-dontunmap.json"
        code, _, error = export(capsys, trace, "--as", "svg", "--on", "v4.0")
        assert code == 3
        assert "MREMAP_DONTUNMAP came with v5.7" in error

    def test_an_empty_trace(self, capsys, tmp_path):
        """Of a trace without operations the beginning is shown, and there is no step."""
        path = save_trace(tmp_path, Trace("v6.12", ()), "empty")
        assert "before the first operation" in exported(capsys, path, "--as", "svg")
        code, _, error = export(capsys, path, "--as", "svg", "--step", 0)
        assert (code, "no operations" in error) == (2, True)


def names_in(value):
    """The names of all fields in a JSON value; not what is by id or by counter."""
    if isinstance(value, list):
        return set().union(*map(names_in, value))
    if not isinstance(value, dict):
        return set()
    by_id = {"changes", "counts", "op"}
    inner = [names_in(each) for name, each in value.items() if name not in by_id]
    return set(value).union(*inner)


class TestJson:
    """anonvma-scene/1: the fields that docs/states.md lists."""

    def test_every_view_with_every_field(self, capsys, nasty):
        """A state has its objects in lists, each with the fields of its view."""
        data = json.loads(exported(capsys, nasty, "--as", "json", "--all"))
        assert data["format"] == "anonvma-scene/1"
        assert data["note"] == load(nasty).note
        scenes = [frame["scene"] for frame in data["frames"]]
        for group, kind in (("vmas", VmaView), ("links", LinkView), ("pages", PageView)):
            some = next(scene[group][0] for scene in scenes if scene[group])
            assert list(some) == [field.name for field in attrs.fields(kind)]
        assert all(any(scene[group] for scene in scenes) for group in scenes[0])

    def test_counts_by_name(self, capsys):
        """The counters of an anon_vma have the names that the release has for them."""
        (frame,) = json.loads(exported(capsys, REUSE, "--as", "json"))["frames"]
        assert frame["scene"]["anon_vmas"][2]["counts"] == {"degree": 2}

    def test_what_broke(self, capsys):
        """The finding is there with its law, objects and known bugs."""
        (frame,) = json.loads(exported(capsys, REUSE, "--as", "json"))["frames"]
        (broken,) = frame["broken"]
        assert (broken["law"], broken["objects"]) == (
            "reuse-free",
            ["anon_vma#12", "vma#18", "vma#9"],
        )
        assert frame["changes"]["vma#18"] == "new"
        assert frame["calls"][0]["name"] == "copy_process"
        assert frame["op"] == {"op": "fork", "process": "p3", "child": "p4"}

    def test_every_field_is_documented(self, capsys, nasty):
        """Whatever the name of a field, the documentation has it."""
        text = Path("docs/states.md").read_text("utf-8")
        data = json.loads(exported(capsys, nasty, "--as", "json", "--all"))
        known = set(re.findall(r"`\"?([a-z_0-9/-]+)\"?`", text))
        assert names_in(data) <= known


class TestSvg:
    """A picture that stands by itself."""

    def parsed(self, capsys, *argv):
        """The root element of an exported picture."""
        return ET.fromstring(exported(capsys, *argv, "--as", "svg"))  # noqa: S314 - our own text

    def texts(self, root):
        """All lines of text in a picture."""
        return [each.text or "" for each in root.iter(f"{SVG}text")]

    @pytest.mark.parametrize("path", TRACES, ids=lambda path: path.stem)
    def test_every_object_is_there(self, capsys, path):
        """Every VMA, anon_vma and page has a box, every link a circle; ghosts too."""
        root = self.parsed(capsys, path)
        shown = "\n".join(self.texts(root))
        frame = final(path)
        views = [*frame.scene.values(), *frame.ghosts.values()]
        for view in views:
            if isinstance(view, VmaView | AnonVmaView | PageView):
                assert re.search(rf"{view.id}\b", shown), view.id
        links = [view for view in frame.scene.values() if isinstance(view, LinkView)]
        chained = {link for view in views if isinstance(view, VmaView) for link in view.chain}
        assert len(list(root.iter(f"{SVG}circle"))) >= len({link.id for link in links} & chained)
        for broken in frame.broken:
            if not broken.is_remark:
                assert f"! {broken.law}: {broken.message}" in shown

    def test_boxes_lie_within_the_picture_and_apart(self, capsys, nasty):
        """No box leaves the picture, and no two boxes of objects overlap."""
        root = self.parsed(capsys, nasty)
        width, height = float(root.get("width")), float(root.get("height"))
        boxes = [
            tuple(float(rect.get(side)) for side in ("x", "y", "width", "height"))
            for rect in root.iter(f"{SVG}rect")
            if (rect.get("class") or "").startswith("box")
        ]
        assert len(boxes) > 6
        for x, y, w, h in boxes:
            assert 0 <= x < x + w <= width
            assert 0 <= y < y + h <= height
        for at, (x, y, w, h) in enumerate(boxes):
            for other_x, other_y, other_w, other_h in boxes[:at]:
                apart = x + w <= other_x or other_x + other_w <= x
                assert apart or y + h <= other_y or other_y + other_h <= y

    def test_it_needs_nothing_else(self, capsys, nasty):
        """No script, no link, nothing that is loaded from elsewhere."""
        text = exported(capsys, nasty, "--as", "svg", "--all")
        rest = text.replace('xmlns="http://www.w3.org/2000/svg"', "")
        for needle in ("http", "href", "url(", "<script", "@import", "<image"):
            assert needle not in rest

    def test_text_of_a_trace_is_text(self, capsys, nasty):
        """A note with markup is shown as it is."""
        root = self.parsed(capsys, nasty)
        assert load(nasty).note in (root.findtext(f"{SVG}title") or "")
        assert not list(root.iter(f"{SVG}script"))

    def test_it_says_what_it_is(self, capsys):
        """For those who do not see it, it has a title, a description and a role."""
        root = self.parsed(capsys, REUSE)
        assert root.get("role") == "img"
        named = (root.get("aria-labelledby") or "").split()
        by_id = {each.get("id"): each.text for each in root if each.get("id")}
        assert "CVE-2022-42703" in by_id[named[0]]
        assert "reuse-free: fork gave anon_vma#12" in by_id[named[1]]

    def test_light_and_dark(self, capsys):
        """Colours follow what the reader prefers, and a sign says the same."""
        text = exported(capsys, REUSE, "--as", "svg")
        assert "prefers-color-scheme: dark" in text
        assert "! + vma#18" in text


def unquoted(text):
    """The value of a string of Graphviz."""
    return re.sub(r"\\(.)", r"\1", text[1:-1])


class TestDot:
    """Graphs that Graphviz takes."""

    @pytest.mark.parametrize("path", TRACES, ids=lambda path: path.stem)
    def test_every_object_is_a_node(self, capsys, path):
        """Every object has a node with its id, and every line leads from node to node."""
        text = exported(capsys, path, "--as", "dot")
        string = r'"(?:[^"\\]|\\.)*"'
        nodes = {unquoted(n) for n in re.findall(rf"^ +({string}) \[label", text, re.MULTILINE)}
        edges = re.findall(rf"^ +({string}) -> ({string})", text, re.MULTILINE)
        frame = final(path)
        for view in frame.scene.values():
            if isinstance(view, VmaView | AnonVmaView | PageView | LinkView):
                assert view.id in nodes
        ghosts = {view.id for view in frame.ghosts.values()}
        assert {unquoted(end) for edge in edges for end in edge} - ghosts <= nodes

    def test_a_cluster_for_each_process(self, capsys, nasty):
        """Each process frames its VMAs; one without VMAs is there, too."""
        text = exported(capsys, nasty, "--as", "dot")
        assert re.findall(r'subgraph "(cluster_\w+)"', text) == [
            "cluster_p0",
            "cluster_p1",
            "cluster_p2",
        ]
        assert "no VMA" in text

    def test_a_link_that_only_one_side_knows(self, capsys):
        """Where the link and what it connects disagree the line has one head and is red."""
        trace = "tests/traces/failed-fork-leaves-links.json"
        text = exported(capsys, trace, "--as", "dot")
        line = next(line for line in text.splitlines() if '"vma#5" -> "avc#6"' in line)
        assert "dir=back" in line
        assert "#cf222e" in line

    @pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
    @pytest.mark.parametrize("every", [[], ["--all"]])
    def test_graphviz_draws_it(self, capsys, nasty, every):
        """Graphviz draws it without a word, and text stays text."""
        text = exported(capsys, nasty, "--as", "dot", *every)
        done = subprocess.run(
            ["dot", "-Tsvg"], input=text.encode(), capture_output=True, check=True, timeout=120
        )
        assert done.stderr == b""
        drawn = done.stdout.decode()
        assert "<script" not in drawn
        first = drawn[drawn.index("<svg") : drawn.index("</svg>") + len("</svg>")]
        root = ET.fromstring(first.replace("xlink:", ""))  # noqa: S314 - Graphviz' own text
        shown = [each.text for each in root.iter(f"{SVG}text")]
        assert f"v6.12: {load(nasty).note}" in shown
