# SPDX-License-Identifier: GPL-2.0-only
"""The arguments of ``anonvma fuzz``."""

import argparse

import pytest

from campaign import cli, fuzz
from campaign.errors import UsageError
from model.defects import DEFECTS
from model.kernels import KERNELS, NEWEST


def parse(*args):
    """The plan that a command line makes."""
    parser = argparse.ArgumentParser()
    fuzz.add_parser(parser.add_subparsers())
    return fuzz.plan_of(parser.parse_args(["fuzz", *args]))


class TestArguments:
    """The command line."""

    def test_defaults(self):
        """Without arguments: the newest kernel, a minute, all engines, a seed at random."""
        plan, other = parse(), parse()
        assert (plan.kernel, plan.seconds, plan.cases) == (NEWEST, 60.0, None)
        assert (plan.engine, plan.steps, plan.out) == (fuzz.Engine.ALL, 100, "anonvma-findings")
        assert 1 <= plan.jobs <= 8
        assert plan.seed != other.seed

    @pytest.mark.parametrize(
        ("text", "seconds"),
        [("90", 90), ("90s", 90), ("1.5s", 1.5), ("10m", 600), ("1h", 3600), ("720h", 2_592_000)],
    )
    def test_times(self, text, seconds):
        """A time is a number of seconds, or has its unit."""
        assert parse("--for", text).seconds == seconds

    @pytest.mark.parametrize("seed", [-(1 << 63), -1, 0, (1 << 64) - 1])
    def test_seeds(self, seed):
        """Every whole number of 64 bits is a seed."""
        assert parse("--seed", str(seed)).seed == seed

    def test_cases_replace_the_time(self):
        """With a number of cases there is no limit of time."""
        plan = parse("v6.1", "--cases", "5", "-j", "3", "--engine", "swarm")
        assert (plan.kernel, plan.cases, plan.seconds, plan.jobs) == (KERNELS["v6.1"], 5, None, 3)

    @pytest.mark.parametrize(
        ("args", "said"),
        [
            (["v9.9"], "unknown kernel 'v9.9'"),
            (["--for", "10x"], "--for 10x: give a time"),
            (["--for", "-5"], "--for -5: give a time"),
            (["--for", "0"], "--for 0: give a time"),
            (["--for", "nan"], "--for nan: give a time"),
            (["--for", "inf"], "--for inf: give a time"),
            (["--for", "721h"], "give a time up to 720h"),
            (["--for", "1e3"], "--for 1e3: give a time"),
            (["--for", "9" * 5000], "give a time"),
            (["--for", "5", "--cases", "5"], "--for and --cases: give one of them"),
            (["--cases", "0"], "--cases 0: give a whole number from 1"),
            (["--cases", "many"], "--cases many: give a whole number"),
            (["--cases", "9" * 5000], "give a whole number"),
            (["--steps", "0"], "--steps 0: give a whole number from 1 to 10000"),
            (["--steps", "10001"], "from 1 to 10000"),
            (["--seed", str(1 << 64)], "give a whole number from -9223372036854775808"),
            (["--seed", "0x1"], "--seed 0x1: give a whole number"),
            (["--seed", "a\nb"], "--seed a\\nb: give"),
            (["-j", "0"], "-j 0: give a whole number from 1 to 256"),
            (["-j", "257"], "from 1 to 256"),
            (["--engine", "steam"], "--engine steam: no such engine (there are: all, explore, m"),
            (["--defect", "B99"], "--defect B99: no such defect (known: B01, B02"),
            (["v5.18", "--defect", "B16"], "--defect B16: v5.18 has B16 already"),
            (["v7.0", "--defect", "B16"], "--defect B16: B16 does not apply to v7.0"),
            (["v7.0+B16"], "v7.0+B16: B16 does not apply to v7.0"),
            (["--out", "/dev/null"], "--out /dev/null: is there and is no directory"),
        ],
    )
    def test_bad_arguments(self, capsys, args, said):
        """Bad arguments are one line that says what is wrong, and exit code 2."""
        assert cli.main(["fuzz", *args]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("anonvma: ")
        assert err.count("\n") == 1
        assert said in err

    def test_a_subject_that_cannot_run_here(self, capsys):
        """A subject that is known but cannot run is exit code 3."""
        assert cli.main(["fuzz", "host"]) == 3
        assert "cannot run here" in capsys.readouterr().err

    def test_a_subject_is_checked_before_anything_is_made(self, tmp_path, monkeypatch):
        """An argument that is refused leaves no directory behind."""
        monkeypatch.chdir(tmp_path)
        with pytest.raises(UsageError):
            parse("v9.9", "--out", "new")
        assert list(tmp_path.iterdir()) == []

    def test_a_defect_without_a_subject(self):
        """Without a subject, a defect is looked for in the release that the catalogue names."""
        assert [parse("--defect", name).kernel for name in DEFECTS] == [
            defect.subject() for defect in DEFECTS.values()
        ]
