# SPDX-License-Identifier: GPL-2.0-only
import copy
import json

import pytest

from subjects.recording import Header, RecordingError, open_recording
from subjects.recording_native import NativeOp

HEADER = {
    "format": "anonvma-recording/1",
    "source": "native",
    "kernel": "6.12.117",
    "level": "A",
    "distribution": "A-forkexit-fail",
    "description": "by hand",
    "seeds": {"first": 7, "count": 1},
    "ops_per_sequence": 1,
    "config": {"set": [], "note": ""},
    "note": "",
}
VMA = {
    "id": 0,
    "mm": 0,
    "start": 65536,
    "end": 131072,
    "pgoff": 16,
    "anon_vma": 0,
    "chain": [0],
}
ANON_VMA = {
    "id": 0,
    "root": 0,
    "parent": 0,
    "refcount": 1,
    "degree": None,
    "num_children": 1,
    "num_active_vmas": 1,
    "tree": [0],
}
STATE = {"vmas": [VMA], "anon_vmas": [ANON_VMA], "live_anon_vmas": 1, "live_avcs": 1}
FAILED = {"id": 1, "anon_vma": None, "chain": []}
FORK = {
    "i": 0,
    "op": "fork",
    "args": {"parent": 0, "child": 1, "vmas": [[0, 1]]},
    "fail": [0, 1],
    "rc": -12,
    "allocs": [["anon_vma_chain", "GFP_NOWAIT|__GFP_NOWARN", False]],
    "events": [
        ["alloc", 0],
        ["down_write", 0],
        ["free", "anon_vma_chain"],
        ["up_write", 0],
        ["free", "anon_vma", 3],
        ["free", "vm_area_struct", 1],
    ],
    "state": STATE,
    "failed_vma": FAILED,
}
MREMAP = {
    "i": 0,
    "op": "mremap",
    "args": {"mm": 0, "start": 4096, "len": 8192, "to": 65536},
    "fail": [],
    "rc": 0,
    "allocs": [["vm_area_struct", None, True]],
    "events": [["alloc", 0]],
    "state": {**STATE, "vmas": [{**VMA, "flags": 3}]},
    "rmap_misses": 0,
}


def file_of(step, **header):
    """The bytes of a recording with one step."""
    level = "B" if "rmap_misses" in step else "A"
    lines = [{**HEADER, "level": level, **header}, {"seed": 7, "steps": [step]}]
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


@pytest.fixture
def read(tmp_path):
    """A function that reads bytes as a recording: its header and its sequences."""

    def read(data):
        path = tmp_path / "a.ndjson"
        path.write_bytes(data)
        with open_recording(str(path)) as recording:
            return recording.header, list(recording.sequences)

    return read


@pytest.fixture
def error_in(read, tmp_path):
    """A function that says how reading some bytes fails, without the name of the file."""

    def error(data):
        with pytest.raises(RecordingError) as caught:
            read(data)
        message = str(caught.value)
        assert message.isprintable()
        return message.removeprefix(f"{tmp_path / 'a.ndjson'}:")

    return error


def changed(step, path, value):
    """A copy of a step with the value at one path replaced or added."""
    step = copy.deepcopy(step)
    *parents, last = path
    at = step
    for key in parents:
        at = at[key]
    at[last] = value
    return step


def test_a_native_recording_is_read(read):
    """Level, seed, operation and outcome are those of the file."""
    header, (only,) = read(file_of(FORK))
    assert header == Header("6.12.117", 1, 1, "A", 7)
    assert (only.line, only.seed, only.level) == (2, 7, "A")
    (step,) = only.steps
    assert step.op == NativeOp("fork", FORK["args"], (0, 1))
    names = ("rc", "allocs", "events", "state", "failed_vma")
    assert step.outcome == {name: FORK[name] for name in names}


def test_level_b_has_flags_and_misses(read):
    """At level B VMAs have access flags, and every step says how many pages a walk misses."""
    header, (only,) = read(file_of(MREMAP))
    assert (header.level, only.level) == ("B", "B")
    assert only.steps[0].outcome["rmap_misses"] == 0
    assert only.steps[0].outcome["state"]["vmas"][0]["flags"] == 3


