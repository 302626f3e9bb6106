# SPDX-License-Identifier: GPL-2.0-only
import json

import pytest

from campaign import cli, keep
from campaign.check_expected import Expected, Kind, file_of, load_expected
from campaign.check_run import Check
from campaign.check_traces import Traces, committed
from campaign.store import save_trace
from model.kernels import KERNELS
from strategies import ops
from strategies.trace import Trace, load
from tests.campaign.check_doubles import context

CLEAN_OPS = (ops.mmap("p0", 0, 1), ops.write("p0", 0))


@pytest.fixture
def finding(root, tmp_path):
    """A finding on v5.18 in a directory of findings, as a campaign leaves it."""
    trace = load(root / "tests/traces/double-reuse.json")
    return str(save_trace(tmp_path / "findings", trace, "found"))


@pytest.fixture
def into(tmp_path):
    """An empty directory for traces."""
    directory = tmp_path / "kept"
    directory.mkdir()
    return directory


def anonvma(capsys, *words):
    """Run a command line: exit code, output, errors."""
    code = cli.main([str(word) for word in words])
    return code, *capsys.readouterr()


def clean_trace(directory, kernel="v7.0", name="clean"):
    """A trace that breaks no law anywhere."""
    return save_trace(directory, Trace(kernel=kernel, ops=CLEAN_OPS), name)


def test_a_finding_is_kept_with_what_every_release_shows(finding, into, capsys):
    """The trace and its expectations are written, and what they say is printed."""
    code, out, err = anonvma(capsys, "keep", finding, "--into", into, "--as", "reused-twice")
    assert (code, err) == (0, "")
    kept = into / "reused-twice.json"
    assert load(kept).ops == load(finding).ops
    expected = load_expected(kept, load(kept))
    assert expected["v5.18"] == Expected(Kind.FINDING, "reuse-free/in-use/fork", 6)
    assert expected["v7.0"] == Expected(Kind.CLEAN)
    assert set(KERNELS) <= set(expected)
    assert f"kept      {kept}: reuse-free/in-use/fork at ops[6]" in out
    assert "every law holds: v2.6.34" in out


def test_what_is_kept_is_checked(finding, into, tmp_path, capsys):
    """The check that follows replays the trace, and passes."""
    assert anonvma(capsys, "keep", finding, "--into", into)[0] == 0
    check = Check(sections=[Traces(committed(into))], context=context(tmp_path))
    assert check.run().exit_code == 0


def test_the_default_name_says_what_it_is(finding, into, capsys):
    """Without a name, kernel, law and fingerprint are the name."""
    anonvma(capsys, "keep", finding, "--into", into)
    assert [path.name for path in into.glob("*.json")] == ["v5.18-reuse-free-c7464423.json"]


def test_the_default_directory_is_that_of_the_tests(finding, tmp_path, monkeypatch, capsys):
    """In a checkout, traces go to tests/traces."""
    (tmp_path / "tests/traces").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert anonvma(capsys, "keep", finding)[0] == 0
    assert len(list((tmp_path / "tests/traces").glob("*.json"))) == 1


@pytest.mark.parametrize("command", [["keep", "FINDING"], ["check"]])
def test_elsewhere_it_is_said_what_to_name(finding, tmp_path, monkeypatch, capsys, command):
    """Without tests/traces, one line says which option is wanted."""
    monkeypatch.chdir(tmp_path)
    words = [finding if word == "FINDING" else word for word in command]
    code, _, err = anonvma(capsys, *words)
    assert code == 2
    assert err.startswith("anonvma: ")
    assert "tests/traces here" in err
    assert len(err.splitlines()) == 1


