# SPDX-License-Identifier: GPL-2.0-only
import os
from pathlib import Path

import pytest

from subjects.tree import cache as cache_module
from subjects.tree.cache import Cache, default_root, key_of
from subjects.tree.errors import CannotBuild


@pytest.fixture
def cache(tmp_path):
    """A cache that does not exist yet."""
    return Cache(tmp_path / "home/anonvma")


def put(cache, name, text="x"):
    """Publish a file."""
    with cache.workplace() as place:
        (place / "made").write_text(text)
        return cache.publish(place / "made", name)


def test_where_the_cache_is(monkeypatch):
    """It is below XDG_CACHE_HOME if that is absolute, else below the home directory."""
    monkeypatch.setenv("XDG_CACHE_HOME", "/some/where")
    assert default_root() == Path("/some/where/anonvma")
    monkeypatch.setenv("HOME", "/home/me")
    for ignored in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", ignored)
        assert default_root() == Path("/home/me/.cache/anonvma")


def test_a_key_tells_parts_apart():
    """The same letters in other parts are another key; text and its bytes are the same."""
    assert key_of(["ab", "c"]) != key_of(["a", "bc"]) != key_of(["abc"])
    assert key_of(["a"]) == key_of([b"a"])


def test_what_is_published_is_there(cache):
    """A file is found under its name, and nothing else stays in the directory."""
    assert cache.get("a") is None
    assert put(cache, "a") == cache.get("a")
    assert [path.name for path in cache.root.iterdir()] == ["a"]


def test_nothing_stays_of_a_build_that_fails(cache):
    """The workplace goes away with what is in it, whatever ends the build."""

    def build(error):
        with cache.workplace() as place:
            (place / "half").touch()
            raise error

    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error):
            build(error)
    assert [*cache.root.iterdir()] == []


def test_what_a_killed_process_left_goes_with_the_next_build(cache):
    """A workplace whose process is gone is removed, one that is in use stays."""
    dead = cache.root / f"making-{2**22 + 1}-abc"
    mine = cache.root / f"making-{os.getpid()}-abc"
    dead.mkdir(parents=True)
    mine.mkdir()
    put(cache, "a")
    assert sorted(path.name for path in cache.root.iterdir()) == sorted(["a", mine.name])


def test_the_longest_unused_files_go(cache, monkeypatch):
    """Only so many files are kept; to be found counts as use."""
    monkeypatch.setattr(cache_module, "MOST_FILES", 2)
    for age, name in enumerate(("a.o", "b.o", "c.driver")):
        os.utime(put(cache, name), (age, age))
    assert cache.get("a.o")
    put(cache, "d.o")
    assert sorted(path.name for path in cache.root.iterdir()) == ["a.o", "c.driver", "d.o"]


@pytest.mark.parametrize("where", ["file", "file/below"])
def test_a_cache_that_cannot_be_made(tmp_path, where):
    """A directory that cannot be made is one message with what to do."""
    (tmp_path / "file").touch()
    with pytest.raises(CannotBuild, match="make it writable, or set XDG_CACHE_HOME"):
        put(Cache(tmp_path / where), "a")


def test_a_full_disk(cache):
    """A full disk is one message, and nothing is left."""

    def build():
        with cache.workplace() as place, Path("/dev/full").open("w") as full:
            (place / "half").touch()
            full.write("x")

    with pytest.raises(CannotBuild, match=r"No space left on device; .*: make room there"):
        build()
    assert [*cache.root.iterdir()] == []
