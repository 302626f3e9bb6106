# SPDX-License-Identifier: GPL-2.0-only
import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import attrs
import pytest
from hypothesis import given

from campaign import store
from campaign.execute import Finding
from campaign.store import StoreError, fingerprint, recorded, save_trace, stem_of, write_atomic
from strategies.contention import Contention
from strategies.ops import exit_, fork, mmap
from strategies.trace import Trace, load
from tests.strategies.test_trace import op_lists

FINDING = Finding("reuse-free", "in-use", "fork", 1, "in\nuse", ("B16",))
TRACE = Trace(
    kernel="v6.12+B16", ops=(mmap("p0", 0), fork("p0", "p1")), finding=recorded(FINDING), seed=1
)


def names(directory):
    """The names in a directory, hidden ones included, sorted."""
    return sorted(path.name for path in directory.iterdir())


def failing(error):
    """A function that fails as the operating system would, whatever it is called with."""

    def fail(*_args, **_kwargs):
        raise OSError(error, os.strerror(error))

    return fail


class TestWriteAtomic:
    """Writing a file wholly or not at all."""

    def test_the_file_has_the_text(self, tmp_path):
        """The text arrives, in UTF-8, and nothing is left beside it."""
        write_atomic(tmp_path / "a", "äb\n")
        assert (tmp_path / "a").read_bytes() == "äb\n".encode()
        assert names(tmp_path) == ["a"]

    def test_the_permissions_are_the_users_usual_ones(self, tmp_path):
        """A written file may be read by whom the user's umask lets read."""
        (tmp_path / "usual").touch()
        write_atomic(tmp_path / "a", "x")
        usual = (tmp_path / "usual").stat().st_mode
        assert (tmp_path / "a").stat().st_mode == usual

    @pytest.mark.parametrize("step", ["fsync", "replace"])
    @pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EACCES])
    def test_what_fails_leaves_what_was_there(self, tmp_path, monkeypatch, step, error):
        """When the disk is full, one line says so; the old file is whole and nothing beside it."""
        (tmp_path / "a").write_text("old")
        monkeypatch.setattr(
            *((os, "fsync") if step == "fsync" else (Path, "replace")), failing(error)
        )
        with pytest.raises(StoreError) as caught:
            write_atomic(tmp_path / "a", "new")
        assert str(caught.value) == f"{tmp_path}/a cannot be written: {os.strerror(error)}"
        assert (tmp_path / "a").read_text() == "old"
        assert names(tmp_path) == ["a"]

    def test_a_file_that_may_not_grow(self, tmp_path):
        """A real limit, met in the middle of writing, leaves nothing behind."""
        script = (
            "import resource, sys; from campaign.store import *\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
            "try: write_atomic(sys.argv[1], 'x' * 100_000)\n"
            "except StoreError as error: print(error)"
        )
        done = subprocess.run(
            [sys.executable, "-c", script, tmp_path / "a"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == f"{tmp_path}/a cannot be written: File too large\n"
        assert names(tmp_path) == []

    def test_an_interrupt_leaves_nothing_half_written(self, tmp_path, monkeypatch):
        """Ctrl-C while writing removes the unfinished file and goes on up."""

        def interrupted(_descriptor):
            raise KeyboardInterrupt

        monkeypatch.setattr(os, "fsync", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write_atomic(tmp_path / "a", "x")
        assert names(tmp_path) == []

    def test_a_directory_that_is_not_there(self, tmp_path):
        """A path into nowhere is refused in one line."""
        with pytest.raises(StoreError, match="b/a cannot be written: No such file or directory"):
            write_atomic(tmp_path / "b" / "a", "x")

    def test_what_is_no_file_is_not_replaced(self, tmp_path):
        """A directory or a FIFO (or a device) is refused and stays what it is."""
        os.mkfifo(tmp_path / "fifo")
        (tmp_path / "directory").mkdir()
        for name in ("fifo", "directory"):
            with pytest.raises(StoreError, match="not a regular file"):
                write_atomic(tmp_path / name, "x")
        assert (tmp_path / "fifo").is_fifo()
        assert names(tmp_path) == ["directory", "fifo"]

    def test_a_symbolic_link_stays_one(self, tmp_path):
        """Writing to a link writes to where it points."""
        (tmp_path / "link").symlink_to("a")
        write_atomic(tmp_path / "link", "x")
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "a").read_text() == "x"


class TestNames:
    """File names of traces."""

    def test_a_name_says_kernel_and_law(self):
        """A name is kernel, law and fingerprint; a raw trace says that it is one."""
        assert stem_of(TRACE) == f"v6.12+B16-reuse-free-{fingerprint(TRACE.ops)}"
        assert stem_of(TRACE, raw=True) == f"{stem_of(TRACE)}.raw"
        clean = attrs.evolve(TRACE, finding=None)
        assert stem_of(clean) == f"v6.12+B16-no-finding-{fingerprint(TRACE.ops)}"

    @pytest.mark.parametrize("kernel", ["tree:/usr/src/linux", "../../x", ".hidden", "v" * 300])
    def test_a_name_stays_in_its_directory(self, kernel, tmp_path):
        """Whatever a subject is called, its traces are plain visible files in the directory."""
        path = save_trace(tmp_path, attrs.evolve(TRACE, kernel=kernel))
        assert path.parent == tmp_path
        assert names(tmp_path) == [path.name]
        assert not path.name.startswith(".")

    @given(op_lists(), op_lists())
    def test_the_fingerprint_is_of_the_operations(self, one, other):
        """Lists of operations have the same eight digits when they are equal, and else others."""
        assert len(fingerprint(one)) == 8
        assert (fingerprint(one) == fingerprint(list(other))) is (one == other)

    def test_the_fingerprint_never_changes(self):
        """The digits are pinned: files of earlier versions keep their names."""
        assert fingerprint([mmap("p0", 0), fork("p0", "p1"), exit_("p1")]) == "f1157eff"


class TestSaveTrace:
    """Traces in a directory."""

    def test_what_is_saved_can_be_loaded(self, tmp_path):
        """A trace is saved under its name, in a directory made for it, and loads as it was."""
        path = save_trace(tmp_path / "a" / "b", TRACE)
        assert path == tmp_path / "a" / "b" / f"{stem_of(TRACE)}.json"
        assert load(path) == TRACE

    def test_a_name_of_ones_own(self, tmp_path):
        """The caller may name the file."""
        assert save_trace(tmp_path, TRACE, stem_of(TRACE, raw=True)).name.endswith(".raw.json")

    def test_saving_again(self, tmp_path):
        """The same trace twice is one file with the same text."""
        first = save_trace(tmp_path, TRACE).read_text()
        assert save_trace(tmp_path, TRACE).read_text() == first
        assert len(names(tmp_path)) == 1

    def test_a_directory_that_cannot_be_made(self, tmp_path):
        """A file where the directory should be is refused in one line."""
        (tmp_path / "a").touch()
        with pytest.raises(StoreError, match=r"a/b cannot be written: Not a directory$"):
            save_trace(tmp_path / "a" / "b", TRACE)

    def test_what_is_recorded_of_a_finding(self, tmp_path):
        """Every field of a finding is kept, its message on one line."""
        raced = attrs.evolve(FINDING, contention=Contention.RACE)
        trace = attrs.evolve(TRACE, finding=recorded(raced))
        saved = json.loads(save_trace(tmp_path, trace).read_text())["finding"]
        kept = attrs.asdict(raced) | {"defects": ["B16"], "message": "in use"}
        kept["op"] = kept.pop("op_kind")
        assert saved == kept
        assert recorded(FINDING).bucket == FINDING.bucket
        assert store.recorded(None) is None