class TestRefused:
    def test_what_finds_nothing(self, tmp_path, into, capsys):
        """A clean trace is not kept by mistake."""
        code, _, err = anonvma(capsys, "keep", clean_trace(tmp_path), "--into", into)
        assert code == 2
        assert "nothing is found on v7.0" in err
        assert list(into.iterdir()) == []

    def test_the_same_operations(self, finding, into, capsys):
        """What is kept already is named."""
        anonvma(capsys, "keep", finding, "--into", into)
        code, _, err = anonvma(capsys, "keep", finding, "--into", into, "--as", "again")
        assert code == 2
        assert "is kept already, as" in err

    def test_the_same_finding(self, finding, into, tmp_path, capsys):
        """Another history of the same finding on the same kernel is kept only if insisted on."""
        anonvma(capsys, "keep", finding, "--into", into)
        trace = load(finding)
        longer = Trace(kernel=trace.kernel, ops=(ops.read("p9", 0), *trace.ops))
        other = save_trace(tmp_path, longer, "other")
        code, _, err = anonvma(capsys, "keep", other, "--into", into)
        assert code == 2
        assert "keep this one too with --anyway" in err
        assert anonvma(capsys, "keep", other, "--into", into, "--anyway")[0] == 0

    def test_a_name_that_is_taken(self, finding, into, capsys):
        """No file is replaced."""
        clean_trace(into, name="taken")
        code, _, err = anonvma(capsys, "keep", finding, "--into", into, "--as", "taken")
        assert code == 2
        assert "choose another name with --as" in err

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["--as", "../up"], "letters, digits"),
            (["--as", ".hidden"], "letters, digits"),
            (["--as", "a", "--update"], "give one TRACE"),
            (["--update", "--clean"], "leave the other options out"),
        ],
    )
    def test_what_makes_no_sense(self, finding, into, capsys, words, said):
        """Bad names and contradictions are said on one line."""
        code, _, err = anonvma(capsys, "keep", finding, *words)
        assert code == 2
        assert said in err
        assert len(err.splitlines()) == 1

    def test_what_is_no_trace(self, tmp_path, into, capsys):
        """A file that is no trace is refused as everywhere."""
        (tmp_path / "a.json").write_text("{}")
        assert anonvma(capsys, "keep", tmp_path / "a.json", "--into", into)[0] == 2

    def test_a_kernel_that_does_not_exist(self, tmp_path, into, capsys):
        """The file that speaks of it is named."""
        path = clean_trace(tmp_path, kernel="v9.9")
        code, _, err = anonvma(capsys, "keep", path, "--clean", "--into", into)
        assert code == 2
        assert "clean.json: unknown kernel" in err

    def test_a_file_as_directory(self, finding, tmp_path, capsys):
        """What is there and is no directory stays as it is."""
        (tmp_path / "a").write_text("text")
        assert anonvma(capsys, "keep", finding, "--into", tmp_path / "a")[0] == 2
        assert (tmp_path / "a").read_text() == "text"

    def test_a_release_that_cannot_run_it(self, tmp_path, into, capsys):
        """A trace that its own kernel cannot run is no use."""
        trace = Trace(kernel="v4.0", ops=(ops.dontunmap("p0", 0, 1, 2),))
        path = save_trace(tmp_path, trace, "a")
        code, _, err = anonvma(capsys, "keep", path, "--into", into)
        assert code == 2
        assert "MREMAP_DONTUNMAP came with v5.7" in err


class TestClean:
    def test_a_false_alarm_is_kept_to_stay_clean(self, tmp_path, into, capsys):
        """A history that breaks no law on any release is kept with that as its expectation."""
        code, out, _ = anonvma(capsys, "keep", clean_trace(tmp_path), "--clean", "--into", into)
        assert code == 0
        assert "no finding, to stay so" in out
        (kept,) = into.glob("*.json")
        assert {each.kind for each in load_expected(kept, load(kept)).values()} == {Kind.CLEAN}

    def test_what_is_found_somewhere_is_not_clean(self, finding, into, capsys):
        """A release that finds something is named."""
        code, _, err = anonvma(capsys, "keep", finding, "--clean", "--into", into)
        assert code == 2
        assert "is not clean on v4.0: reuse-free/in-use/fork" in err


class TestUpdate:
    def test_expectations_are_written_anew(self, finding, into, capsys):
        """What a trace shows now takes the place of what was expected."""
        anonvma(capsys, "keep", finding, "--into", into, "--as", "a")
        beside = file_of(into / "a.json")
        text = beside.read_text()
        document = json.loads(text)
        document["outcomes"] = document["outcomes"][:1]
        beside.write_text(json.dumps(document))
        code, out, _ = anonvma(capsys, "keep", "--update", into / "a.json")
        assert code == 0
        assert beside.read_text() == text
        assert f"updated   {into / 'a.json'}" in out

    def test_a_finding_that_is_gone_is_no_expectation(self, finding, into, capsys):
        """A trace whose own kernel shows another thing now is not waved through."""
        trace = load(finding)
        path = save_trace(into, Trace(kernel="v7.0", ops=trace.ops, finding=trace.finding), "a")
        code, _, err = anonvma(capsys, "keep", "--update", path)
        assert code == 2
        assert "shows nothing on v7.0 now, another thing than it records" in err


def test_a_directory_that_cannot_be_made_is_one_line(finding, tmp_path, monkeypatch, capsys):
    """What cannot be written is said, and nothing is half there."""
    (tmp_path / "a").write_text("")
    with pytest.raises(keep.StoreError, match="cannot be made"):
        keep.save_text(tmp_path / "a/b/c.json", "")
