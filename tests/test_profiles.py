# SPDX-License-Identifier: GPL-2.0-only
"""The Hypothesis profiles: what each promises, and the database that they may share."""

import os
import shutil
import subprocess
import sys
import time

import pytest
from hypothesis import settings
from hypothesis.database import DirectoryBasedExampleDatabase, MultiplexedDatabase

from tests import profiles
from tests.profiles import DATABASE_URL, NIGHTLY_EXAMPLES, ProfileError, load_profile

REDIS = shutil.which("redis-server")

# A test that fails for an argument which nobody meets by luck, and prints whether it met it.
FAILING = """\
# SPDX-License-Identifier: GPL-2.0-only
from hypothesis import given
from hypothesis import strategies as st

SEEN = []

@given(st.binary(min_size=12, max_size=12))
def test_a(data):
    SEEN.append(data)
    if len(SEEN) == 1:
        print("first", data.hex())
    assert data == bytes(12) or data[0] < 128
"""


@pytest.fixture
def as_before():
    """Load the present profile again afterwards."""
    before = settings.get_current_profile_name()
    yield
    load_profile()
    settings.load_profile(before)


@pytest.mark.usefixtures("as_before")
class TestLoading:
    @pytest.mark.parametrize(
        ("environ", "name"),
        [
            ({}, "dev"),
            ({"CI": ""}, "dev"),
            ({"CI": "true"}, "ci"),
            ({"CI": "true", "HYPOTHESIS_PROFILE": "nightly"}, "nightly"),
            ({"CI": "true", "HYPOTHESIS_PROFILE": "dev"}, "dev"),
        ],
    )
    def test_the_environment_picks_the_profile(self, environ, name):
        """CI has its own, a name goes before that, and dev is the default."""
        assert load_profile(environ) == name == settings.get_current_profile_name()

    def test_ci_is_the_same_at_every_run(self):
        """In ci nothing is random, and nothing is remembered."""
        load_profile({"CI": "1"})
        assert (settings().derandomize, settings().database) == (True, None)

    def test_nightly_is_random_in_ci_too(self):
        """In nightly examples differ from run to run, and there are many of them."""
        load_profile({"CI": "1", "HYPOTHESIS_PROFILE": "nightly"})
        assert not settings().derandomize
        assert settings().max_examples == NIGHTLY_EXAMPLES

    @pytest.mark.parametrize("name", profiles.PROFILES)
    def test_time_is_no_failure(self, name):
        """No profile has a deadline."""
        load_profile({"HYPOTHESIS_PROFILE": name})
        assert settings().deadline is None

    @pytest.mark.parametrize("name", ["dev", "nightly"])
    def test_the_database_is_local(self, name, tmp_path):
        """Without a URL, what is found stays in the checkout."""
        load_profile({"HYPOTHESIS_PROFILE": name, "HYPOTHESIS_STORAGE_DIRECTORY": str(tmp_path)})
        assert settings().database == DirectoryBasedExampleDatabase(tmp_path / "examples")

    def test_ci_asks_for_no_server(self):
        """A database that ci would not use need not be there."""
        assert load_profile({"CI": "1", DATABASE_URL: "redis://localhost:1/0"}) == "ci"


@pytest.mark.parametrize("value", ["", "memcached://here", "localhost", "redis://here:port/0"])
def test_what_is_no_url_of_a_server_is_refused(value):
    """Another scheme, or none, is said in one line that does not repeat what may be a secret."""
    with pytest.raises(ProfileError) as caught:
        profiles.redis_database(value)
    assert "\n" not in str(caught.value)
    assert "here" not in str(caught.value)


def test_an_unknown_profile_is_refused():
    """A name that is none is answered with those that are."""
    with pytest.raises(ProfileError, match="dev, ci, nightly"):
        load_profile({"HYPOTHESIS_PROFILE": "weekly"})


def test_a_missing_package_is_one_line(monkeypatch):
    """Where redis is not installed, it is said what to install."""
    monkeypatch.setitem(sys.modules, "redis", None)
    monkeypatch.delitem(sys.modules, "hypothesis.extra.redis", raising=False)
    with pytest.raises(ProfileError, match="pip install redis"):
        profiles.redis_database("redis://localhost/0")


