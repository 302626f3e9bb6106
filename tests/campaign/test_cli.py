# SPDX-License-Identifier: GPL-2.0-only
import os
import subprocess
import sys
from pathlib import Path

import pytest

from campaign import cli, list_command
from campaign.errors import UnavailableError, UsageError
from campaign.store import StoreError
from campaign.subject_names import defects_named, kernel_named
from model.defects import DEFECTS
from model.kernels import KERNELS, NEWEST
from strategies.trace import TraceError

COMMANDS = ("fuzz", "replay", "shrink", "conform", "matrix", "list")


def command_line(root, *argv, **options):
    """Run the command line in a process of its own, as a user would."""
    return subprocess.run(
        [sys.executable, "-m", "campaign.cli", *argv],
        cwd=root,
        check=False,
        text=True,
        **({"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options),
    )


def failing(monkeypatch, error):
    """Make ``anonvma list`` fail."""

    def run(_args):
        raise error

    monkeypatch.setattr(list_command, "run", run)
    return cli.main(["list", "ops"])


class TestKernelNamed:
    """What a subject's name means."""

    @pytest.mark.parametrize("name", [None, ""])
    def test_no_name(self, name):
        """Without a name, the newest kernel is meant."""
        assert kernel_named(name) is NEWEST

    @pytest.mark.parametrize("name", KERNELS)
    def test_a_release(self, name):
        """Each model kernel is known by its name."""
        assert kernel_named(name) is KERNELS[name]

    def test_a_release_with_defects(self):
        """Defects are put in one by one, and the kernel says so in its name."""
        kernel = kernel_named("v6.12+B16")
        assert kernel == KERNELS["v6.12"].with_defect("B16")
        assert kernel_named("v6.12+B16+B01").defects == ("B16", "B01")
        assert kernel_named(kernel.name) == kernel

    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("6.12", "unknown kernel '6.12'; did you mean v6.12? (known: textbook, v2.6.34, "),
            ("V6.1", "did you mean v6.1?"),
            ("linux", "unknown kernel 'linux' (known: "),
            ("v6.12+B99", "unknown defect 'B99'"),
            ("v6.12+", "unknown defect ''"),
            ("v5.18+B16", "v5.18+B16: v5.18 has B16 already; name the release alone"),
            ("v6.12+B16+B16", "v6.12+B16 has B16 already"),
            ("v7.0+B16", 'v7.0+B16: B16 does not apply to v7.0: it needs fork_order "clone the '),
            ("a\nb", "unknown kernel 'a\\nb'"),
            ("hosts", "unknown kernel 'hosts'"),
        ],
    )
    def test_an_unknown_name(self, name, said):
        """An unknown name is refused in one line, with the nearest one and all that there are."""
        with pytest.raises(UsageError) as caught:
            kernel_named(name)
        assert said in str(caught.value)
        assert str(caught.value).isprintable()

    @pytest.mark.parametrize("name", ["host", "tree:", "tree:/usr/src/linux", "vm:debian"])
    def test_a_subject_that_cannot_run_here(self, name):
        """Other kinds of subject are known, and refused for what they are."""
        with pytest.raises(UnavailableError, match="cannot run here"):
            kernel_named(name)


