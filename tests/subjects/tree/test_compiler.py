# SPDX-License-Identifier: GPL-2.0-only
import pytest

from subjects.tree import compiler as compiler_module
from subjects.tree.compiler import Compiler, Rejected, find_compiler
from subjects.tree.errors import CannotBuild, NoCompiler


def script(directory, name, body):
    """Put a program on the search path that is a shell script."""
    path = directory / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


def fake(directory, body):
    """A compiler that does what a shell script does."""
    return Compiler(str(script(directory, "cc", body)), "")


def test_gcc_is_taken_before_clang(tmp_path, monkeypatch):
    """The first compiler on the list that can say its version is used."""
    monkeypatch.setenv("PATH", str(tmp_path))
    clang = script(tmp_path, "clang", "echo clang 1; echo more")
    assert find_compiler() == Compiler(str(clang), "clang 1")
    gcc = script(tmp_path, "gcc", "echo gcc 2")
    assert find_compiler() == Compiler(str(gcc), "gcc 2")
    script(tmp_path, "gcc", "exit 1")
    assert find_compiler().name == "clang"


def test_no_compiler(tmp_path, monkeypatch):
    """Without one it is said what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        NoCompiler, match=r"no C compiler \(gcc or clang\).*gcc and libc6-dev on Debian"
    ):
        find_compiler()


def test_the_first_error_counts(tmp_path):
    """Of many complaints the first error is told, with its place."""
    said = "a.c:1:2: warning: w\nIn file included from b.h\n"
    said += "mm/rmap.c:7:5: error: first [-Werror=x]\nx.c:8:1: error: second"
    with pytest.raises(Rejected) as caught:
        fake(tmp_path, f"echo '{said}' >&2; exit 1").run([], tmp_path)
    assert str(caught.value) == "mm/rmap.c:7: first"


def test_what_the_linker_misses(tmp_path):
    """Undefined names are told, each once, in gcc's words and in lld's."""
    said = (
        "mm/rmap.c:3: undefined reference to `f'; undefined symbol: g; undefined reference to `f'"
    )
    with pytest.raises(Rejected) as caught:
        fake(tmp_path, f'echo "{said.replace("`", chr(92) + "`")}" >&2; exit 1').run([], tmp_path)
    assert caught.value.undefined == ("f", "g")


@pytest.mark.parametrize(
    ("body", "how"),
    [
        ("kill -9 $$", "SIGKILL"),
        ("echo 'cc: fatal error: Killed signal terminated program cc1' >&2; exit 1", "killed"),
        ("echo 'cc1: out of memory allocating 65536 bytes' >&2; exit 1", "out of memory"),
    ],
)
def test_a_killed_compiler(tmp_path, body, how):
    """A compiler that was killed, or its working half, is no error in the tree."""
    with pytest.raises(CannotBuild, match=rf"cc was killed \({how}\): is there enough memory"):
        fake(tmp_path, body).run([], tmp_path)


def test_a_compiler_without_space(tmp_path):
    """A disk that is full counts as that, not as an error in the tree."""
    with pytest.raises(OSError, match="No space left on device"):
        fake(tmp_path, "echo 'a.s: No space left on device' >&2; exit 1").run([], tmp_path)


def test_a_compiler_that_does_not_end(tmp_path, monkeypatch):
    """A compiler that takes too long is stopped."""
    monkeypatch.setattr(compiler_module, "_MOST_SECONDS", 0.1)
    with pytest.raises(CannotBuild, match="cc did not end within"):
        fake(tmp_path, "exec sleep 60").run([], tmp_path)


def test_a_compiler_that_went_away(tmp_path):
    """A compiler that cannot be started any more is one message."""
    with pytest.raises(NoCompiler, match="cannot be started: No such file"):
        Compiler(str(tmp_path / "gone"), "").run([], tmp_path)


def test_its_temporary_files_stay_in_the_workplace(tmp_path):
    """It runs in the directory it is given, with nothing to read."""
    fake(tmp_path, 'test "$PWD" = "$TMPDIR" && test "$(cat)" = ""').run([], tmp_path)


def test_the_environment_adds_no_headers(tmp_path, monkeypatch):
    """Variables with which a compiler finds other headers do not reach it."""
    monkeypatch.setenv("CPATH", "/elsewhere")
    fake(tmp_path, 'test -z "$CPATH" && test "$LC_ALL" = C').run([], tmp_path)