def test_a_dead_server_is_one_line_without_the_password():
    """Where nobody answers, the server is named, and what is secret in its URL is not."""
    pytest.importorskip("redis", reason="the Python package redis is not installed")
    with pytest.raises(ProfileError, match="redis://localhost:1/0 does not answer") as caught:
        profiles.redis_database("redis://me:hunter2@localhost:1/0")
    assert "\n" not in str(caught.value)
    assert "hunter2" not in str(caught.value)


def pytest_in(directory, root, **environ):
    """Run the test in a directory under a profile of this project: its output."""
    env = {name: value for name, value in os.environ.items() if name != "CI"}
    env |= {"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"} | environ
    command = [sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", "test_a.py"]
    done = subprocess.run(
        command, cwd=directory, env=env, capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def checkout(directory):
    """Make a directory with a failing test that uses our profiles."""
    directory.mkdir()
    (directory / "test_a.py").write_text(FAILING)
    (directory / "conftest.py").write_text("from tests.conftest import pytest_configure\n")
    return directory


def first_in(output):
    """The first example that a run tried."""
    return next(line.split()[1] for line in output.splitlines() if line.startswith("first"))


def test_nightly_runs_differ_and_ci_runs_do_not(tmp_path, root):
    """Two ci runs in fresh checkouts fail for the same example, printed as a blob."""
    runs = [pytest_in(checkout(tmp_path / name), root, CI="1") for name in ("a", "b")]
    assert all("1 failed" in run for run in runs)
    assert first_in(runs[0]) == first_in(runs[1])


@pytest.fixture
def server(tmp_path):
    """A Redis server of our own, on a socket in a directory of its own: its URL."""
    redis = pytest.importorskip("redis", reason="the Python package redis is not installed")
    if REDIS is None:
        pytest.skip("redis-server is not installed (Debian: redis-server)")
    socket = tmp_path / "redis.sock"
    options = {"port": 0, "unixsocket": socket, "dir": tmp_path, "save": "", "appendonly": "no"}
    words = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
    process = subprocess.Popen([REDIS, *words], stdout=subprocess.DEVNULL)
    try:
        client = redis.Redis(unix_socket_path=str(socket))
        for _ in range(100):
            try:
                client.ping()
                break
            except redis.exceptions.ConnectionError:
                time.sleep(0.1)
        yield f"unix://{socket}"
    finally:
        process.terminate()
        process.wait()


def test_what_nightly_finds_is_what_dev_starts_with(server, tmp_path, root):
    """A failure found in one checkout is the first example of a run in another."""
    nightly = {"HYPOTHESIS_PROFILE": "nightly", DATABASE_URL: server}
    found = pytest_in(checkout(tmp_path / "nightly"), root, **nightly)
    assert "1 failed" in found
    # The smallest failing example, as Hypothesis shrinks it.
    smallest = "80" + "00" * 11
    with_it = pytest_in(checkout(tmp_path / "dev"), root, **{DATABASE_URL: server})
    assert first_in(with_it) == smallest
    without = pytest_in(checkout(tmp_path / "alone"), root)
    assert first_in(without) != smallest


@pytest.mark.usefixtures("as_before")
def test_dev_only_reads_from_the_server(server, tmp_path):
    """What dev finds is written to its own database and not to the shared one."""
    environ = {DATABASE_URL: server, "HYPOTHESIS_STORAGE_DIRECTORY": str(tmp_path / "local")}
    load_profile(environ)
    database = settings().database
    assert isinstance(database, MultiplexedDatabase)
    database.save(b"key", b"value")
    assert set(database.fetch(b"key")) == {b"value"}
    assert set(profiles.redis_database(server).fetch(b"key")) == set()
    load_profile(environ | {"HYPOTHESIS_PROFILE": "nightly"})
    settings().database.save(b"key", b"value")
    assert set(profiles.redis_database(server).fetch(b"key")) == {b"value"}
