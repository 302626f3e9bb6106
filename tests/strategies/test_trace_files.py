# SPDX-License-Identifier: GPL-2.0-only
import os
import tracemalloc

import pytest

from strategies.trace import MAX_BYTES, TraceError, load, printable
from tests.strategies.test_trace import TRACE


class TestFiles:
    """What can be wrong with a file before it is a document."""

    def refusal(self, path):
        """The error for a file, without its name."""
        with pytest.raises(TraceError) as caught:
            load(path)
        error = str(caught.value)
        assert error.startswith(f"{printable(str(path))}: ")
        return error.removeprefix(f"{printable(str(path))}: ")

    def test_a_file_that_is_one(self, tmp_path):
        """A saved trace is loaded from its path."""
        path = tmp_path / "a.json"
        path.write_text(TRACE.to_json_text())
        assert load(path) == load(str(path)) == TRACE

    def test_no_file(self, tmp_path):
        """A path that leads nowhere is refused as such."""
        assert self.refusal(tmp_path / "a.json") == "no such file; check the path"

    def test_a_directory(self, tmp_path):
        """A directory is refused as such."""
        assert self.refusal(tmp_path) == "is a directory; name a trace file in it"

    def test_a_path_through_a_file(self, tmp_path):
        """An operating system's refusal is passed on in its own words."""
        (tmp_path / "a").touch()
        assert "Not a directory" in self.refusal(tmp_path / "a" / "b.json")

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
    def test_a_file_without_permission(self, tmp_path):
        """A file that may not be read is refused as such."""
        path = tmp_path / "a.json"
        path.touch(mode=0)
        assert "Permission denied" in self.refusal(path)

    def test_a_file_that_fails_while_it_is_read(self):
        """An error in the middle of reading is refused like one at the start."""
        assert "cannot be read (" in self.refusal("/proc/self/mem")

    def test_a_fifo(self, tmp_path):
        """A FIFO is refused at once, though nobody writes to it."""
        os.mkfifo(tmp_path / "fifo")
        assert self.refusal(tmp_path / "fifo").startswith("is not a regular file")

    def test_an_endless_device(self):
        """A device that never ends is refused unread."""
        assert self.refusal("/dev/zero").startswith("is not a regular file")

    def test_text_that_is_not_utf_8(self, tmp_path):
        """A byte that is no UTF-8 is refused with its position."""
        path = tmp_path / "a.json"
        path.write_bytes(b'{"format": "\xff"}')
        assert self.refusal(path).startswith("is not UTF-8 text at byte 12")

    def test_a_file_beyond_the_limit(self, tmp_path):
        """A file of a gibibyte is refused without being read."""
        path = tmp_path / "a.json"
        path.touch()
        os.truncate(path, 1 << 30)
        tracemalloc.start()
        try:
            assert self.refusal(path).startswith(f"is larger than {MAX_BYTES >> 20} MiB")
            assert tracemalloc.get_traced_memory()[1] < 1 << 20
        finally:
            tracemalloc.stop()

    def test_a_name_that_would_break_the_line(self, tmp_path):
        """A file name with a line end in it still makes a one-line error."""
        with pytest.raises(TraceError) as caught:
            load(tmp_path / "a\nb\x1b.json")
        assert "a\\nb\\x1b.json: no such file" in str(caught.value)
