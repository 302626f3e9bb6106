# SPDX-License-Identifier: GPL-2.0-only
import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies import ops
from strategies.ops import (
    CHOICES,
    DESCRIPTIONS,
    FIELDS,
    MAX_FAILING,
    MAX_LENGTH,
    MAX_PAGE,
    Op,
    OpKind,
)

LABELS = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,31}", fullmatch=True)
MASKS = st.just(0) | st.integers(0, (1 << MAX_FAILING) - 1)


@st.composite
def operations(draw, kinds=tuple(OpKind)):
    """Any operation of some kinds that a trace can hold, with any allocations failing."""
    kind = draw(st.sampled_from(kinds))
    fields = {"process": draw(LABELS), "fail": draw(MASKS)}
    names = FIELDS[kind]
    if "child" in names:
        fields["child"] = draw(LABELS.filter(lambda label: label != ops.FIRST_PROCESS))
    if "pages" in names:
        fields["pages"] = draw(st.integers(1, MAX_LENGTH))
    for name in names:
        if name in {"page", "target"}:
            fields[name] = draw(st.integers(0, MAX_PAGE - fields.get("pages", 1)))
        elif name in CHOICES:
            fields[name] = draw(st.sampled_from(CHOICES[name]))
    return Op(kind, **fields)


@given(operations())
def test_the_json_form_has_the_fields_of_the_kind_and_no_other(op):
    """An operation is an object of its kind, process and FIELDS, and of what fails, if it does."""
    fails = ["fail_nth"] if op.fail else []
    assert list(op.to_json()) == ["op", "process", *FIELDS[op.kind], *fails]


@given(operations())
def test_the_json_form_says_everything(op):
    """An operation is what its JSON form says and defaults otherwise."""
    fields = op.to_json()
    fails = fields.pop("fail_nth", ())
    assert Op(OpKind(fields.pop("op")), **fields).failing(*fails) == op


@given(st.sets(st.integers(0, MAX_FAILING - 1)))
def test_failing_allocations_are_numbers(numbers):
    """The allocations that fail go in as numbers in any order and come out ascending."""
    op = ops.fork("p0", "p1").failing(*numbers)
    assert op.fail_nth == tuple(sorted(numbers))
    assert op.fail == sum(1 << nth for nth in numbers)


def test_failing_says_all_that_fails():
    """What failed before is not added to, and a number given twice counts once."""
    assert ops.exit_("p0").failing(3).failing(1, 1).fail_nth == (1,)
    assert ops.exit_("p0").failing(3).failing() == ops.exit_("p0")


@given(operations(), operations())
def test_operations_are_values(one, other):
    """Operations with the same fields are equal and have the same hash; others are not equal."""
    assert (one == other) is (one.to_json() == other.to_json())
    assert hash(one) == hash(attrs.evolve(one))


@given(operations())
def test_a_reader_can_tell_who_does_what(op):
    """The text of an operation names its process, and its child before an equals sign."""
    text = str(op)
    assert op.process in text
    assert text.startswith(f"{op.child} = fork(") is (op.kind is OpKind.FORK)


@pytest.mark.parametrize(
    ("op", "text"),
    [
        (ops.mmap("p0", 0), "mmap(p0, page 0, rw-)"),
        (ops.mmap("p0", 2, 4, "r--"), "mmap(p0, pages 2-5, r--)"),
        (ops.write("p1", 7), "write(p1, page 7)"),
        (ops.read("p1", 7), "read(p1, page 7)"),
        (ops.fork("p1", "p2"), "p2 = fork(p1)"),
        (ops.exit_("p2"), "exit(p2)"),
        (ops.munmap("p0", 3), "munmap(p0, page 3)"),
        (ops.mprotect("p0", 1, 2, "r--"), "mprotect(p0, pages 1-2, r--)"),
        (ops.madvise("p0", 1, 1, "dontfork"), "madvise(p0, page 1, dontfork)"),
        (ops.mremap("p0", 0, 2, 8), "mremap(p0, pages 0-1, to page 8)"),
        (ops.dontunmap("p0", 0, 2, 8), "dontunmap(p0, pages 0-1, to page 8)"),
        (ops.swap_out("p1", 7), "swap_out(p1, page 7)"),
        (ops.pin("p1", 7), "pin(p1, page 7, read)"),
        (ops.unpin("p1", 7), "unpin(p1, page 7)"),
        (ops.get("p1", 7), "get(p1, page 7)"),
        (ops.put("p1", 7), "put(p1, page 7)"),
        (ops.migrate("p1", 7), "migrate(p1, page 7)"),
        (ops.write("p1", 7).failing(0), "write(p1, page 7) without allocation 0"),
        (ops.fork("p1", "p2").failing(4, 3), "p2 = fork(p1) without allocations 3, 4"),
    ],
)
def test_an_operation_reads_like_a_call(op, text):
    """The text of an operation is the call that a person would write."""
    assert str(op) == text


def test_an_operation_cannot_be_changed():
    """Operations are frozen: a trace cannot change under its finding."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        ops.exit_("p0").process = "p1"


def test_every_kind_is_described():
    """No kind of operation lacks its fields or its description."""
    assert set(FIELDS) == set(DESCRIPTIONS) == set(OpKind)
