# SPDX-License-Identifier: GPL-2.0-only
import gzip
import io
import json
import os
import tracemalloc

import pytest

from strategies.ops import exit_, fork, madvise, mmap, mprotect, mremap, munmap, read, write
from subjects import recording_reader
from subjects.recording import Header, RecordingError, open_recording

HEADER = {
    "format": "anonvma-recording/1",
    "source": "vm",
    "kernel": "6.12.117",
    "level": "structures",
    "sequences": 1,
}
EMPTY = {"processes": {"0": {"vmas": [], "ptes": {}}}, "anon_vmas": {}, "frames": {}}
VMA = {
    "start": 4,
    "end": 5,
    "pgoff": 4,
    "prot": "rw-",
    "flags": ["account"],
    "anon_vma": 0,
    "chain": [0],
}
ANON_VMA = {
    "root": 0,
    "parent": 0,
    "refcount": 1,
    "num_children": 1,
    "num_active_vmas": 1,
    "tree": [[0, 4]],
}
FRAME = {"mapping": 0, "index": 4, "mapcount": 1, "refcount": 2, "anon_exclusive": True}
STATE = {
    "processes": {"0": {"vmas": [VMA], "ptes": {"4": 0}}},
    "anon_vmas": {"0": ANON_VMA},
    "frames": {"0": FRAME},
}
MMAP = {"op": "mmap", "process": 0, "page": 4, "pages": 1, "prot": "rw-"}


def step(op, ret=0, state=EMPTY):
    """A step as it stands in a file."""
    return {"op": op, "ret": ret, "errno": 0, "state": state}


def sequence(*steps, **fields):
    """A sequence as it stands in a file."""
    return {"seed": 7, "initial": EMPTY, "steps": list(steps), **fields}


def text(*lines):
    """The bytes of a file with these lines."""
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def read_all(path):
    """Read a file to its end: its header and its sequences."""
    with open_recording(str(path)) as opened:
        return opened.header, list(opened.sequences)


