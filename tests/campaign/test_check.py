# SPDX-License-Identifier: GPL-2.0-only
"""The command ``anonvma check``: arguments, reports, annotations, and the whole of it once."""

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from xml.etree import ElementTree as ET

import pytest

from campaign import check_main, cli
from campaign.check import SECTIONS
from campaign.check_reports import reports_of, write_reports
from campaign.check_traces import committed
from campaign.errors import UsageError
from campaign.store import StoreError
from report.check.results import Outcome, Place, Result

BAD = Result(
    section="traces",
    name="a",
    outcome=Outcome.FAILED,
    title="expected this, now that",
    rule="oops",
    place=Place("model/rmap.py", 7),
)


def check_in(directory, root, *args, **environ):
    """Run a check in a process and a directory of its own: exit code, output, errors."""
    env = os.environ | {"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"} | environ
    command = [sys.executable, "-m", "campaign.cli", "check", *map(str, args)]
    done = subprocess.run(
        command, cwd=directory, env=env, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def one_trace(tmp_path, root):
    """A directory with one committed trace and what is expected of it."""
    traces = tmp_path / "traces"
    (traces / "expected").mkdir(parents=True)
    for name in ("double-reuse.json", "expected/double-reuse.json"):
        shutil.copy(root / "tests/traces" / name, traces / name)
    return traces


class TestArguments:
    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["--for", "soon"], "--for soon: give a time"),
            (["--only", "traces,luck"], "--only luck: no such section (there are: traces,"),
            (["--seed", "x"], "--seed x"),
            (["-j", "0"], "-j 0"),
            (["v9.9"], "unknown kernel 'v9.9'"),
            (["--traces", "/nowhere"], "/nowhere: no such directory"),
            (["--report", "html=a"], "--report html=a: give KIND=FILE, the kinds are junit, sarif"),
            (["--report", "junit"], "give KIND=FILE"),
            (["--report", "junit="], "give KIND=FILE"),
            (["--report", "junit=/nowhere/a.xml"], "there is no directory /nowhere"),
            (["--report", "junit=/"], "is a directory"),
            (["--report", "junit=a,junit=b"], "junit is there twice"),
            (["--report", "junit=a", "--report", "sarif=./a"], "one file for two reports"),
            (["--out", sys.executable], "is there and is no directory"),
        ],
    )
    def test_what_makes_no_sense_is_one_line(self, words, said, root, monkeypatch, capsys):
        """Bad arguments end with exit code 2 and one line that says what to give."""
        monkeypatch.chdir(root)
        assert cli.main(["check", *words]) == 2
        err = capsys.readouterr().err
        assert said in err
        assert len(err.splitlines()) == 1

    def test_sections_run_in_their_order(self):
        """However they are named, cheap ones come first."""
        assert check_main.chosen("fuzz,traces") == ("traces", "fuzz")
        assert check_main.chosen(None) == SECTIONS

    def test_the_same_is_done_again(self):
        """The printed command line has the seed and everything that was asked for."""
        args = argparse.Namespace(
            subjects=["v6.1"], seconds=90.0, traces="my traces", only="fuzz", first=True
        )
        again = "anonvma check v6.1 --for 90s --seed 5 --traces 'my traces' --only fuzz --first"
        assert check_main.reproduce(args, 5) == again


class TestReports:
    def test_both_are_written(self, tmp_path):
        """One option may name both reports, or it is given twice."""
        files = [tmp_path / "a.xml", tmp_path / "a.sarif"]
        reports = reports_of([f"junit={files[0]},sarif={files[1]}"])
        write_reports(reports, [BAD])
        assert ET.parse(files[0]).getroot().get("failures") == "1"  # noqa: S314 - we wrote it
        assert json.loads(files[1].read_text())["version"] == "2.1.0"

    def test_a_file_that_cannot_be_written_is_said(self, tmp_path):
        """What becomes impossible while the check runs is an error of one line."""
        (tmp_path / "a").mkdir()
        reports = reports_of([f"junit={tmp_path / 'a' / 'b.xml'}"])
        (tmp_path / "a").rmdir()
        with pytest.raises(StoreError, match=r"b\.xml"):
            write_reports(reports, [BAD])

    def test_nothing_is_asked_for_twice(self):
        """One kind in two options is a contradiction."""
        with pytest.raises(UsageError, match="twice"):
            reports_of(["junit=a", "junit=b"])


