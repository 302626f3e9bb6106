# SPDX-License-Identifier: GPL-2.0-only
import json
import os

import pytest

from campaign import run_read
from campaign.run_fields import RunError
from campaign.run_read import choose, read_run
from tests.campaign.runs import events, moments, printed, recorded


@pytest.fixture
def record(tmp_path):
    """A record with everything in it."""
    return recorded(tmp_path, events())


def refusal(path):
    """Why a file is no run: one line that names it."""
    with pytest.raises(RunError) as caught:
        read_run(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{path}: ")


def changed(record, event, **fields):
    """The same record with fields of an event changed; None takes one away."""
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    (line,) = [line for line in lines if line.get("event") == event]
    line |= fields
    record.write_text("".join(json.dumps(each) + "\n" for each in lines))
    return record


class TestContents:
    """What is read."""

    def test_everything_that_was_told(self, record):
        """Findings, goals, coverage, troubles and the summary are read as they were told."""
        run = read_run(record)
        finding, remark = run.buckets
        assert finding.law.bucket == "reuse-free/in-use/fork"
        assert (finding.case, finding.operations, finding.before) == (11, 7, 58)
        assert (finding.count, finding.file, len(finding.ops)) == (3, "out/a.json", 7)
        assert finding.law.known[0].startswith("B16 CVE-2022-42703")
        assert remark.remark
        assert run.goals == {"faulted-forked": ("a VMA with an anon_vma was cloned by fork", 4)}
        assert run.grid.met == {"fork": {"root": (3, 1, 0), "hole": (0, 0, 2)}}
        assert run.grid.holes == {"exec": ("root",)}
        assert [each.case for each in (*run.lost, *run.faults)] == [12, 13]
        assert run.finished.missed == {"never-seen": "a shape that nobody saw"}
        assert run.again == "anonvma fuzz v5.18 --seed 7"
        assert run.began

    def test_what_fuzz_prints_as_json(self, tmp_path, record):
        """The output of ``fuzz --json`` is a run as well, and the same but for the time."""
        run = read_run(printed(tmp_path / "printed.json", events()))
        assert run.began == ""
        assert run.buckets == read_run(record).buckets
        assert run.finished == read_run(record).finished

    def test_progress_of_a_long_run_is_thinned(self, tmp_path):
        """Of a stream with progress every second, no more is kept than of a record."""
        path = printed(tmp_path / "long.json", [events()[0], *moments(3_000)])
        assert 500 < len(read_run(path).moments) < 1_000

    @pytest.mark.parametrize("cut", [1, 20, 100])
    def test_a_record_that_breaks_off(self, record, cut):
        """Half a last line is left out, and the rest is read."""
        text = record.read_bytes()
        record.write_bytes(text[:-cut])
        run = read_run(record)
        assert (run.finished is None) == (cut > 1)
        assert len(run.buckets) == 2
        assert run.last.cases == (1_400 if cut == 1 else 40)

    def test_unknown_events_and_fields_are_skipped(self, record):
        """What a later version adds does not disturb."""
        text = record.read_text()
        record.write_text(text + '{"event":"new","x":1}\n')
        changed(record, "campaign-started", new=[1])
        assert read_run(record).finished is not None

    def test_an_event_without_what_was_added_later(self, record):
        """Progress that says nothing of engines and states is read all the same."""
        lines = [json.loads(line) for line in record.read_text().splitlines()]
        for line in lines:
            for name in ("engines", "states", "missing", "searched", "again"):
                line.pop(name, None)
        record.write_text("".join(json.dumps(each) + "\n" for each in lines))
        run = read_run(record)
        assert run.last.engines == {}
        assert run.moments[-1].missing is None
        assert run.started.again == ""


class TestRefused:
    """What is no run."""

    def test_no_file(self, tmp_path):
        """A file that is not there is named."""
        assert refusal(tmp_path / "none") == "cannot be read: No such file or directory"

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("", "is no run: it has no event campaign-started"),
            ("\n\n", "is no run"),
            ("hello\n", "line 1: is no JSON"),
            ("\0\xff", "line 1: is no JSON"),
            ("[1]\n", "line 1: is no JSON object"),
            ("{}\n", "is no run"),
            ('{"format": "anonvma-trace/1"}\n', "has the format anonvma-trace/1; this version"),
            ('{"format": "anonvma-run/2"}\n', "has the format anonvma-run/2; this version reads"),
            ('{"format": 3}\n', 'line 1: the field "format" is no text'),
            ('{"event": "check-started"}\n', "is no run"),
            ("[" * 100_000, "line 1: is no JSON"),
            ('{"event": "campaign-started"}\n', 'line 1: the field "kernel" is no text'),
        ],
    )
    def test_other_files(self, tmp_path, text, why):
        """Whatever else a file holds, it is refused in a line that says where and why."""
        path = tmp_path / "other"
        path.write_bytes(text.encode("latin-1"))
        assert refusal(path).startswith(why)

    @pytest.mark.parametrize(
        ("event", "fields", "why"),
        [
            ("campaign-started", {"seed": 1.5}, '"seed" is no seed'),
            ("campaign-started", {"cases": -1}, '"cases" is out of range'),
            ("campaign-started", {"keep_going": 1}, '"keep_going" is neither true nor false'),
            ("campaign-finished", {"elapsed": float("inf")}, '"elapsed" is out of range'),
            ("campaign-finished", {"elapsed": float("nan")}, '"elapsed" is out of range'),
            ("campaign-finished", {"goals": []}, "is no JSON object"),
            ("campaign-finished", {"goals": {"a": "b"}}, '"a" is no whole number'),
            ("campaign-finished", {"cases": True}, '"cases" is no whole number'),
            ("campaign-finished", {"missed": [1]}, "missed[0]: is no JSON object"),
            ("campaign-finished", {"findings": "x"}, '"findings" is no list'),
            ("coverage-sampled", {"met": {"fork": {"root": [1, 2]}}}, "no list of three counts"),
            ("coverage-sampled", {"met": {"fork": {"root": ["a"]}}}, "no list of whole numbers"),
            ("coverage-sampled", {"holes": {"fork": [1]}}, "is no list of texts"),
            ("goal-reached", {"case": None}, '"case" is no whole number'),
        ],
    )
    def test_fields_of_another_type(self, record, event, fields, why):
        """A field that is not what it must be is named with its line."""
        said = refusal(changed(record, event, **fields))
        assert said.startswith("line ")
        assert why in said

    def test_damage_in_the_middle(self, record):
        """A broken line that is not the last one is no end of a run, and is refused."""
        lines = record.read_text().splitlines()
        lines[3] = lines[3][:20]
        record.write_text("\n".join(lines) + "\n")
        assert refusal(record) == "line 4: is no JSON"

    def test_two_campaigns_in_a_file(self, record):
        """Two runs in a row are not one."""
        record.write_text(record.read_text() * 2)
        assert "a second campaign" in refusal(record)

    def test_too_large_a_file(self, record, monkeypatch):
        """A file of more than a run can have is refused before it is read, and so is a line."""
        monkeypatch.setattr(run_read, "MOST_BYTES", 1_000)
        assert "MiB are too much" in refusal(record)
        monkeypatch.undo()
        monkeypatch.setattr(run_read, "LONGEST_LINE", 200)
        assert refusal(record) == "line 2: is longer than a line of a run can be"

    def test_a_device_ends(self, tmp_path):
        """A pipe or a device without an end is not read for ever."""
        fifo = tmp_path / "fifo"
        os.mkfifo(fifo)
        assert refusal(fifo) == "is no regular file"


class TestChoose:
    """Which file RUN stands for."""

    def test_the_newest_of_a_directory(self, tmp_path):
        """Of several records the newest is taken, and the others are counted."""
        paths = [recorded(tmp_path, events()) for _ in range(3)]
        for age, path in enumerate(paths):
            os.utime(path, (1_000 - age, 1_000 - age))
        (tmp_path / "run-x.ndjson").mkdir()
        (tmp_path / "v5.18-x.json").write_text("{}")
        assert choose(str(tmp_path)) == run_read.Chosen(paths[0], 2)

    def test_the_only_one(self, tmp_path):
        """A directory with one record is that record."""
        path = recorded(tmp_path, events())
        assert choose(str(tmp_path)) == run_read.Chosen(path, 0)

    def test_none(self, tmp_path):
        """A directory without records is no run."""
        with pytest.raises(RunError, match=r"no run-\*\.ndjson in this directory"):
            choose(str(tmp_path))
