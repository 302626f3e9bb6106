# SPDX-License-Identifier: GPL-2.0-only
"""From a tree's C files and the shims to a driver program.

The kernel-side units are compiled freestanding, with no system header at all; the runtime is
ordinary C. A call of something that neither side has is an error here, not when it runs. Each
object is kept under the hash of all that it was made from, so that a change of one function costs
one unit.
"""

from __future__ import annotations

import contextlib
import enum
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs

from subjects.tree.cache import Cache, key_of
from subjects.tree.compiler import Compiler, Rejected, find_compiler
from subjects.tree.emit import SHIMS, Extract, extract
from subjects.tree.errors import NoCompiler, NotFitting, TreeError
from subjects.tree.layout import Level, open_tree
from subjects.tree.probe import probe

_MOST_JOBS = 8

# Version 4 of the line tables: with version 5, gcc 12 and binutils name the wrong file for inline
# functions of headers next to a line directive. Lines are all that is wanted of them.
_DEBUG = ("-gdwarf-4", "-g1")
_COMMON = ("-pipe", "-c", *_DEBUG, "-fno-omit-frame-pointer", "-fno-common", "-std=gnu11")
_KERNEL_SIDE = (
    *_COMMON,
    "-ffreestanding",
    "-nostdinc",
    "-fno-strict-aliasing",
    "-fno-strict-overflow",
    "-fno-delete-null-pointer-checks",
    "-Werror=implicit-function-declaration",
    "-Werror=implicit-int",
    "-Werror=incompatible-pointer-types",
    "-Werror=int-conversion",
    "-Werror=return-type",
)
_HOST_SIDE = (*_COMMON, "-O1")


class Profile(enum.Enum):
    """How a driver is built. Guard pages are the plain program's choice when it starts."""

    PLAIN = "plain"
    GUARD = "guard"
    ASAN = "asan"

    @property
    def kernel_flags(self) -> tuple[str, ...]:
        """The flags of the kernel-side units."""
        # From -O1 on, gcc joins two neighbouring reads into one which its ASan does not check.
        return ("-O0", "-fsanitize=address") if self is Profile.ASAN else ("-O1",)

    @property
    def host_flags(self) -> tuple[str, ...]:
        """The flags of the runtime."""
        return ("-fsanitize=address",) if self is Profile.ASAN else ()

    @property
    def links(self) -> tuple[tuple[str, ...], ...]:
        """The flags to link with; the first that works."""
        # A static program has fewer mappings to copy when it forks: a quarter less processor time
        # per operation. The C library for it is not everywhere.
        return (self.host_flags,) if self is Profile.ASAN else (("-static",), ())


@attrs.frozen
class _Unit:
    """One C file to compile: its text, the flags, and what else its object depends on."""

    name: str
    path: str
    flags: tuple[str, ...]
    key: str
    host: bool


def build(
    made: Extract,
    profile: Profile,
    *,
    cache: Cache | None = None,
    shims: Path = SHIMS,
    compiler: Compiler | None = None,
) -> Path:
    """Return the driver program for a tree, from the cache or newly built.

    Args:
        made: The tree's C files.
        profile: How to build.
        cache: Where to keep it; the user's cache directory by default.
        shims: Where our own C files are.
        compiler: What to compile with; what the machine has by default.

    Raises:
        TreeError: The tree's code does not compile.
        NotFitting: It calls what nobody has, or the stand-ins do not suit it.
        CannotBuild: No compiler, a killed one, or a cache that cannot be written.
    """
    cache = cache or Cache()
    compiler = compiler or find_compiler()
    units = _units(made, profile, shims, compiler)
    name = key_of([*(unit.key for unit in units), repr(profile.links)]) + ".driver"
    built = cache.get(name)
    if built:
        return built
    with cache.workplace() as place:
        made.write(place)
        jobs = min(len(os.sched_getaffinity(0)), _MOST_JOBS)
        with ThreadPoolExecutor(jobs) as pool:
            waiting = [pool.submit(_object, unit, place, cache, compiler) for unit in units]
            objects = [future.result() for future in waiting]
        return cache.publish(_linked(objects, profile, place, compiler), name)


