# SPDX-License-Identifier: GPL-2.0-only
import argparse
import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from campaign import cli, engine, fuzz, store
from campaign import plan as plans
from campaign.cases import CaseResult
from campaign.engine import Campaign, Plan
from campaign.events import CampaignFinished, CaseFaulted, CaseLost, FindingFound, Shrunk
from campaign.execute import find
from campaign.replay import Outcome, replay
from model.kernels import KERNELS, NEWEST
from strategies.mix import generate
from strategies.trace import load, loads
from tests.campaign import doubles

CLOCK_FIELDS = {"elapsed", "cpu_seconds", "steps_per_cpu_second", "jobs", "engines"}


def command(*args):
    """The command line of a campaign."""
    return [sys.executable, "-m", "campaign.cli", "fuzz", *map(str, args)]


def fuzz_in(directory, root, *args, hash_seed="random"):
    """Run a campaign in a process and a directory of its own: exit code, output, errors."""
    env = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(root)}
    done = subprocess.run(
        command(*args), cwd=directory, env=env, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


def events_in(text):
    """The events of a stream of JSON lines, without progress and without what a clock gave."""
    events = [json.loads(line) for line in text.splitlines()]
    return [
        {name: value for name, value in event.items() if name not in CLOCK_FIELDS}
        for event in events
        if event["event"] != "progress"
    ]


def files_in(directory):
    """Every file below a directory with its contents."""
    return {str(p.relative_to(directory)): p.read_bytes() for p in directory.rglob("*.json")}


def campaign(tmp_path, run_case=None, **options):
    """Run a campaign in this process: its events, the summary last."""
    events = []
    given = {"kernel": NEWEST, "seed": 1, "out": str(tmp_path / "out"), "cases": 10} | options
    summary = Campaign(Plan(**given), events.append, run_case=run_case).run()
    assert events[-1] is summary
    return events


def one(events, kind):
    """The only event of a kind."""
    (event,) = [event for event in events if type(event) is kind]
    return event


def parse(*args):
    """The plan that a command line makes."""
    parser = argparse.ArgumentParser()
    fuzz.add_parser(parser.add_subparsers())
    return fuzz.plan_of(parser.parse_args(["fuzz", *args]))


@pytest.fixture
def full_disk(monkeypatch):
    """A disk on which nothing can be written."""

    def refuse(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(store, "_write_synced", refuse)


@pytest.fixture(scope="module")
def double_reuse(tmp_path_factory, root):
    """A campaign on v5.18 as a user sees it: its directory, exit code, output, errors."""
    directory = tmp_path_factory.mktemp("double-reuse")
    return directory, *fuzz_in(directory, root, "v5.18", "--seed", 1, "--engine", "swarm")


class TestOutcome:
    """What a campaign finds, and its exit code."""

    def test_a_known_bug_is_found_and_named(self, double_reuse):
        """On v5.18 a law is broken within seconds, and the finding names CVE and fix."""
        _, code, out, err = double_reuse
        assert (code, err) == (1, "")
        assert "CVE-2022-42703" in out
        assert "2555283eb40d" in out
        assert "in v6.0" in out

    def test_its_trace_is_short_and_replays(self, double_reuse):
        """The shrunk trace has at most eight operations: FINDING on v5.18, CLEAN afterwards."""
        directory, _, out, _ = double_reuse
        (line,) = [line for line in out.splitlines() if line.startswith("  replay:")]
        trace = load(directory / line.split()[-1])
        assert len(trace.ops) <= 8
        assert (trace.kernel, trace.seed) == ("v5.18", 1)
        assert replay(trace, KERNELS["v5.18"]).outcome is Outcome.FINDING
        assert replay(trace, KERNELS["v6.1"]).outcome is Outcome.CLEAN
        assert replay(trace, KERNELS["v6.12"]).outcome is Outcome.CLEAN

    def test_the_raw_trace_is_saved_too(self, double_reuse):
        """Beside the shrunk trace lies the one that was found, with the same finding."""
        directory, *_ = double_reuse
        raw, shrunk = sorted(
            (directory / "anonvma-findings").glob("*.json"), key=lambda p: ".raw" not in p.name
        )
        assert len(load(raw).ops) > len(load(shrunk).ops)
        assert load(raw).finding.bucket == load(shrunk).finding.bucket

    def test_a_shallow_bug_comes_out_before_any_random_case(self, root, tmp_path):
        """With all engines the double reuse is found by exploration, and is as short as it gets."""
        code, out, _ = fuzz_in(tmp_path, root, "v5.18", "--seed", 3)
        assert code == 1
        assert "finding   reuse-free/in-use/fork in case 0, after 7 operations" in out
        assert "  shortest  no shorter history has it in the scope: 4 live processes" in out

    def test_the_last_line_finds_it_again(self, double_reuse, root, tmp_path):
        """The command that the summary ends with gives the same trace, byte for byte."""
        directory, _, out, _ = double_reuse
        words = out.splitlines()[-1].split()
        assert words[:3] == ["again", "anonvma", "fuzz"]
        code, _, _ = fuzz_in(tmp_path, root, *words[3:])
        assert code == 1
        assert files_in(tmp_path) == files_in(directory)

    def test_a_clean_campaign(self, root, tmp_path):
        """Three hundred cases of v6.19 break no law, reach every required goal, leave no trace."""
        code, out, err = fuzz_in(tmp_path, root, "v6.19", "--cases", 300, "--seed", 1)
        assert (code, err) == (0, "")
        assert "every required goal was reached" in out
        left = [path.name for path in tmp_path.rglob("*") if path.is_file()]
        assert left == ["run-v6.19-1.ndjson"]

    def test_a_campaign_that_proves_nothing(self, root, tmp_path):
        """One case reaches too little: exit code 3, and the missed goals are said in words."""
        code, out, _ = fuzz_in(tmp_path, root, "--cases", 1, "--seed", 1)
        assert code == 3
        assert "nothing proved" in out
        assert "never:  faulted-moved: mremap cloned a VMA with an anon_vma" in out

    def test_a_defect_can_be_put_in(self, tmp_path):
        """A historical defect put into a kernel without it is found there."""
        arguments = ("--seed", "1", "--cases", "200", "--out", str(tmp_path))
        plan = parse("v6.12", "--defect", "B16", *arguments)
        events = []
        assert Campaign(plan, events.append).run().exit_code == 1
        assert one(events, Shrunk).finding.known[0].id == "B16"
        assert events[-1].reproduce.startswith("anonvma fuzz v6.12+B16 --seed 1 ")

    def test_time_is_kept(self, tmp_path):
        """A campaign by time ends when the time is up, not much later."""
        began = time.monotonic()
        plan = {"kernel": KERNELS["v6.19"], "engine": fuzz.Engine.SWARM}  # Nothing to shrink there.
        summary = campaign(tmp_path, cases=None, seconds=2.0, jobs=2, **plan)[-1]
        assert 2.0 <= time.monotonic() - began < 10.0
        assert summary.cases > 10


class TestDeterminism:
    """Nothing but the plan decides about the outcome."""

    @pytest.mark.parametrize("options", [("--keep-going", "--cases", 60), ("--cases", 1000)])
    def test_workers_and_hash_order_do_not_matter(self, root, tmp_path, options):
        """For any -j and any PYTHONHASHSEED, events and saved traces are the same."""
        outcomes = []
        for jobs, hash_seed in ((1, "0"), (2, "1")):
            directory = tmp_path / hash_seed
            directory.mkdir()
            arguments = ("v5.18", "--seed", 5, "--json", "-j", jobs, *options)
            code, out, err = fuzz_in(directory, root, *arguments, hash_seed=hash_seed)
            assert (code, err) == (1, "")
            outcomes.append((events_in(out), files_in(directory)))
        assert outcomes[0] == outcomes[1]
        assert len(outcomes[0][1]) >= 2


class TestKeepGoing:
    """--keep-going."""

    def test_one_of_each_bucket_is_kept(self, tmp_path, monkeypatch):
        """The first case of each bucket is saved and shrunk, further ones are counted."""
        results = {
            k: doubles.found(k, law) for k, law in enumerate(("leak", "root", "leak", "leak"))
        }
        monkeypatch.setattr(plans, "ShrinkTask", UnwillingShrinker)
        events = campaign(tmp_path, doubles.Outcomes(results), keep_going=True)
        found = [event.case for event in events if type(event) is FindingFound]
        buckets = events[-1].findings
        assert found == [0, 1]
        assert [(b.bucket, b.case, b.count) for b in buckets] == [
            ("leak/in-use/fork", 0, 3),
            ("root/in-use/fork", 1, 1),
        ]
        assert events[-1].cases == 10

    def test_without_it_the_first_finding_ends_the_search(self, tmp_path, monkeypatch):
        """Without it, nothing after the finding with the lowest number is counted."""
        results = {3: doubles.found(3, goals=("a",)), 5: doubles.found(5, "leak", goals=("b",))}
        monkeypatch.setattr(plans, "ShrinkTask", UnwillingShrinker)
        events = campaign(tmp_path, doubles.Outcomes(results), jobs=2)
        summary = events[-1]
        assert (summary.cases, summary.steps) == (4, 32)
        assert [bucket.case for bucket in summary.findings] == [3]
        assert "--cases 4 " in summary.reproduce


class UnwillingShrinker:
    """A shrinker that dies in its worker."""

    def __init__(self, kernel, ops, finding):
        self.ops, self.finding = ops, finding
        self.task = engine.ShrinkResult(ops, finding, 0, (), complete=False, passes=())

    def __call__(self, _case):
        """Die."""
        doubles.leave()

    def unchanged(self):
        """Return what there was before."""
        return self.task


class TestTrouble:
    """Cases that come to no good end."""

    def test_a_lost_case_is_named_and_saved(self, tmp_path):
        """A case whose worker dies is reported with its operations, and the campaign goes on."""
        events = campaign(tmp_path, doubles.Cases((7,), doubles.leave))
        lost, summary = one(events, CaseLost), events[-1]
        trace = load(lost.file)
        assert lost.case == trace.case == 7
        assert lost.file.endswith("lost-case-7.json")
        assert trace.ops == tuple(generate(1, 7))
        assert "exit status 3" in trace.note
        assert (summary.cases, summary.exit_code) == (9, 70)

    def test_a_lost_machine_case_is_saved_as_far_as_it_is_known(self, tmp_path):
        """Of a lost run of the Hypothesis machine a trace without operations says whose it was."""
        plan = {"engine": fuzz.Engine.MACHINE, "cases": 2}
        lost = one(campaign(tmp_path, doubles.Cases((1,), doubles.leave), **plan), CaseLost)
        trace = load(lost.file)
        assert trace.ops == ()
        assert "engine machine" in trace.note

    def test_a_fault_of_our_own_is_reported_with_its_operations(self, tmp_path):
        """A case that anonvma itself fails on ends the search with exit code 70 and a trace."""
        ops = doubles.found(0).ops
        results = {2: CaseResult(2, fault="Traceback\n  x\nScreenFault: no", ops=ops)}
        events = campaign(tmp_path, doubles.Outcomes(results))
        fault = one(events, CaseFaulted)
        assert (fault.case, fault.error) == (2, "ScreenFault: no")
        assert load(fault.file).ops == ops
        assert (events[-1].exit_code, events[-1].cases) == (70, 3)

    def test_a_finding_counts_more_than_a_lost_case(self, tmp_path, monkeypatch):
        """A campaign with a finding and a lost case has found something."""
        monkeypatch.setattr(plans, "ShrinkTask", UnwillingShrinker)
        run_case = LostThenFound()
        assert campaign(tmp_path, run_case)[-1].exit_code == 1

    def test_a_shrinker_that_dies_costs_nothing_but_the_shrinking(self, tmp_path, monkeypatch):
        """When shrinking dies, the finding is reported as it was found, with the reason."""
        monkeypatch.setattr(plans, "ShrinkTask", UnwillingShrinker)
        events = campaign(tmp_path, doubles.Outcomes({1: doubles.found(1)}))
        shrunk = one(events, Shrunk)
        assert shrunk.stopped == "the worker ended with exit status 3"
        assert shrunk.file == one(events, FindingFound).file
        assert shrunk.ops == doubles.found(1).ops
        assert events[-1].exit_code == 1


class LostThenFound:
    """Loses its first case and finds something in its second."""

    def __call__(self, case):
        """Run a case."""
        if case == 0:
            doubles.leave()
        return doubles.found(case)


class TestFullDisk:
    """When a trace cannot be written."""

    def test_the_traces_are_printed(self, capfd, full_disk, tmp_path):
        """Nothing is lost: the traces are on standard error, the exit code is 2, after all else."""
        arguments = ["v5.18", "--seed", "3", "-j", "1", "--out", str(tmp_path / "out")]
        assert cli.main(["fuzz", *arguments]) == 2
        out, err = capfd.readouterr()
        raw, shrunk = err.split("anonvma: ")[1:]
        for text in (raw, shrunk):
            reason, _, trace = text.partition("; the trace:\n")
            assert reason.endswith("cannot be written: No space left on device")
            assert find(KERNELS["v5.18"], loads(trace, "stderr").ops) is not None
        assert "result    traces could not be written" in out
        assert "again     anonvma fuzz v5.18 --seed 3" in out
        assert files_in(tmp_path) == {}

    def test_with_json_they_are_events(self, capfd, full_disk, tmp_path):
        """With --json the stream stays JSON and has the traces in it."""
        arguments = ["v5.18", "--seed", "3", "-j", "1", "--json", "--out", str(tmp_path / "out")]
        assert cli.main(["fuzz", *arguments]) == 2
        events = events_in(capfd.readouterr().out)
        traces = [event["trace"] for event in events if event["event"] == "trace-unsaved"]
        assert len(traces) == 2
        assert loads(traces[1], "event").kernel == "v5.18"


class TestInterrupt:
    """Ctrl-C."""

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_the_summary_is_still_written(self, root, tmp_path, number):
        """A signal to all processes of a campaign ends it with its summary and exit code 130."""
        with self.running(root, tmp_path, "--for", "60s", "-j", "2") as process:
            assert process.stdout.readline().startswith(f"fuzz      {NEWEST.name} ")
            time.sleep(0.5)
            os.killpg(process.pid, number)
            out, err = process.communicate(timeout=10)
        assert (process.returncode, err) == (130, "")
        assert "result    interrupted" in out
        assert f"again     anonvma fuzz {NEWEST.name} --seed " in out
        assert "lost" not in out

    def test_a_closed_pipe_ends_it_quietly(self, root, tmp_path):
        """When nobody reads any more the campaign ends without a word and leaves no process."""
        with self.running(root, tmp_path, "--for", "60s", "--json") as process:
            assert json.loads(process.stdout.readline())["event"] == "campaign-started"
            process.stdout.close()
            assert process.stderr.read() == ""  # At its end when every process has let go of it.
            assert process.wait(timeout=10) == 3

    @contextlib.contextmanager
    def running(self, root, directory, *args):
        """A campaign that runs, in a group of its own."""
        process = subprocess.Popen(
            # Whoever runs the tests in the background may have SIGINT ignored.
            ["env", "--default-signal=INT", *command(*args)],
            cwd=directory,
            env=os.environ | {"PYTHONPATH": str(root)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_json_is_all_there_is_on_standard_output(root, tmp_path):
    """With --json every line is an event, from the start to the summary with the exit code."""
    code, out, err = fuzz_in(tmp_path, root, "v5.18", "--seed", 3, "--json")
    events = events_in(out)
    names = [event["event"] for event in events]
    assert (code, err) == (1, "")
    assert names[0] == "campaign-started"
    assert names[-3:] == ["finding-found", "shrunk", "campaign-finished"]
    assert names[1] == "run-recorded"
    assert set(names[2:-3]) == {"goal-reached"}
    assert events[-1]["exit_code"] == 1
    assert "progress" in out


def test_rich_is_not_loaded_without_a_terminal(root, tmp_path):
    """A campaign into a pipe does without the library that draws on terminals."""
    program = (
        "import sys; from campaign import cli; code = cli.main(sys.argv[1:]); "
        "sys.exit(99 if 'rich' in sys.modules or 'hypothesis' in sys.modules else code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "fuzz", "--cases", "1", "-j", "1"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(root)},
        capture_output=True,
        check=False,
    )
    assert done.returncode in {0, 3}


def test_the_summary_is_the_last_event(tmp_path):
    """However a campaign ends, its last event is the summary with every goal of the kernel."""
    summary = campaign(tmp_path, doubles.Outcomes({}), cases=3)[-1]
    assert isinstance(summary, CampaignFinished)
    assert (summary.cases, summary.steps, summary.checked, summary.effective) == (3, 30, 27, 27)
    assert set(summary.goals.values()) == {0}
    assert summary.exit_code == 3
