# SPDX-License-Identifier: GPL-2.0-only
"""``anonvma explore`` as its users see it, and searches that are gone on with."""

import json
import re
from pathlib import Path

import attrs
import pytest

from campaign import checkpoint, cli
from campaign.explorer import Explorer, Limits
from campaign.scope import Scope
from campaign.store import StoreError
from campaign.subject_names import kernel_named
from strategies.ops import OpKind, mmap
from strategies.trace import load

FIVE = ("--procs", "5", "--maps", "1", "--pages", "1", "--ops", "fork,exit,touch")


@pytest.fixture
def explore(capsys, monkeypatch, tmp_path):
    """Run the command in a directory of its own; return exit code, output, errors."""
    monkeypatch.chdir(tmp_path)

    def run(*args: str) -> tuple[int, str, str]:
        code = cli.main(["explore", *args])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_the_double_reuse_comes_with_a_trace(explore):
    """v5.18 has a history of seven operations, saved and explained, and exit code 1."""
    code, out, err = explore("v5.18", *FIVE)
    assert (code, err) == (1, "")
    assert "finding   reuse-free/in-use/fork: 7 operations; none in the scope is shorter" in out
    assert "CVE-2022-42703" in out
    file = re.search(r"saved: (\S+)", out)[1]
    trace = load(file)
    assert (trace.kernel, len(trace.ops)) == ("v5.18", 7)
    assert "no shorter history" in trace.note


def test_a_closed_scope_says_how_many_states_it_has(explore):
    """v6.12 closes the same scope clean: states by depth, and exit code 0."""
    code, out, _ = explore("v6.12", *FIVE)
    assert code == 0
    assert "result    scope closed: in all 11,466 states every law holds" in out
    assert "depths    1 4 5 17 39 142 466 1415 2999 4000 2291 87 0" in out
    assert list(Path().iterdir()) == []


def test_json_is_one_object_per_line(explore):
    """With --json there are events: started, progress by depth, finished with the counts."""
    code, out, _ = explore("v6.12", "--procs", "3", "--json")
    events = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [events[0]["event"], events[-1]["event"]] == [
        "exploration-started",
        "exploration-finished",
    ]
    depths = events[-1]["depths"]
    complete = [e["new"] for e in events if e["event"] == "exploration-progress" and e["complete"]]
    assert [1, *complete] == depths
    assert events[-1]["states"] == sum(depths)


def test_a_defect_is_looked_for_where_the_catalogue_says(explore):
    """With --defect and no kernel, the search is on the defect's own."""
    code, out, _ = explore("--defect", "B06", "--procs", "2", "--fail", "1")
    assert code == 1
    assert out.startswith("explore   v6.12+B06: ")


def test_a_stopped_search_is_gone_on_with(explore):
    """A search stopped by --states and resumed ends as one that was never stopped."""
    code, out, _ = explore("v6.12", *FIVE, "--states", "3000")
    assert code == 0
    assert "stopped by its limit of states" in out
    file = re.search(r"anonvma explore --resume (\S+)", out)[1]
    code, out, _ = explore("--resume", file)
    assert code == 0
    assert "depths    1 4 5 17 39 142 466 1415 2999 4000 2291 87 0" in out


def test_a_finding_after_resuming_is_the_same(tmp_path):
    """A search that was saved half-way finds what it would have found, by the same history."""
    kinds = (OpKind.MMAP, OpKind.TOUCH, OpKind.FORK, OpKind.EXIT, OpKind.GET, OpKind.PUT)
    scope = Scope(processes=3, live=3, kinds=kinds, failures=1)
    straight = Explorer(kernel_named("v6.12+B06"), scope, keep_going=True).run(Limits(depth=5))
    stopped = Explorer(kernel_named("v6.12+B06"), scope, keep_going=True)
    stopped.run(Limits(states=60))
    checkpoint.save(tmp_path / "half.search", stopped)
    resumed = checkpoint.load(tmp_path / "half.search").run(Limits(depth=5))
    assert attrs.evolve(resumed, seconds=0.0) == attrs.evolve(straight, seconds=0.0)


