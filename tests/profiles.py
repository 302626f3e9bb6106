# SPDX-License-Identifier: GPL-2.0-only
"""How hard Hypothesis tries, and what it remembers: ``HYPOTHESIS_PROFILE`` picks a profile.

All of them: no deadline, for how long an example takes says how busy the machine is, and nothing
about the model. Hypothesis prints how a failure is made again (``print_blob``), for the example
database of another machine is out of reach.

``dev``, the default. Random, with Hypothesis' own number of examples, for somebody is waiting.
Failures are kept below ``.hypothesis``, which belongs to the checkout, and tried first next time.

``ci``, the default where ``CI`` is set. The same examples at every run: a red run is about the
change that it tests, and not about luck. Without a database, which would bring another run's
examples in (and which Hypothesis does not allow with such runs). It finds nothing new, by design.

``nightly``, for a scheduled run. Truly random, in CI too, and many times as many examples: this is
the run that finds what no pull request did. It is red about the code as it is, whoever changed
it last. What it finds goes into the database, so that the next ``dev`` run starts with it. Large
examples are no reason to stop there: a machine that is slow to generate is given its time.

A database is shared where ``ANONVMA_DATABASE_URL`` names a Redis server (``redis://HOST:PORT/0``,
``rediss://`` with TLS, ``unix://PATH``). The local one stays in front: what is found is written to
both, and without the server's examples nothing changes. Who runs ``dev`` only reads there: what
comes of half an edited model is nobody else's failure. The Python package ``redis`` is needed then,
and only then.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import hypothesis
from hypothesis import HealthCheck
from hypothesis.database import (
    DirectoryBasedExampleDatabase,
    ExampleDatabase,
    MultiplexedDatabase,
    ReadOnlyDatabase,
)

PROFILES = ("dev", "ci", "nightly")

DATABASE_URL = "ANONVMA_DATABASE_URL"

NIGHTLY_EXAMPLES = 2_000
"""Twenty times what ``dev`` has."""

CONNECT_SECONDS = 5.0

_SCHEMES = ("redis", "rediss", "unix")


class ProfileError(Exception):
    """The environment asks for what cannot be had; the text is one line."""


def load_profile(environ: Mapping[str, str] = os.environ) -> str:
    """Register the profiles, load the one that the environment asks for, and return its name.

    Raises:
        ProfileError: There is no such profile, or the shared database cannot be used.
    """
    name = environ.get("HYPOTHESIS_PROFILE") or ("ci" if environ.get("CI") else "dev")
    if name not in PROFILES:
        msg = f"HYPOTHESIS_PROFILE={name!r}: no such profile (there are: {', '.join(PROFILES)})"
        raise ProfileError(msg)
    register = hypothesis.settings.register_profile
    # In CI, settings that are not given would be those of Hypothesis' own profile for it.
    common = {
        "parent": hypothesis.settings.get_profile("default"),
        "deadline": None,
        "print_blob": True,
    }
    url = None if name == "ci" else environ.get(DATABASE_URL)
    local = local_database(environ)
    shared = redis_database(url) if url else None
    register("ci", **common, derandomize=True, database=None)
    register("dev", **common, database=together(local, shared and ReadOnlyDatabase(shared)))
    register(
        "nightly",
        **common,
        max_examples=NIGHTLY_EXAMPLES,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        database=together(local, shared),
    )
    hypothesis.settings.load_profile(name)
    return name


def local_database(environ: Mapping[str, str]) -> ExampleDatabase:
    """Return the example database of this checkout, where Hypothesis has it by default."""
    storage = environ.get("HYPOTHESIS_STORAGE_DIRECTORY") or ".hypothesis"
    return DirectoryBasedExampleDatabase(Path(storage, "examples"))


def together(local: ExampleDatabase, shared: ExampleDatabase | None) -> ExampleDatabase:
    """Return a database that writes to both and reads from both."""
    return local if shared is None else MultiplexedDatabase(local, shared)


def redis_database(url: str) -> ExampleDatabase:
    """Return the example database on a Redis server.

    Raises:
        ProfileError: The URL is none, ``redis`` is not installed, or the server does not answer.
    """
    where = _without_secret(url)
    try:
        # Here, for nobody else needs it.
        from hypothesis.extra.redis import RedisExampleDatabase  # noqa: PLC0415
        from redis import Redis  # noqa: PLC0415
        from redis.exceptions import RedisError  # noqa: PLC0415
    except ImportError:
        msg = f"{DATABASE_URL} is set, but redis is not installed; pip install redis, or unset it"
        raise ProfileError(msg) from None
    try:
        server = Redis.from_url(url, socket_connect_timeout=CONNECT_SECONDS)
        server.ping()
    except (RedisError, OSError, ValueError) as error:
        msg = f"{DATABASE_URL}: {where} does not answer ({_first_line(error)}); start it, or unset"
        raise ProfileError(msg) from None
    return RedisExampleDatabase(server)


def _without_secret(url: str) -> str:
    # A URL may hold a password, and what is printed in CI is read by everybody.
    try:
        parts = urlsplit(url)
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:
        parts, port = urlsplit(""), ""
    if parts.scheme not in _SCHEMES:
        known = ", ".join(f"{scheme}://" for scheme in _SCHEMES)
        msg = f"{DATABASE_URL} is no URL of a Redis server; it begins with one of {known}"
        raise ProfileError(msg)
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"


def _first_line(error: BaseException) -> str:
    lines = str(error).splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}".rstrip(": ")