def error_of(path):
    """The message of a file that cannot be read, without the name of the file."""
    with pytest.raises(RecordingError) as caught:
        read_all(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert message.isprintable()
    assert len(message) < len(str(path)) + 250
    return message.removeprefix(str(path)).removeprefix(":")


@pytest.fixture
def error_in(tmp_path):
    """A function that writes bytes into a file and says how reading that file fails."""

    def error(data, name="a.ndjson"):
        (tmp_path / name).write_bytes(data)
        return error_of(tmp_path / name)

    return error


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_recording_may_be_packed_or_not(tmp_path, pack):
    """Whether a file is packed is seen from its content."""
    path = tmp_path / "a.ndjson"
    path.write_bytes(pack(text(HEADER, sequence(step(MMAP, 4, STATE)))))
    header, (only,) = read_all(path)
    assert header == Header("6.12.117", 1, None)
    assert (only.line, only.seed, only.initial) == (2, 7, EMPTY)
    assert (only.steps[0].ret, only.steps[0].errno, only.steps[0].state) == (4, 0, STATE)


def test_the_header_may_say_more_than_is_known(tmp_path):
    """Unknown fields of the header are no error."""
    path = tmp_path / "a.ndjson"
    path.write_bytes(text({**HEADER, "weather": {"rain": 0.5}}, sequence()))
    assert read_all(path)[0].sequences == 1


@pytest.mark.parametrize(
    ("recorded", "op"),
    [
        (
            {"op": "mmap", "process": 0, "page": 4, "pages": 2, "prot": "r--"},
            mmap("p0", 4, 2, "r--"),
        ),
        ({"op": "write", "process": 1, "page": 3, "value": 9}, write("p1", 3)),
        ({"op": "read", "process": 1, "page": 3}, read("p1", 3)),
        ({"op": "fork", "process": 1, "child": 12}, fork("p1", "p12")),
        ({"op": "exit", "process": 12}, exit_("p12")),
        ({"op": "munmap", "process": 0, "page": 0, "pages": 9}, munmap("p0", 0, 9)),
        (
            {"op": "mprotect", "process": 0, "page": 1, "pages": 1, "prot": "rw-"},
            mprotect("p0", 1, 1, "rw-"),
        ),
        (
            {"op": "madvise", "process": 0, "page": 1, "pages": 1, "advice": "dofork"},
            madvise("p0", 1, 1, "dofork"),
        ),
        (
            {"op": "mremap", "process": 0, "page": 1, "pages": 2, "target": 8},
            mremap("p0", 1, 2, 8),
        ),
    ],
)
def test_recorded_operations_become_ours(tmp_path, recorded, op):
    """Each kind of recorded operation has its counterpart, process 12 being called p12."""
    path = tmp_path / "a.ndjson"
    path.write_bytes(text(HEADER, sequence(step(recorded))))
    _, (only,) = read_all(path)
    assert only.steps[0].op == op
    assert only.steps[0].value == recorded.get("value", 0)


def test_sequences_are_read_one_by_one(tmp_path):
    """What is wrong in a later line does not keep an earlier one from being read."""
    path = tmp_path / "a.ndjson"
    path.write_bytes(text({**HEADER, "sequences": 2}, sequence()) + b"{")
    with open_recording(str(path)) as opened:
        assert next(opened.sequences).seed == 7
        with pytest.raises(RecordingError, match="line 3: invalid JSON"):
            next(opened.sequences)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"format": "anonvma-recording/2"}, "format version '2', but version 1"),
        ({"format": "anonvma-recording/x" + "9" * 9999}, "format version 'x99"),
        ({"format": "anonvma-trace/1"}, "not an anonvma-recording/1 file"),
        ({"format": 1}, "not an anonvma-recording/1 file"),
        ({"level": "pagemap"}, "unknown level 'pagemap'; 'vm' has structures"),
        ({"source": "host"}, "unknown level 'structures'; 'host' has pagemap"),
        ({"level": "B", "source": "native"}, "'seeds' is missing"),
        ({"level": "A"}, "unknown level 'A'; 'vm' has structures"),
        ({"source": "native"}, "unknown level 'structures'; 'native' has A, B"),
        ({"source": "kvm"}, "source 'kvm' is not read yet, only 'vm', 'host', 'native' are"),
        ({"source": ["vm"]}, "source ['vm'] is not read yet"),
        ({"source": None}, "source None is not read yet"),
        ({"kernel": 6.12}, "kernel: 6.12 is not a string"),
        ({"kernel": "6.1\x1b[2J"}, "'6.1\\x1b[2J' is no kernel release"),
        ({"sequences": 0}, "sequences: 0 is not a number from 1"),
        ({"sequences": True}, "sequences: True is not a number from 1"),
        ({"sequences": 1.0}, "sequences: 1.0 is not a number from 1"),
        ({"ops_per_sequence": "40"}, "ops_per_sequence: '40' is not an integer or null"),
    ],
)
def test_a_header_that_is_not_ours_is_refused(error_in, change, what):
    """What cannot be read because of its header is named on line 1."""
    assert error_in(text({**HEADER, **change})).startswith(f"line 1: {what}")


@pytest.mark.parametrize("name", ["kernel", "sequences"])
def test_a_header_without_a_needed_field_is_refused(error_in, name):
    """A field of the header that is needed and not there is named."""
    header = {key: value for key, value in HEADER.items() if key != name}
    assert error_in(text(header)) == f"line 1: {name!r} is missing"


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "line 1: empty file"),
        (gzip.compress(b"", mtime=0), "line 1: empty file"),
        (b"\n", "line 1: invalid JSON at column 1: Expecting value"),
        (b"[1]\n", "line 1: not an anonvma-recording/1 file"),
        (b"\xff\xfe\n", "line 1: invalid UTF-8 at byte 1"),
        (b"\xef\xbb\xbf{}\n", "line 1: invalid JSON at column 1: Unexpected UTF-8 BOM"),
        (b'{"a": NaN}\n', "line 1: NaN is not a number"),
        (b'{"a": -Infinity}\n', "line 1: -Infinity is not a number"),
        (b'{"a": 1, "a": 2}\n', "line 1: a name appears twice among ['a', 'a']"),
        (b'{"a": ' + b"9" * 5000 + b"}\n", "line 1: invalid JSON: Exceeds the limit"),
        (b"[" * 100_000, "line 1: invalid JSON: "),
        (b"\0" * 100, "line 1: invalid JSON at column 1"),
        (gzip.compress(text(HEADER, sequence()), mtime=0)[:-12], "the gzip file is truncated"),
        (gzip.compress(text(HEADER), mtime=0)[:5], "line 1: the gzip file is truncated"),
        (
            gzip.compress(text(HEADER, sequence()), mtime=0) + b"more",
            "line 3: cannot be read: Not a gzip",
        ),
        (text(HEADER), "line 1: the file ends after 0 of 1 sequences"),
        (text(HEADER, sequence(), sequence()), "line 3: more than the 1 sequences"),
        (text(HEADER, sequence())[:-9], "line 2: invalid JSON"),
        (text(HEADER, sequence()) + b"\n", "line 3: more than the 1 sequences"),
        (text({**HEADER, "ops_per_sequence": 2}, sequence()), "line 2: 0 steps, though the header"),
    ],
)
def test_a_file_that_is_no_recording_is_refused(error_in, data, what):
    """Bytes that are not the lines of a recording are an error in the line where it shows."""
    assert what in error_in(data)