class TestAnnotations:
    def test_they_are_printed_in_an_action(self, capsys):
        """In a GitHub action, a bad result becomes a workflow command."""
        check_main.annotate([BAD], {"GITHUB_ACTIONS": "true"}, is_json=False)
        assert capsys.readouterr().out.startswith("::error file=model/rmap.py,line=7,title=")

    def test_they_are_not_printed_elsewhere(self, capsys):
        """On a terminal they would be noise."""
        check_main.annotate([BAD], {}, is_json=False)
        assert capsys.readouterr().out == ""

    def test_they_keep_out_of_json(self, capsys):
        """With JSON on standard output, they go to standard error, where they work as well."""
        check_main.annotate([BAD], {"GITHUB_ACTIONS": "true"}, is_json=True)
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("::error")


def test_all_sections_are_there(root, monkeypatch):
    """Without --only, every section is run, in order, on what is committed."""
    monkeypatch.chdir(root)
    args = cli.build_parser().parse_args(["check"])
    sections = check_main.sections_of(args)
    assert tuple(section.name for section in sections) == SECTIONS
    assert all(section.about for section in sections)


def test_a_check_passes(tmp_path, root, one_trace):
    """All but the pins, in a directory of its own: plain lines, reports, exit code 0."""
    only = ",".join(name for name in SECTIONS if name != "pins")
    words = ["--traces", one_trace, "--for", "75s", "--only", only]
    words += ["--report", "junit=a.xml,sarif=a.sarif"]
    code, out, err = check_in(tmp_path, root, "v6.12", *words)
    assert (code, err) == (0, ""), out
    lines = out.splitlines()
    assert lines[0].startswith("check     traces, contracts, ")
    assert lines[-1].startswith("result    passed: ")
    junit = ET.parse(tmp_path / "a.xml").getroot()  # noqa: S314 - we wrote it
    assert ",".join(suite.get("name") for suite in junit) == only
    assert (junit.get("failures"), junit.get("errors")) == ("0", "0")
    assert json.loads((tmp_path / "a.sarif").read_text())["runs"][0]["results"] == []


def test_a_broken_expectation_fails_with_text_reports_and_annotations(tmp_path, root, one_trace):
    """What is not as expected is explained in the log and named in every report."""
    expected = one_trace / "expected/double-reuse.json"
    expected.write_text(expected.read_text().replace('"step": 6', '"step": 5'))
    words = ["--traces", one_trace, "--only", "traces", "--report", "junit=a.xml,sarif=a.sarif"]
    code, out, _ = check_in(tmp_path, root, *words, GITHUB_ACTIONS="true")
    assert code == 1
    assert "law       reuse-free (safety): " in out
    assert "   <-- here" in out
    assert "World     then" in out
    assert "::error file=traces/double-reuse.json,line=" in out
    assert ET.parse(tmp_path / "a.xml").find(".//failure").get("type") == "reuse-free"  # noqa: S314
    (result,) = json.loads((tmp_path / "a.sarif").read_text())["runs"][0]["results"]
    assert result["ruleId"] == "reuse-free"


def test_too_little_time_proves_nothing(tmp_path, root, one_trace):
    """A check that cannot do what it is there for is not passed."""
    code, out, _ = check_in(tmp_path, root, "--traces", one_trace, "--for", "1s")
    assert code == 3
    assert "no time was left for it; give --for more" in out


def test_events_are_json_lines(tmp_path, root, one_trace):
    """With --json every line is an event, the summary last."""
    words = ["--traces", one_trace, "--only", "traces,canary", "--json"]
    code, out, _ = check_in(tmp_path, root, *words)
    names = [json.loads(line)["event"] for line in out.splitlines()]
    assert code == 0
    assert (names[0], names[-1]) == ("check-started", "check-finished")
    assert names.count("result-known") == 3


def test_an_interrupt_leaves_a_summary_and_reports(tmp_path, root, one_trace):
    """After Ctrl-C the summary and the reports are written, and the exit code is 130."""
    env = os.environ | {"PYTHONPATH": str(root)}
    words = ["--traces", one_trace, "--only", "traces,fuzz", "--report", "junit=a.xml", "v7.0"]
    command = [sys.executable, "-m", "campaign.cli", "check", "--for", "90s", "-j", "1", *words]
    # A shell's background job ignores the signal, and all that it starts do so too.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        list(map(str, command)), cwd=tmp_path, env=env, stdout=subprocess.PIPE, text=True
    )
    signal.signal(signal.SIGINT, before)
    with contextlib.closing(process.stdout):
        for line in process.stdout:
            if line.startswith("fuzz"):
                break
        time.sleep(1.0)
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
    assert process.wait() == 130
    assert "result    interrupted: " in rest
    assert (tmp_path / "a.xml").exists()


def test_the_committed_traces_can_be_read(root):
    """Every trace of this checkout has its expectations written down."""
    assert all(each.written is not None for each in committed(root / "tests/traces"))