@pytest.mark.parametrize(
    ("op", "text"),
    [
        (
            NativeOp("mremap", MREMAP["args"]),
            "mremap(mm 0, start 0x1000, len 0x2000, to 0x10000)",
        ),
        (
            NativeOp("fault", {"mm": 1, "vma": 2, "offer": None}, (3,)),
            "fault(mm 1, vma 2, offer NULL) [allocation 3 fails]",
        ),
        (
            NativeOp("fork", FORK["args"], (0, 1)),
            "fork(parent 0, child 1, vmas [[0, 1]]) [allocations 0, 1 fail]",
        ),
    ],
)
def test_an_operation_is_written_like_a_call(op, text):
    """Addresses are hexadecimal, and a failure mask is part of the operation."""
    assert str(op) == text


def test_an_operation_as_json_is_that_of_the_file():
    """What a report says of an operation can be put back into a recording."""
    op = NativeOp("exit", {"mm": 4}, (2,))
    assert op.to_json() == {"op": "exit", "args": {"mm": 4}, "fail": [2]}


@pytest.mark.parametrize(
    ("header", "what"),
    [
        ({"level": "C"}, "unknown level 'C'; 'native' has A, B"),
        ({"seeds": None}, "seeds: None is not an object"),
        ({"seeds": {"first": 7}}, "seeds: 'count' is missing"),
        ({"seeds": {"first": -1, "count": 1}}, "seeds first: -1 is not a number from 0"),
        ({"seeds": {"first": 7, "count": 0}}, "seeds count: 0 is not a number from 1"),
        ({"ops_per_sequence": None}, "ops_per_sequence: None is not a number from 1"),
        ({"kernel": "6.12 "}, "'6.12 ' is no kernel release"),
    ],
)
def test_a_header_of_another_form_is_refused(error_in, header, what):
    """What the header needs is checked before anything else is read."""
    assert error_in(file_of(FORK, **header)).startswith(f"line 1: {what}")


def test_seeds_are_those_announced(error_in):
    """Seeds are consecutive, from the first that the header names."""
    data = file_of(FORK, seeds={"first": 6, "count": 1})
    assert error_in(data) == "line 2: seed: 7 is not 6, the next one that the header announces"


def test_the_number_of_steps_is_that_announced(error_in):
    """A sequence has as many operations as the header says."""
    assert (
        error_in(file_of(FORK, ops_per_sequence=2)) == "line 2: 1 steps, though the header says 2"
    )