def _units(made: Extract, profile: Profile, shims: Path, compiler: Compiler) -> list[_Unit]:
    """All that is compiled, each with the key of its object."""
    ours = {path.name: path.read_bytes() for path in sorted(shims.glob("*.[ch]"))}
    headers = [part for name, data in ours.items() if name.endswith(".h") for part in (name, data)]
    emitted = [
        part
        for name, text in sorted(made.files.items())
        if name not in made.units
        for part in (name, text)
    ]
    # In no key: where our own files are says nothing about what is in them.
    here = (f"-I{shims}", f"-ffile-prefix-map={shims}=anonvma")
    include = ("-I.", "-Iinclude", *here)
    kernel = (*_KERNEL_SIDE, *profile.kernel_flags)
    host = (*_HOST_SIDE, *profile.host_flags)
    base = (compiler.program, compiler.identity)
    found = []
    for unit in made.units:
        key = key_of([*base, *kernel, *headers, *emitted, unit, made.files[unit]])
        found.append(_Unit(unit, unit, (*kernel, *include), key, host=False))
    for name in (n for n in ours if n.endswith(".c")):
        if name.startswith(("k_a_", "k_b_")) and not name.startswith(f"k_{made.level.lower()}_"):
            continue
        path = str(shims / name)
        if name.startswith("k_"):
            key = key_of([*base, *kernel, *headers, *emitted, name, ours[name]])
            found.append(_Unit(name, path, (*kernel, *include), key, host=False))
        elif name.startswith("h_"):
            key = key_of([*base, *host, *headers, name, ours[name]])
            found.append(_Unit(name, path, (*host, *here), key, host=True))
    return found


def _object(unit: _Unit, place: Path, cache: Cache, compiler: Compiler) -> Path:
    name = unit.key + ".o"
    built = cache.get(name)
    if built:
        return built
    made = f"{unit.name}.o"
    flags = [*unit.flags, f"-ffile-prefix-map={place}=."]
    try:
        compiler.run([*flags, "-o", made, unit.path], place)
    except Rejected as error:
        if unit.host:
            msg = f"{compiler.name} cannot compile ordinary C here: {error}; is libc6-dev there?"
            raise NoCompiler(msg) from None
        raise _explained(error, compiler) from None
    return cache.publish(place / made, name)


def _linked(objects: Sequence[Path], profile: Profile, place: Path, compiler: Compiler) -> Path:
    *first, last = profile.links
    driver = place / "driver"
    arguments = ["-o", driver.name, *map(str, objects)]
    for flags in first:
        with contextlib.suppress(Rejected):
            compiler.run([*flags, *arguments], place)
            return driver
    try:
        compiler.run([*last, *arguments], place)
    except Rejected as error:
        if error.undefined:
            names = ", ".join(error.undefined)
            msg = f"this tree's code needs {names}, which anonvma has no stand-in for"
            raise NotFitting(msg) from None
        msg = f"{compiler.name} cannot link a program here: {error}"
        raise NoCompiler(msg) from None
    return driver


def _explained(error: Rejected, compiler: Compiler) -> TreeError:
    complaint = error.complaint
    if complaint.file and (Path(complaint.file).is_absolute() or "/" not in complaint.file):
        # The place is in our own text, so the tree has something that we did not expect.
        where = f"{Path(complaint.file).name}:{complaint.line}"
        said = f"this tree does not fit anonvma's stand-ins: {where}: {complaint.text}"
        return NotFitting(said)
    said = f"{complaint} ({compiler.name})"
    if "implicit declaration" in said:
        what = "neither the files read from this tree nor anonvma's stand-ins have it"
        return NotFitting(f"{said}; {what}")
    return TreeError(said)


def driver_for(path: Path, level: Level, profile: Profile) -> Path:
    """Return the driver program for the kernel tree at a path; see ``build``."""
    tree = open_tree(path)
    return build(extract(tree, probe(tree), level), profile)
