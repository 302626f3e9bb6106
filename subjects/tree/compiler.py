# SPDX-License-Identifier: GPL-2.0-only
"""The C compiler: which one there is, how it is run, and what its complaints mean."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import attrs

from subjects.tree.errors import CannotBuild, NoCompiler

COMPILERS = ("gcc", "clang")
"""The first that is there is used."""

INSTALL = "install one: gcc and libc6-dev on Debian and Ubuntu, gcc and glibc-devel on Fedora"

_MOST_SECONDS = 120
# They add directories to search, or write files that nobody asked for.
_MEDDLING = ("CPATH", "C_INCLUDE_PATH", "DEPENDENCIES_OUTPUT", "SUNPRO_DEPENDENCIES")
_ERROR = re.compile(
    r"^([^\s:][^:\n]*):(\d+):(?:\d+:)? (?:fatal )?error: (.*?)(?: \[-W[^]]*\])?$", re.MULTILINE
)
_UNDEFINED = re.compile(r"undefined (?:reference to|symbol:) [`']?([A-Za-z_]\w*)")
_NO_SPACE = "No space left on device"


@attrs.frozen
class Complaint:
    """The first error of a compiler.

    Attributes:
        file: Where it is, as the line directives say; empty when the compiler did not say.
        line: The line; 0 likewise.
        text: What is wrong.
    """

    file: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.text}" if self.file else self.text


class Rejected(Exception):
    """The compiler or the linker refused its input."""

    def __init__(self, complaint: Complaint, undefined: Sequence[str]) -> None:
        super().__init__(str(complaint))
        self.complaint = complaint
        self.undefined = tuple(undefined)


@attrs.frozen
class Compiler:
    """A compiler of this machine.

    Attributes:
        program: Its absolute path.
        identity: What it says about its version; part of the key of all that it makes.
    """

    program: str
    identity: str

    @property
    def name(self) -> str:
        """Its name without the directory."""
        return Path(self.program).name

    def run(self, arguments: Sequence[str], directory: Path) -> None:
        """Run it in a directory; its temporary files stay there.

        Raises:
            Rejected: It refused its input.
            CannotBuild: It was killed, took too long or had no space.
        """
        env = {name: value for name, value in os.environ.items() if name not in _MEDDLING}
        env |= {"LC_ALL": "C", "TMPDIR": str(directory)}
        command = [self.program, *arguments]
        try:
            done = subprocess.run(  # noqa: S603 - our own compiler, our own arguments
                command,
                cwd=directory,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=_MOST_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            msg = f"{self.name} did not end within {_MOST_SECONDS} seconds"
            raise CannotBuild(msg) from None
        except OSError as error:
            msg = f"{self.program} cannot be started: {error.strerror}; {INSTALL}"
            raise NoCompiler(msg) from None
        if done.returncode == 0:
            return
        said = done.stderr.decode("utf-8", "replace")
        killed = _killed(done.returncode, said)
        if killed:
            msg = f"{self.name} was killed ({killed}): is there enough memory?"
            raise CannotBuild(msg)
        if _NO_SPACE in said:
            raise OSError(28, _NO_SPACE)
        raise Rejected(_first_error(said), tuple(dict.fromkeys(_UNDEFINED.findall(said))))


def find_compiler() -> Compiler:
    """Return the compiler that builds are made with.

    Raises:
        NoCompiler: There is none.
    """
    for name in COMPILERS:
        program = shutil.which(name)
        if program is None:
            continue
        try:
            said = subprocess.run(  # noqa: S603 - what the search path has
                [program, "--version"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_MOST_SECONDS,
                check=True,
            ).stdout
        except (OSError, subprocess.SubprocessError):
            continue
        return Compiler(program, said.decode("utf-8", "replace").partition("\n")[0])
    msg = f"no C compiler ({' or '.join(COMPILERS)}) on the search path; {INSTALL}"
    raise NoCompiler(msg)


def _killed(code: int, said: str) -> str:
    """The signal that ended the compiler, or the part of it that does the work."""
    if code < 0:
        return signal.Signals(-code).name if -code in {*signal.Signals} else f"signal {-code}"
    match = re.search(r"fatal error: (Killed|Terminated) signal|(?:out of|virtual) memory", said)
    return (match[1] or "out of memory").lower() if match else ""


def _first_error(said: str) -> Complaint:
    match = _ERROR.search(said)
    if match:
        return Complaint(match[1], int(match[2]), match[3])
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    worst = next((line for line in lines if "error" in line or "undefined" in line), "")
    return Complaint("", 0, worst or (lines[0] if lines else "no reason given"))