class TestDamage:
    """A file that is no good is refused in one line, and stays."""

    @pytest.fixture
    def saved(self, tmp_path) -> Path:
        """A search that was stopped."""
        explorer = Explorer(kernel_named("v6.12"), Scope(live=3, start=(mmap("p0", 0),)))
        explorer.run(Limits(depth=2))
        path = tmp_path / "a.search"
        checkpoint.save(path, explorer)
        return path

    @pytest.mark.parametrize("at", [100, -40, -1])
    def test_a_changed_byte(self, explore, saved, at):
        """One changed byte anywhere is told by the checksum."""
        content = bytearray(saved.read_bytes())
        content[at] ^= 1
        saved.write_bytes(content)
        code, out, err = explore("--resume", str(saved))
        assert (code, out) == (2, "")
        assert "is damaged: its checksum is wrong; begin the search anew" in err
        assert saved.read_bytes() == content

    def test_a_file_cut_short(self, explore, saved):
        """Half a file is damaged, too."""
        saved.write_bytes(saved.read_bytes()[:-100])
        assert "is damaged" in explore("--resume", str(saved))[2]

    def test_another_file(self, explore, tmp_path):
        """A file of another kind is said to be none."""
        (tmp_path / "x").write_text("{}\n")
        code, _, err = explore("--resume", "x")
        assert code == 2
        assert err == "anonvma: --resume x: is no search that was saved (anonvma-search/1)\n"

    def test_no_file(self, explore):
        """A missing file is said to be missing."""
        assert explore("--resume", "none")[2] == (
            "anonvma: --resume none: cannot be read: No such file or directory\n"
        )

    def test_other_code(self, explore, saved, monkeypatch):
        """A search of another version of the model is not gone on with."""
        monkeypatch.setattr(checkpoint, "source_digest", lambda: "other")
        code, _, err = explore("--resume", str(saved))
        assert code == 2
        assert "was written by other code" in err

    def test_the_old_file_is_kept_when_the_new_one_cannot_be_written(
        self, explore, saved, monkeypatch
    ):
        """Where a search cannot be saved again, what was saved before is still there."""
        before = saved.read_bytes()
        monkeypatch.setattr(checkpoint, "write_bytes_atomic", _full_disk)
        code, _, err = explore("--resume", str(saved), "--depth", "3")
        assert code == 2
        assert "No space left" in err
        assert saved.read_bytes() == before


def _full_disk(path: Path, _content: bytes) -> None:
    msg = f"{path} cannot be written: No space left on device"
    raise StoreError(msg)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--procs", "0"], "--procs 0: give a whole number from 1 to 16"),
        (["--procs", "x"], "--procs x: give a whole number from 1 to 16"),
        (["--live", "17"], "from 1 to 16"),
        (["--procs", "2", "--live", "3"], "--live 3: there are no more than 2 processes"),
        (["--maps", "9", "--pages", "2"], "that takes 26 of 16 pages"),
        (["--ops", "fork,steal"], "--ops steal: no such operation (known: mmap, touch"),
        (["--fail", "9"], "--fail 9: give a whole number from 0 to 4"),
        (["--depth", "-1"], "--depth -1: give a whole number from 0 to 1000"),
        (["v9.9"], "unknown kernel 'v9.9'"),
        (["--out", "/dev/null"], "--out /dev/null: is there and is no directory"),
        (["--resume", "x", "--procs", "3"], "leave out --procs"),
        (["--for", "soon"], "--for soon: give a time"),
    ],
)
def test_bad_arguments(explore, args, said):
    """Bad arguments are one line that says what is wrong, and exit code 2."""
    code, out, err = explore(*args)
    assert (code, out) == (2, "")
    assert err.startswith("anonvma: ")
    assert err.count("\n") == 1
    assert said in err


def test_a_scope_that_cannot_fit_is_refused_before_it_begins(explore):
    """A scope with more states than there is memory for is refused, with how many there are."""
    code, _, err = explore(
        "--live", "6", "--maps", "12", "--arena", "12", "--ops", "mmap,munmap,mprotect,fork"
    )
    assert code == 2
    assert "this scope has at least" in err
    assert "give --depth, --states or --for, or a smaller scope" in err