def test_a_packed_file_that_is_damaged_is_refused(error_in):
    """A wrong byte within a gzip file is an error, whatever zlib makes of it."""
    packed = gzip.compress(text(HEADER, *[sequence()] * 9), mtime=0)
    for at in range(10, len(packed)):
        damaged = packed[:at] + bytes([packed[at] ^ 0x55]) + packed[at + 1 :]
        assert "line " in error_in(damaged)


def test_a_name_that_promises_gzip_is_believed(error_in):
    """A file called .gz that is not packed is an error."""
    assert "Not a gzipped file" in error_in(text(HEADER, sequence()), "a.ndjson.gz")


def test_what_is_no_file_is_refused(tmp_path):
    """A missing file, a directory and impossible names are one-line errors about the file."""
    assert error_of(tmp_path / "none") == " No such file or directory"
    assert error_of(tmp_path) == " Is a directory"
    with pytest.raises(RecordingError, match=r"'a\\nb': No such file"):
        read_all("a\nb")
    with pytest.raises(RecordingError, match=r"'a\\x00b': embedded null byte"):
        read_all("a\0b")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_refused(tmp_path):
    """A file that may not be read is an error."""
    path = tmp_path / "a.ndjson"
    path.touch(0)
    assert error_of(path) == " Permission denied"


STEP_PATH = "line 2: steps 0"


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        ([], "line 2: [] is not an object"),
        (sequence(note=1), "line 2: unknown field 'note'"),
        (sequence(seed=True), "line 2: seed: True is not an integer"),
        (sequence(steps={}), "line 2: steps: {} is not an array"),
        (sequence(initial=None), "line 2: initial: None is not an object"),
        (sequence(None), f"{STEP_PATH}: None is not an object"),
        (sequence({"op": MMAP}), f"{STEP_PATH}: 'ret' is missing"),
        (sequence(step({"op": "swap"})), f"{STEP_PATH} op: unknown op 'swap'"),
        (sequence(step({"op": []})), f"{STEP_PATH} op: unknown op []"),
        (sequence(step({})), f"{STEP_PATH} op: unknown op None"),
        (sequence(step({"op": "exit"})), f"{STEP_PATH} op: 'process' is missing"),
        (sequence(step({**MMAP, "fail": 1})), f"{STEP_PATH} op: unknown field 'fail'"),
        (sequence(step({**MMAP, "prot": "rwx"})), """op prot: 'rwx' is not "r--" or "rw-\""""),
        (sequence(step({**MMAP, "page": -1})), "op page: -1 is not a number from 0 to 1048575"),
        (sequence(step({**MMAP, "page": 2**70})), "is not a number from 0 to 1048575"),
        (sequence(step({**MMAP, "pages": 0})), "op pages: 0 is not a number from 1 to 4096"),
        (sequence(step({**MMAP, "pages": 2**40})), "is not a number from 1 to 4096"),
        (sequence(step({**MMAP, "process": "0"})), "op process: '0' is not a number"),
        (sequence(step(MMAP, ret=None)), "steps 0 ret: None is not an integer"),
    ],
)
def test_a_sequence_of_another_form_is_refused(error_in, raw, what):
    """What a sequence or an operation may not be is an error that says where it stands."""
    assert what in error_in(text(HEADER, raw))


def changed(path, value):
    """A copy of STATE with the value at one path replaced or added."""
    state = json.loads(json.dumps(STATE))
    *parents, last = path
    at = state
    for key in parents:
        at = at[key]
    at[last] = value
    return state


IN_VMA = ("processes", "0", "vmas", 0)


def test_a_pagemap_has_less_in_it(error_in, tmp_path):
    """At level "pagemap" a state has no anon_vmas, and nothing of what leads to one."""
    header = {**HEADER, "source": "host", "level": "pagemap"}
    vma = {name: VMA[name] for name in ("start", "end", "prot", "flags")}
    seen = {
        "processes": {"0": {"vmas": [vma], "ptes": {"4": 0}}},
        "frames": {"0": {"mapcount": 1, "anon_exclusive": True}},
    }
    empty = {name: EMPTY[name] for name in seen}
    (tmp_path / "a").write_bytes(text(header, sequence(step(MMAP, 4, seen), initial=empty)))
    read_header, (only,) = read_all(tmp_path / "a")
    assert read_header.level == only.level == "pagemap"
    assert only.steps[0].state == seen
    full = text(header, sequence(step(MMAP, 4, STATE), initial=empty))
    assert "state processes 0 vmas 0: unknown field" in error_in(full)
    assert "vmas 0: 'pgoff' is missing" in error_in(text(HEADER, sequence(step(MMAP, 4, seen))))