class TestMain:
    """Exit codes, and what is said."""

    @pytest.mark.parametrize(
        ("error", "code"),
        [
            (TraceError("a.json", "is a directory"), 2),
            (StoreError("a.json cannot be written"), 2),
            (UsageError("unknown law"), 2),
            (UnavailableError("no such machine"), 3),
        ],
    )
    def test_what_is_foreseen(self, capsys, monkeypatch, error, code):
        """A foreseen error is one line with the exit code of the contract, no traceback."""
        assert failing(monkeypatch, error) == code
        assert capsys.readouterr().err == f"anonvma: {error}\n"

    def test_an_interrupt(self, capsys, monkeypatch):
        """Ctrl-C is exit code 130 without a traceback."""
        assert failing(monkeypatch, KeyboardInterrupt()) == 130
        assert capsys.readouterr().err == "anonvma: interrupted\n"

    def test_a_fault_of_our_own(self, capsys, monkeypatch):
        """Anything unforeseen is exit code 70, with a traceback and whose fault it is."""
        assert failing(monkeypatch, ZeroDivisionError("by zero")) == 70
        shown = capsys.readouterr().err
        assert "ZeroDivisionError: by zero" in shown
        assert "Traceback (most recent call last)" in shown
        assert "this is a fault in anonvma" in shown

    def test_a_reader_that_went_away(self, capfd, monkeypatch):
        """A closed pipe is no error to talk about, and nothing was proved to anyone."""
        monkeypatch.setattr(cli, "_drop_output", lambda: None)
        assert failing(monkeypatch, BrokenPipeError()) == 3
        assert capfd.readouterr().err == ""

    def test_the_machines_own_trouble(self, capsys, monkeypatch):
        """An error of the operating system is one line: it is nobody's bug here."""
        monkeypatch.setattr(cli, "_drop_output", lambda: None)
        assert failing(monkeypatch, OSError(28, "No space left on device")) == 2
        assert capsys.readouterr().err == "anonvma: cannot go on: No space left on device\n"

    @pytest.mark.parametrize("argv", [[], ["guess"], ["list"], ["replay"], ["list", "ops", "--js"]])
    def test_bad_usage(self, capsys, argv):
        """Bad usage is exit code 2 and one line; options cannot be abbreviated."""
        assert cli.main(argv) == 2
        said = capsys.readouterr().err
        assert said.startswith("anonvma: ")
        assert said.count("\n") == 1

    def test_the_version(self, capsys):
        """The version is that of the traces' header."""
        assert cli.main(["--version"]) == 0
        assert capsys.readouterr().out.startswith("anonvma ")

    def test_help_names_all_commands_and_exit_codes(self, capsys):
        """The help of the program lists its commands and the contract's exit codes."""
        assert cli.main(["--help"]) == 0
        shown = capsys.readouterr().out
        assert [name for name in COMMANDS if f"\n    {name} " not in shown] == []
        assert "70 a fault in anonvma itself" in shown

    @pytest.mark.parametrize("command", COMMANDS)
    def test_each_command_has_help(self, capsys, command):
        """Each command explains itself."""
        assert cli.main([command, "--help"]) == 0
        assert capsys.readouterr().out.startswith(f"usage: anonvma {command} ")


class TestProcess:
    """The command line as a process."""

    def test_exit_codes_arrive(self, root, tmp_path):
        """What main returns is the exit code of the process."""
        assert command_line(root, "list", "ops").returncode == 0
        assert command_line(root, "list", "bugs").returncode == 2
        assert command_line(root, "replay", "x", "--on", "host").returncode == 3
        missing = command_line(root, "replay", tmp_path / "none.json")
        assert missing.returncode == 2
        assert missing.stderr == f"anonvma: {tmp_path}/none.json: no such file; check the path\n"

    def test_a_full_disk_behind_standard_output(self, root):
        """Output that cannot be written is one line and exit code 2."""
        with Path("/dev/full").open("w") as full:
            done = command_line(root, "list", "invariants", stdout=full)
        assert done.returncode == 2
        assert done.stderr == "anonvma: cannot go on: No space left on device\n"

    def test_a_closed_pipe(self, root):
        """A reader that has gone gets no traceback, nor anyone else."""
        reader, writer = os.pipe()
        os.close(reader)
        done = command_line(root, "list", "invariants", stdout=writer)
        os.close(writer)
        assert (done.returncode, done.stderr) == (3, "")

    def test_a_name_that_the_terminal_cannot_show(self, root, tmp_path):
        """A file name that is no text is shown as escapes, in any locale."""
        name = os.fsencode(tmp_path) + b"/\xff\n.json"
        for encoding in ("ascii", "utf-8"):
            done = command_line(
                root, "replay", name, env=os.environ | {"PYTHONIOENCODING": encoding}
            )
            assert done.returncode == 2
            assert done.stdout == f"ERROR      {tmp_path}/\\udcff\\n.json\n"
            assert len(done.stderr.splitlines()) == 1

    def test_the_command_line_starts_without_hypothesis(self, root):
        """Commands that do not need Hypothesis or rich do not wait for them to load."""
        script = (
            "import sys; from campaign import cli; cli.main(['list', 'ops'])\n"
            "print([m for m in ('hypothesis', 'rich') if m in sys.modules], file=sys.stderr)"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=True
        )
        assert done.stderr == "[]\n"


def test_a_closed_standard_output_is_no_fault():
    """Started with its output closed, a command does its work and ends as ever."""
    command = f"exec {sys.executable} -m campaign.cli list kernels >&-"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


class TestDefectsNamed:
    """What a list of defects means."""

    def test_some(self):
        """Defects are named by their ids, with commas between."""
        assert defects_named("B16") == [DEFECTS["B16"]]
        assert defects_named("B16,B01") == [DEFECTS["B16"], DEFECTS["B01"]]

    def test_all(self):
        """The word all means every one."""
        assert defects_named("all") == list(DEFECTS.values())

    @pytest.mark.parametrize("names", ["", "B99", "B16,", "B16,,B01", "B16 B01", "b16"])
    def test_an_unknown_one(self, names):
        """An unknown defect is refused in one line that lists those that there are."""
        with pytest.raises(UsageError, match=r"unknown defect '.*\(known: B01, ") as caught:
            defects_named(names)
        assert str(caught.value).isprintable()
