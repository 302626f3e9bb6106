# SPDX-License-Identifier: GPL-2.0-only
"""``anonvma show``: what it writes, where, and what it refuses."""

import json
import os
import re
from pathlib import Path

import pytest

from campaign import cli
from campaign.show_histories import AFTER, histories, teller_of
from campaign.subject_names import kernel_named
from strategies.ops import exit_, fork, mmap, write
from strategies.trace import Trace, load

TRACES = Path("tests/traces")
DOUBLE_REUSE = str(TRACES / "double-reuse.json")


def show(capsys, *argv):
    """The exit code, the output and the complaints of a command line."""
    code = cli.main(["show", *argv])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def data_of(path):
    """What the page was made from."""
    text = Path(path).read_text(encoding="utf-8")
    return json.loads(re.search(r'id="page-data">(.*?)</script>', text)[1])


def save(path, ops, kernel="v6.12"):
    """Write a trace; return its name."""
    path.write_text(Trace(kernel=kernel, ops=tuple(ops)).to_json_text())
    return str(path)


def test_the_page_is_named_after_the_trace(capsys, tmp_path, monkeypatch, root):
    """Without -o, the page is in the current directory; what is said names it and the outcome."""
    monkeypatch.chdir(tmp_path)
    code, out, err = show(capsys, str(root / DOUBLE_REUSE))
    assert (code, err) == (0, "")
    assert re.fullmatch(r"double-reuse\.html: \d+ kB, v5\.18 finding at ops\[6\]\n", out)
    assert data_of("double-reuse.html")["worlds"][0]["finding"] == 6


def test_the_page_is_written_where_one_wants(capsys, tmp_path):
    """-o names the file; several subjects are in it, with the first difference."""
    path = tmp_path / "a b.html"
    code, out, _ = show(capsys, DOUBLE_REUSE, "-o", str(path), "--on", "v5.18", "--on", "v6.1")
    assert code == 0
    assert out.endswith("v5.18 finding at ops[6]; v6.1 clean\n")
    one, other = data_of(path)["worlds"]
    assert (one["name"], one["difference"]) == ("v5.18", None)
    assert (other["name"], other["difference"], other["finding"]) == ("v6.1", 6, None)


@pytest.mark.parametrize("trace", sorted(TRACES.glob("*.json")), ids=lambda path: path.stem)
def test_every_committed_trace_is_a_small_page(capsys, tmp_path, trace):
    """A page of a shortened trace is smaller than 200 kB, and shows its recorded finding."""
    path = tmp_path / "page.html"
    code, out, err = show(capsys, str(trace), "-o", str(path))
    assert (code, err) == (0, "")
    assert path.stat().st_size < 200_000
    recorded = load(trace).finding
    assert (f"finding at ops[{recorded.step}]" if recorded else " clean") in out


def test_fifty_steps_are_less_than_half_a_megabyte(capsys, tmp_path):
    """A page of fifty steps of six processes is as small as promised."""
    ops = [mmap("p0", 0, 4), *(write("p0", page) for page in range(4))]
    for each in range(15):
        ops += [fork("p0", f"p{each + 1}"), write(f"p{each + 1}", each % 4)]
        ops += [exit_(f"p{each - 3}")] if each > 3 else []
    path = tmp_path / "page.html"
    show(capsys, save(tmp_path / "t.json", ops[:50]), "-o", str(path))
    assert path.stat().st_size < 500_000


def test_the_same_page_is_made_again(capsys, tmp_path):
    """Nothing in a page depends on when or where it was made."""
    for name in ("one", "two"):
        show(capsys, DOUBLE_REUSE, "-o", str(tmp_path / name))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_strict_counts_what_comments_say(capsys, tmp_path):
    """A documented law is a remark, unless all are to count."""
    trace = json.loads((TRACES / "v7.0-reversed-chain.json").read_text())
    trace["finding"] = None
    path, page = tmp_path / "t.json", tmp_path / "page.html"
    path.write_text(json.dumps(trace))
    assert " clean" in show(capsys, str(path), "-o", str(page))[1]
    (remark,) = data_of(page)["worlds"][0]["frames"][-1]["broken"]
    assert (remark["law"], remark["is_remark"]) == ("chain-order", True)
    assert "finding at ops[3]" in show(capsys, str(path), "-o", str(page), "--strict")[1]


