# SPDX-License-Identifier: GPL-2.0-only
import pytest

from campaign.power_mutants import deletions, mutants_of
from campaign.power_source import DATA, function, functions_of, modules

SOURCE = '''\
def f(w, vma: int | None = 1) -> int:
    """Do it."""
    x = vma.a
    x = x + 1
    w.mark("seen")
    w.generation += 1
    if w.log is not None:
        w.log.append(x)
    bad = x > 2
    warn_on(bad, "f", "bad")
    if not x:
        message = f"{x - 1} is bad"
        raise KernelWarning("f", message)
    for y in vma.ys:
        if y is None and x < 3:
            continue
        vma.put(y)
    return 0
'''


@pytest.fixture
def whole():
    """A function with one of everything."""
    return function("model.rmap", 10, SOURCE)


def test_what_is_deleted(whole):
    """Statements that do something are deleted, with their line; what judges or counts is not."""
    assert [(m.line, m.before, m.after) for m in deletions(whole)] == [
        (13, "x = x + 1", "pass"),
        (26, "vma.put(y)", "pass"),
    ]


def test_what_is_replaced(whole):
    """cosmic-ray's operators apply to what the function does, and the same change is made once."""
    pytest.importorskip("cosmic_ray")
    found = [m.after for m in mutants_of(whole) if m.operator != "DeleteStatement"]
    assert found == [
        "x = x - 1",
        "x = x + 2",
        "x = x + 0",
        "for y in []:",
        "if y is not None and x < 3:",
        "if y is None and x <= 3:",
        "if y is None and x >= 3:",
        "if y is None or x < 3:",
        "if y is None and x < 4:",
        "if y is None and x < 2:",
        "break",
        "return 1",
        "return -1",
    ]


def test_a_mutant_is_named_without_line_numbers(whole):
    """The key of a mutant stays when the function moves."""
    moved = function("model.rmap", 99, SOURCE)
    assert [m.key for m in deletions(moved)] == [m.key for m in deletions(whole)]
    assert len({m.key for m in deletions(whole)}) == 2


def test_the_diff_is_that_of_the_module():
    """A mutant's diff changes its lines of the module and nothing else."""
    mutant = next(deletions(functions_of("model.swap")[0]))
    changed = [line for line in mutant.diff()[2:] if line[0] in "+-"]
    assert len(changed) == 2
    assert changed[0].strip("- ") == mutant.before
    assert f"@@ -{mutant.line - 2}," in "\n".join(mutant.diff())


def test_every_mutant_of_a_module_has_a_name_of_its_own():
    """Two mutants of one module never have the same key, and each changes the function."""
    pytest.importorskip("cosmic_ray")
    mutants = [m for each in functions_of("model.swap") for m in mutants_of(each)]
    assert len({m.key for m in mutants}) == len(mutants) > 50
    assert all(m.text != m.function.text for m in mutants)


def test_data_is_no_kernel_code():
    """Modules of data are left out, all others of the model are in."""
    assert not DATA & set(modules())
    assert {"model.rmap", "model.memory", "model.slab"} <= set(modules())