@pytest.mark.parametrize(
    ("step", "path", "value", "what"),
    [
        (FORK, ("i",), 1, "i: 1 is not 0"),
        (FORK, ("op",), "mmap", "unknown op 'mmap' at level A"),
        (MREMAP, ("op",), "unlink", "unknown op 'unlink' at level B"),
        (FORK, ("note",), 1, "unknown field 'note'"),
        (FORK, ("args", "vmas"), [[0]], "args vmas 0: [0] is not an array of 2"),
        (FORK, ("args", "vmas"), [[0, "1"]], "args vmas 0 1: '1' is not a number"),
        (FORK, ("args", "who"), 1, "args: unknown field 'who'"),
        (MREMAP, ("args", "len"), 0, "args len: 0 is not a multiple of 4096 from 4096"),
        (MREMAP, ("args", "to"), 5000, "args to: 5000 is not a multiple of 4096 from 0"),
        (FORK, ("fail",), [64], "fail 0: 64 is not a number from 0 to 63"),
        (FORK, ("fail",), [1, 0], "fail: [1, 0] is not ascending"),
        (FORK, ("fail",), [1, 1], "fail: [1, 1] is not ascending"),
        (FORK, ("rc",), None, "rc: None is not an integer"),
        (FORK, ("allocs", 0, 0), "slab", "allocs 0 0: 'slab' is not"),
        (FORK, ("allocs", 0, 1), None, "allocs 0: None is not the gfp of any anon_vma_chain"),
        (FORK, ("allocs", 0, 1), "GFP_ATOMIC", "allocs 0 1: 'GFP_ATOMIC' is not"),
        (MREMAP, ("allocs", 0, 1), "GFP_KERNEL", "'GFP_KERNEL' is not the gfp of any vm_area"),
        (FORK, ("allocs", 0, 2), 1, "allocs 0 2: 1 is not true or false"),
        (FORK, ("events", 0), ["alloc"], "events 0: ['alloc'] is not an array of 2"),
        (FORK, ("events", 0), ["alloc", True], "events 0 1: True is not a number"),
        (FORK, ("events", 1), ["down_read", 0], "events 1: unknown event ['down_read', 0]"),
        (FORK, ("events", 2), ["free"], "events 2: unknown event ['free']"),
        (FORK, ("events", 2), ["free", "page"], "events 2: unknown event ['free', 'page']"),
        (FORK, ("events", 2), ["free", "anon_vma"], "is not an array of 3"),
        (FORK, ("events", 2), ["free", "anon_vma_chain", 1], "is not an array of 2"),
        (FORK, ("events", 2), [], "events 2: unknown event []"),
        (FORK, ("events", 2), None, "events 2: unknown event None"),
        (FORK, ("state", "vmas"), [VMA, VMA], "ids [0, 0] are not in order of creation"),
        (FORK, ("state", "anon_vmas"), [{**ANON_VMA, "id": 1}, ANON_VMA], "ids [1, 0] are not"),
        (FORK, ("state", "vmas", 0, "anon_vma"), "stale", "anon_vma: 'stale' is not an integer"),
        (FORK, ("state", "vmas", 0, "flags"), 3, "vmas 0: unknown field 'flags'"),
        (FORK, ("state", "anon_vmas", 0, "degree"), 1.0, "degree: 1.0 is not an integer or null"),
        (FORK, ("state", "anon_vmas", 0, "refcount"), None, "refcount: None is not an integer"),
        (FORK, ("failed_vma", "chain"), None, "failed_vma chain: None is not an array"),
        (changed(FORK, ("op",), "exit"), ("args",), {}, "unknown field 'failed_vma'"),
        (MREMAP, ("failed_vma",), FAILED, "unknown field 'failed_vma'"),
        (MREMAP, ("rmap_misses",), None, "rmap_misses: None is not an integer"),
    ],
)
def test_a_step_of_another_form_is_refused(error_in, step, path, value, what):
    """Every field of a step has its type, and no step has a field that is not compared."""
    message = error_in(file_of(changed(step, path, value)))
    assert message.startswith("line 2: steps 0")
    assert what in message


@pytest.mark.parametrize("prot", [0, 2, True, "r--"])
def test_only_two_protections_are_known(error_in, prot):
    """The prot of an operation is 1 (read) or 3 (read and write)."""
    args = {"mm": 0, "start": 0, "len": 4096, "prot": prot}
    step = {**MREMAP, "op": "mmap", "args": args}
    assert f"{prot!r} is neither 1 (read) nor 3 (read and write)" in error_in(file_of(step))


def test_a_fault_of_the_recorded_kernel_is_an_event(read):
    """A warning or a locking error of the kernel is no error of the recording."""
    events = [["warn", "mm/rmap.c:123"], ["lockerr", 0, None], ["bug"]]
    _, (only,) = read(file_of({**FORK, "events": events}))
    assert only.steps[0].outcome["events"] == events


def every_field(value, path=()):
    """The paths of all fields of all objects in a step, but for the arguments."""
    for key, below in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(value, dict):
            yield (*path, key)
        if isinstance(below, dict | list) and key != "args":
            yield from every_field(below, (*path, key))


@pytest.mark.parametrize(
    ("step", "path"),
    [
        *((FORK, path) for path in every_field(FORK) if path != ("failed_vma",)),
        *((MREMAP, path) for path in every_field(MREMAP) if path != ("rmap_misses",)),
        *((FORK, ("args", name)) for name in FORK["args"]),
        *((MREMAP, ("args", name)) for name in MREMAP["args"]),
    ],
    ids=lambda value: ".".join(map(str, value)) if isinstance(value, tuple) else value["op"],
)
def test_every_field_is_needed(error_in, step, path):
    """A step that lacks any one of its fields is refused, and the field is named."""
    step = copy.deepcopy(step)
    *parents, last = path
    at = step
    for key in parents:
        at = at[key]
    del at[last]
    assert f"{last!r} is missing" in error_in(file_of(step))


def test_level_b_needs_the_misses(error_in):
    """A step of level B that does not count the pages that a walk misses is refused."""
    step = {name: value for name, value in MREMAP.items() if name != "rmap_misses"}
    assert error_in(file_of(step, level="B")) == "line 2: steps 0: 'rmap_misses' is missing"
