# SPDX-License-Identifier: GPL-2.0-only
"""Exported C programs in tests: compiled with every compiler that is there, and run."""

import os
import shutil
import subprocess

import pytest

from campaign.cli import main
from campaign.export_plan import version_of
from campaign.store import save_trace
from model.kernels import RELEASES

COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]
STRICT = ("-std=gnu11", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Werror")

needs_a_compiler = pytest.mark.skipif(not COMPILERS, reason="no gcc and no clang")


def this_release():
    """Name of the newest model release that is no newer than the machine's kernel."""
    here = tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2])
    return [each.name for each in RELEASES if version_of(each) <= here][-1]


def export_c(tmp_path, trace, *argv):
    """The C file of a trace."""
    file = tmp_path / "reproducer.c"
    path = save_trace(tmp_path, trace, "trace")
    assert main(["export", str(path), "--as", "c", "-o", str(file), *argv]) == 0
    return file


def build(file, compiler):
    """The program that a compiler makes of a C file, without a warning."""
    program = file.with_suffix(f".{compiler}")
    done = subprocess.run(
        [compiler, *STRICT, "-o", program, file],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return program


def execute(program, *argv):
    """Exit code, output and errors of a program."""
    done = subprocess.run(
        [program, *argv], capture_output=True, text=True, check=False, timeout=120
    )
    return done.returncode, done.stdout, done.stderr
