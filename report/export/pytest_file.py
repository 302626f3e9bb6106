# SPDX-License-Identifier: GPL-2.0-only
"""A trace as a test file: operations as Python, what was found as assertions.

The text is as ``ruff format`` would leave it and holds nothing of the trace but operations, names
of kernels and the bucket, each as a literal; notes and messages stay in the trace.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import attrs

from strategies.ops import Op, OpKind

_LINE = 100
_NAMES = {OpKind.EXIT: "exit_", OpKind.EXEC: "exec_"}
_ARGUMENTS = {
    OpKind.MMAP: ("process", "page", "pages", "prot"),
    OpKind.TOUCH: ("process", "page"),
    OpKind.FORK: ("process", "child"),
    OpKind.EXIT: ("process",),
    OpKind.EXEC: ("process",),
    OpKind.MUNMAP: ("process", "page", "pages"),
    OpKind.MPROTECT: ("process", "page", "pages", "prot"),
    OpKind.MADVISE: ("process", "page", "pages", "advice"),
    OpKind.MREMAP: ("process", "page", "pages", "target"),
    OpKind.DONTUNMAP: ("process", "page", "pages", "target"),
    OpKind.PIN: ("process", "page", "access"),
}
_ON_A_PAGE = ("process", "page")


@attrs.frozen
class Shown:
    """What a trace shows on a kernel.

    Attributes:
        kernel: Name of the kernel.
        law: Id of the law that breaks; empty if none does.
        bucket: Law, clause and kind of operation.
        step: Index of the operation.
        clean_on: A release on which the same operations break no law; empty if none is known.
    """

    kernel: str
    law: str = ""
    bucket: str = ""
    step: int = 0
    clean_on: str = ""


def pytest_file(ops: Sequence[Op], shown: Shown) -> str:
    """Return the test file's text."""
    return "\n".join([*_header(ops), *_operations(ops), *_tests(shown), ""])


def _header(ops: Sequence[Op]) -> Iterator[str]:
    yield "# SPDX-License-Identifier: GPL-2.0-only"
    yield '"""What a trace shows, operation by operation; exported by anonvma."""'
    yield ""
    yield "from campaign.execute import find"
    yield "from campaign.subject_names import kernel_named"
    names = sorted({_name(op) for op in ops})
    if not names:
        return
    line = f"from strategies.ops import {', '.join(names)}"
    if len(line) <= _LINE:
        yield line
    else:
        yield "from strategies.ops import ("
        yield from (f"    {name}," for name in names)
        yield ")"


def _name(op: Op) -> str:
    return op.access if op.kind is OpKind.TOUCH else _NAMES.get(op.kind, op.kind.value)


def _operations(ops: Sequence[Op]) -> Iterator[str]:
    yield ""
    if not ops:
        yield "OPS = ()"
        return
    yield "OPS = ("
    for op in ops:
        yield from _operation(op)
    yield ")"


def _operation(op: Op) -> Iterator[str]:
    values = [getattr(op, name) for name in _ARGUMENTS.get(op.kind, _ON_A_PAGE)]
    call = f"    {_name(op)}({', '.join(map(_literal, values))})"
    if not op.fail:
        yield f"{call},"
        return
    numbers = [str(n) for n in op.fail_nth]
    line = f"{call}.failing({', '.join(numbers)}),"
    if len(line) <= _LINE:
        yield line
        return
    yield f"{call}.failing("
    inner = f"        {', '.join(numbers)}"
    yield from [inner] if len(inner) <= _LINE else (f"        {number}," for number in numbers)
    yield "    ),"


def _literal(value: str | int) -> str:
    # Of JSON's strings, those without escapes beyond ASCII are Python's, too.
    return json.dumps(value)


def _tests(shown: Shown) -> Iterator[str]:
    yield ""
    kernel = _literal(shown.kernel)
    if not shown.bucket:
        yield from _test("test_every_law_holds", "No law is broken on the kernel of the trace.")
        yield f"    assert find(kernel_named({kernel}), OPS) is None"
        return
    law = _literal(shown.law)
    about = "The law breaks on the kernel of the trace, at the operation that it names."
    yield from _test("test_the_finding_is_there", about)
    yield f"    found = find(kernel_named({kernel}), OPS, law={law})"
    yield "    assert found is not None"
    yield f"    assert found.bucket == {_literal(shown.bucket)}"
    yield f"    assert found.step == {shown.step}"
    if shown.clean_on:
        clean = _literal(shown.clean_on)
        yield ""
        yield from _test("test_it_is_gone", "No law breaks on a release without the defect.")
        yield f"    assert find(kernel_named({clean}), OPS, law={law}) is None"


def _test(name: str, about: str) -> Iterator[str]:
    yield ""
    yield f"def {name}():"
    yield f'    """{about}"""'