class TestRefused:
    """What is refused: one line, and nothing is written."""

    @pytest.mark.parametrize(
        ("argv", "code", "said"),
        [
            (["no-such.json"], 2, "no-such.json"),
            (["README.md"], 2, "README.md"),
            ([DOUBLE_REUSE, "--on", "v9.9"], 2, "unknown kernel 'v9.9'"),
            ([DOUBLE_REUSE, "--on", "v6.1", "--on", "v6.1"], 2, "--on v6.1 was given twice"),
            ([DOUBLE_REUSE, *["--on", "v6.1"] * 7], 2, "at most 6 subjects"),
            ([DOUBLE_REUSE, "--on", "tree:/no/such/tree"], 2, "/no/such/tree"),
            ([DOUBLE_REUSE, "--on", "host"], 3, "host cannot run here"),
            ([str(TRACES / "stale-pointer-after-dontunmap.json"), "--on", "v5.5"], 3, "v5.7"),
            ([str(TRACES / "tree" / "cve-2022-42703.json")], 3, "--on tree:PATH"),
            ([DOUBLE_REUSE, "-o", "/proc/no/such.html"], 2, "cannot be written"),
            ([DOUBLE_REUSE, "-o", "/dev/full"], 2, "not a regular file"),
            ([DOUBLE_REUSE, "-o", "tests"], 2, "cannot be written"),
            ([DOUBLE_REUSE, "-o", ""], 2, "cannot be written"),
            ([], 2, "TRACE"),
        ],
    )
    def test_in_one_line(self, capsys, tmp_path, argv, code, said):
        """The complaint is one line that says what is wrong."""
        output = [] if "-o" in argv or not argv else ["-o", str(tmp_path / "page.html")]
        done, out, err = show(capsys, *argv, *output)
        assert done == code
        assert said in err
        assert err.count("\n") == 1
        assert out == ""
        assert not (tmp_path / "page.html").exists()

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
    def test_a_directory_that_cannot_be_written(self, capsys, tmp_path):
        """A directory without permission is named."""
        tmp_path.chmod(0o500)
        code, _, err = show(capsys, DOUBLE_REUSE, "-o", str(tmp_path / "page.html"))
        assert (code, err.count("\n")) == (2, 1)


class TestLong:
    """Which steps of a long trace are kept."""

    def long(self, count, *end):
        """A trace of so many writes between a beginning and an end."""
        first = [mmap("p0", 0), write("p0", 0)]
        return Trace(kernel="v5.18", ops=(*first, *[write("p0", 0)] * (count - 2), *end))

    def kept(self, trace, *names, most):
        """First and last step, finding and first difference on each kernel."""
        tellers = [
            teller_of(kernel_named(name), trace, strict=False, is_alone=len(names) == 1)
            for name in names
        ]
        return [
            (each.frames[0].step, each.frames[-1].step, each.finding, each.difference)
            for each in histories(trace, tellers, most)
        ]

    bug = load(DOUBLE_REUSE).ops[2:]

    def test_a_short_one_is_kept_whole(self):
        """Up to the limit, all steps and the state before them are kept."""
        assert self.kept(self.long(20), "v5.18", most=20) == [(-1, 19, None, None)]

    def test_of_a_clean_one_the_last_are_kept(self):
        """Where nothing is found, the end is shown."""
        assert self.kept(self.long(50), "v5.18", most=20) == [(30, 49, None, None)]

    def test_those_before_the_finding_are_kept(self):
        """Where something is found, what led there is shown."""
        trace = self.long(50, *self.bug, *[write("p0", 0)] * 50)
        ((first, last, finding, _),) = self.kept(trace, "v5.18", most=100)
        assert (last, finding) == (54, 54)
        assert first == 54 + 1 + AFTER - 100

    def test_those_around_the_difference_are_kept(self):
        """Where kernels only differ, what led there and what follows is shown."""
        one, other = self.kept(
            self.long(50, *self.bug, *[write("p0", 0)] * 150), "v6.1", "v6.12", most=40
        )
        assert one == other == (165, 204, None, None)
        differing = self.long(50, fork("p0", "p1"), *[write("p0", 0)] * 150)
        one, other = self.kept(differing, "v5.18", "textbook", most=60)
        assert other[3] is not None
        assert one[0] <= other[3] <= one[1]

    def test_what_is_kept_is_what_a_full_run_shows(self):
        """A frame of a long trace is the frame of the same step told in full."""
        trace = self.long(30, *self.bug)
        teller = teller_of(kernel_named("v5.18"), trace, strict=False, is_alone=True)
        (whole,) = histories(trace, [teller], 100)
        (cut,) = histories(trace, [teller], 20)
        assert cut.frames
        for frame in cut.frames:
            full = whole.frames[frame.step + 1]
            assert list(frame.scene) == list(full.scene)
            assert frame.calls == full.calls
            assert frame.changes == full.changes
            assert frame.broken == full.broken
