# SPDX-License-Identifier: GPL-2.0-only
"""What was built, kept in the user's cache directory under the hash of what it was made from.

A file appears under its key all at once, when it is complete. What a build needs besides lies in a
directory of its own that goes away with it, also when it fails; one that a killed process left
behind goes with the next build.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import attrs

from subjects.tree.errors import CannotBuild

MOST_FILES = 400
"""So many are kept, the last used; a driver and the objects it is made of are about ten."""

_MAKING = "making-"


def default_root() -> Path:
    """Return where builds are kept: ``$XDG_CACHE_HOME/anonvma``, or ``~/.cache/anonvma``."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    # The standard has it ignored unless it is absolute.
    base = Path(home) if Path(home).is_absolute() else Path(os.path.expanduser("~/.cache"))  # noqa: PTH111
    return base / "anonvma"


def key_of(parts: Iterable[str | bytes]) -> str:
    """Return the hash of what something is made from; where one part ends counts."""
    digest = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else part.encode("utf-8", "surrogateescape")
        digest.update(b"%d:" % len(data))
        digest.update(data)
    return digest.hexdigest()[:40]


@attrs.frozen
class Cache:
    """A cache directory; it comes to be with the first build."""

    root: Path = attrs.field(factory=default_root)

    def get(self, name: str) -> Path | None:
        """Return a file that was published, and mark it as used."""
        path = self.root / name
        try:
            os.utime(path)
        except FileNotFoundError:
            return None
        except OSError:  # A cache that may only be read is still one.
            return path if path.is_file() else None
        return path

    def publish(self, made: Path, name: str) -> Path:
        """Give a complete file its name, in place of one that another process made meanwhile.

        Raises:
            CannotBuild: The directory cannot be written.
        """
        with self._reported():
            made.replace(self.root / name)
        return self.root / name

    @contextlib.contextmanager
    def workplace(self) -> Iterator[Path]:
        """Give a directory to build in, on the same file system; it is gone afterwards.

        Raises:
            CannotBuild: The cache cannot be written, or there is no space left.
        """
        with self._reported():
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._sweep()
            place = Path(tempfile.mkdtemp(prefix=f"{_MAKING}{os.getpid()}-", dir=self.root))
        try:
            with self._reported():
                yield place
        finally:
            shutil.rmtree(place, ignore_errors=True)

    @contextlib.contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise CannotBuild(self.complaint(error.strerror or str(error))) from None

    def complaint(self, reason: str) -> str:
        """Return what to say when the directory cannot be used."""
        full = os.strerror(errno.ENOSPC)
        advice = "make room there" if reason == full else "make it writable"
        return f"{self.root}: {reason}; builds are kept there: {advice}, or set XDG_CACHE_HOME"

    def _sweep(self) -> None:
        """Remove what killed builds left, and the files that were not used for longest."""
        files = []
        for path in self.root.iterdir():
            if path.name.startswith(_MAKING):
                if not _is_running(path.name.removeprefix(_MAKING).partition("-")[0]):
                    shutil.rmtree(path, ignore_errors=True)
            elif path.suffix in {".o", ".driver"}:
                with contextlib.suppress(OSError):  # Another process may be sweeping too.
                    files.append((path.stat().st_mtime_ns, path))
        for _, path in sorted(files)[: max(0, len(files) - MOST_FILES)]:
            with contextlib.suppress(OSError):
                path.unlink()


def _is_running(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True
