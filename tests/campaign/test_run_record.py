# SPDX-License-Identifier: GPL-2.0-only
import errno
import json
import os
import signal
import subprocess
import sys
import time

import attrs
import pytest

from campaign import run_record
from campaign.cli import main
from campaign.run_read import read_run
from campaign.run_record import FORMAT, RunRecord, Thinned
from tests.campaign.runs import events, moments, recorded
from tests.campaign.test_events import FINISHED, LOST, UNSAVED


def lines_of(path):
    """The objects of a record."""
    return [json.loads(line) for line in path.read_text().splitlines()]


class TestRecord:
    """The file that events go to."""

    def test_it_says_what_it_is(self, tmp_path):
        """The first line has the format, the tool and the time; events follow as in --json."""
        what = events()
        first, *rest = lines_of(recorded(tmp_path / "new", what))
        assert first["format"] == FORMAT
        assert first["tool"].startswith("anonvma")
        assert first["began"].endswith("Z")
        assert rest == [event.to_json() for event in what]

    def test_its_name_says_what_ran(self, tmp_path):
        """A name has kernel and seed, and whatever a kernel is called, it is a file of DIR."""
        assert RunRecord.begin(tmp_path, "v6.12+B16", -3).path.name == "run-v6.12+B16--3.ndjson"
        odd = RunRecord.begin(tmp_path, "tree:../../x y/\0", 1).path
        assert odd.parent == tmp_path
        assert odd.name == "run-tree_.._.._x_y_-1.ndjson"

    def test_an_earlier_record_stays(self, tmp_path):
        """A second run of the same kernel and seed has a file of its own."""
        first = recorded(tmp_path, events())
        before = first.read_bytes()
        second = recorded(tmp_path, events()[:3])
        assert second.name == "run-v5.18-7-2.ndjson"
        assert first.read_bytes() == before

    def test_a_trace_that_was_not_saved_is_not_in_it(self, tmp_path):
        """The text of a trace, which went to standard error, is left out."""
        assert UNSAVED.to_json() not in lines_of(recorded(tmp_path, [UNSAVED, *events()]))

    def test_progress_becomes_rare(self, tmp_path):
        """Of a day's progress some hundred moments are kept, of the first minutes one a second."""
        thinned = Thinned()
        kept = [second / 4 for second in range(4 * 86_400) if thinned.keeps(second / 4)]
        assert kept[:100] == [float(second) for second in range(100)]
        assert 1_000 < len(kept) < 2_000
        assert 86_400 - kept[-1] < 86_400 / 100

    def test_it_ends_where_it_is_too_large(self, tmp_path, monkeypatch):
        """A record that is full says so, and still has the summary."""
        monkeypatch.setattr(run_record, "MOST_BYTES", 4_000)
        path = recorded(tmp_path, [*events()[:-1], *[LOST] * 100, FINISHED])
        names = [line.get("event") for line in lines_of(path)]
        assert path.stat().st_size < 4_000 + 4_000
        assert names[-2:] == ["record-full", "campaign-finished"]
        assert read_run(path).full

    def test_a_disk_that_becomes_full(self, tmp_path, monkeypatch):
        """What cannot be written whole is not there at all, and the reason is known."""
        record = RunRecord.begin(tmp_path, "v6.12", 1)
        start, *rest = events()
        record(start)
        before = record.path.read_bytes()
        real, left = os.write, [200]

        def write(fd, data):
            if not left[0]:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            done = real(fd, data[: left[0]])
            left[0] -= done
            return done

        monkeypatch.setattr(run_record.os, "write", write)
        record(rest[0])
        monkeypatch.undo()
        record(rest[1])
        record.close()
        assert record.trouble == os.strerror(errno.ENOSPC)
        assert record.path.read_bytes() == before


class TestFuzz:
    """What the command leaves."""

    def test_every_run_is_recorded(self, tmp_path, capsys):
        """A run leaves its record, says where, and the record holds all that it said in JSON."""
        out = tmp_path / "out"
        arguments = ["--cases", "40", "--engine", "swarm", "--seed", "3", "--out", str(out)]
        assert main(["fuzz", "v6.12", *arguments, "-j", "1", "--json"]) in {0, 3}
        said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        (record,) = out.glob("run-*.ndjson")
        assert record.name == "run-v6.12-3.ndjson"
        assert said[1] == {"event": "run-recorded", "file": str(record)}
        events_said = [each for each in said if each["event"] not in {"progress", "run-recorded"}]
        kept = [each for each in lines_of(record)[1:] if each["event"] != "progress"]
        assert kept == events_said
        assert kept[0]["again"] == kept[-1]["reproduce"]

    def test_what_cannot_be_recorded_is_no_error(self, tmp_path, capsys, monkeypatch):
        """If no file can be made, there is a note and the run goes on."""

        def refuse(*_):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

        monkeypatch.setattr(run_record, "_opened_new", refuse)
        arguments = ["--cases", "2", "--engine", "swarm", "--seed", "1", "--out", str(tmp_path)]
        assert main(["fuzz", "v6.12", *arguments]) == 3
        out, err = capsys.readouterr()
        reason = os.strerror(errno.EACCES)
        assert err == f"anonvma: this run is not recorded in {tmp_path}: {reason}\n"
        assert "result    nothing proved" in out
        assert "record " not in out

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
    def test_a_run_that_is_ended_has_its_record(self, tmp_path, root, number):
        """Killed or interrupted, a run leaves a record that can be read."""
        command = [sys.executable, "-m", "campaign.cli", "fuzz", "v6.12", "--engine", "swarm"]
        environment = os.environ | {"PYTHONPATH": str(root)}
        process = subprocess.Popen(
            [*command, "--for", "60s", "-j", "1", "--seed", "1"],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.DEVNULL,
        )
        record = tmp_path / "anonvma-findings/run-v6.12-1.ndjson"
        end = time.monotonic() + 40
        while not (record.exists() and b"goal-reached" in record.read_bytes()):
            assert time.monotonic() < end
            time.sleep(0.1)
        process.send_signal(number)
        process.wait(30)
        run = read_run(record)
        assert run.goals
        assert (run.finished is None) == (number is signal.SIGKILL)
        if run.finished is not None:
            assert run.finished.interrupted
            assert run.finished.exit_code == 130


def test_moments_are_in_the_record(tmp_path):
    """How far the campaign was, and by which engine, is read as it was told."""
    run = read_run(recorded(tmp_path, events()))
    told = moments()
    assert [moment.elapsed for moment in run.moments] == [event.elapsed for event in told]
    assert run.moments[-1].engines == told[-1].engines
    assert run.moments[-1].states == told[-1].states
    assert run.last.cases == FINISHED.cases
    assert attrs.asdict(run.started)["kernel"] == "v5.18"