@pytest.mark.parametrize(
    ("path", "value", "what"),
    [
        (("more",), {}, "state: unknown field 'more'"),
        (("frames",), [], "state frames: [] is not an object"),
        (("processes", "x"), {}, "state processes: the key 'x' is not a decimal number"),
        (("processes", "01"), {}, "state processes: the key '01' is not a decimal number"),
        (("processes", "٣"), {}, "is not a decimal number"),
        (("processes", "0", "vmas"), {}, "processes 0 vmas: {} is not an array"),
        ((*IN_VMA, "start"), "4", "vmas 0 start: '4' is not an integer"),
        ((*IN_VMA, "prot"), "rw", "vmas 0 prot: 'rw' is not"),
        ((*IN_VMA, "flags"), ["locked"], "vmas 0 flags 0: 'locked' is not"),
        ((*IN_VMA, "anon_vma"), False, "vmas 0 anon_vma: False is not an integer or null"),
        ((*IN_VMA, "chain"), [0, "1"], "vmas 0 chain 1: '1' is not an integer"),
        ((*IN_VMA, "lock"), 1, "vmas 0: unknown field 'lock'"),
        (
            ("processes", "0", "ptes", "4"),
            "swap",
            """ptes 4: 'swap' is not an integer or "zero\"""",
        ),
        (("processes", "0", "ptes", "-1"), 0, "ptes: the key '-1' is not a decimal number"),
        (("anon_vmas", "0", "tree"), [[0, None]], "0 tree 0 1: None is not an integer"),
        (("anon_vmas", "0", "root"), None, "anon_vmas 0 root: None is not an integer"),
        (("anon_vmas", "0", "num_children"), 1.5, "num_children: 1.5 is not an integer or null"),
        (("frames", "0", "anon_exclusive"), 1, "anon_exclusive: 1 is not true or false"),
    ],
)
def test_a_state_of_another_form_is_refused(error_in, path, value, what):
    """Every field of a state has its type, and no state has a field that is not compared."""
    data = text(HEADER, sequence(step(MMAP, 4, changed(path, value))))
    assert what in error_in(data)


def every_field(value, path=()):
    """The paths of all fields of all objects in a state."""
    for key, below in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(value, dict) and not str(key).isdecimal():
            yield (*path, key)
        if isinstance(below, dict | list):
            yield from every_field(below, (*path, key))


@pytest.mark.parametrize(
    "path", list(every_field(STATE)), ids=lambda path: ".".join(map(str, path))
)
def test_every_field_of_a_state_is_needed(error_in, path):
    """A state that lacks any one of its fields is refused, and the field is named."""
    state = changed(path, None)
    *parents, last = path
    at = state
    for key in parents:
        at = at[key]
    del at[last]
    assert f"{last!r} is missing" in error_in(text(HEADER, sequence(step(MMAP, 4, state))))


def test_a_line_has_a_largest_size(error_in, monkeypatch):
    """A line that is too long is refused, even if it is fine otherwise."""
    monkeypatch.setattr(recording_reader, "MAX_LINE", 200)
    assert error_in(text(HEADER, sequence(step(MMAP, 4, STATE)))) == "line 2: longer than 200 bytes"


def test_a_file_has_a_largest_size(error_in, monkeypatch):
    """A file that is too long is refused in the line where it becomes so."""
    monkeypatch.setattr(recording_reader, "MAX_TOTAL", 300)
    data = text({**HEADER, "sequences": 9}, *[sequence()] * 9)
    assert error_in(data) == "line 3: more than 300 bytes up to here"


def test_a_gzip_bomb_costs_no_more_than_a_line(error_in, monkeypatch):
    """Of a small file that unpacks to a large one no more than the longest line is unpacked."""
    monkeypatch.setattr(recording_reader, "MAX_LINE", 1 << 20)
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1) as out:
        for _ in range(64):
            out.write(b" " * (1 << 20))
    tracemalloc.start()
    assert error_in(packed.getvalue()) == "line 1: longer than 1048576 bytes"
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20
