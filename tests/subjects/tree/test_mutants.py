# SPDX-License-Identifier: GPL-2.0-only
"""Mutants of C functions: which there are, what they change, what they are called."""

import attrs
import pytest

from subjects.tree.emit import Extract
from subjects.tree.mutants import functions_in, mutants_of
from subjects.tree.mutations import TRAP, Operator
from subjects.tree.source import parse

pytest.importorskip("tree_sitter_c")

WHOLE = """\
static int visit(struct thing *thing, int depth)
{
	struct thing *next = NULL;

	VM_WARN_ON(depth == 7);
	if (unlikely(!thing))
		return -EINVAL;
	for_each_thing(next, &thing->all, link) {
		thing->seen++;
		handle(next, depth + 1);
	}
	while (depth > 0 && thing->flag)
		depth -= 2;
	return depth < 3 ? 1 : 0;
}
"""


def extract_of(text, line=1):
    """The files of a build that has one function, at a line of its file."""
    (item,) = parse(text, "mm/thing.c", "/nowhere", {}).items
    item = attrs.evolve(item, line=line)
    files = {"thing.c": f'#define A 1\n#line {line} "mm/thing.c"\nint x(int);\n'}
    files["thing.c"] += f'#line {line} "mm/thing.c"\n{text}'
    return Extract("A", files, ("thing.c",), (item,), ())


def mutants(body, parameters="struct thing *thing, int depth"):
    """The mutants of a function with some statements as its body."""
    made = extract_of(f"int visit({parameters})\n{{\n\t{body}\n}}\n")
    (item,) = made.items
    return mutants_of(item)


def changed(body, operator, **options):
    """What the mutants of one kind make of a line."""
    return [m.after for m in mutants(body, **options) if m.operator is operator]


def test_a_statement_is_deleted():
    """A call, an assignment, a goto and a return may be forgotten; a declaration may not."""
    assert changed("int x = 1; f(x); x = 2; goto out; out: return x;", Operator.DELETE) == [
        "int x = 1; ; x = 2; goto out; out: return x;",
        "int x = 1; f(x); ; goto out; out: return x;",
        "int x = 1; f(x); x = 2; ; out: return x;",
        "int x = 1; f(x); x = 2; goto out; out: ;",
    ]


@pytest.mark.parametrize(
    "loop",
    [
        "while (x) f();",
        "for (;;) f();",
        "for_each_thing(x, y) f();",
        "for_each_thing(x, y) { f(); }",
    ],
)
def test_a_loop_is_deleted_as_a_whole(loop):
    """A loop goes with what it repeats, a macro that makes one too."""
    assert changed(f"g(); {loop} h();", Operator.DELETE_LOOP) == ["g(); ; h();"]


def test_a_condition_is_true_false_and_the_opposite():
    """Of each condition there are three."""
    found = [(m.operator, m.after) for m in mutants("if (likely(depth)) f();")]
    assert found[:3] == [
        (Operator.TRUE, "if (1) f();"),
        (Operator.FALSE, "if (0) f();"),
        (Operator.NEGATE, "if (!(likely(depth))) f();"),
    ]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x = a + b;", ["x = a - b;"]),
        ("x = a && b;", ["x = a || b;"]),
        ("x = a < b;", ["x = a <= b;", "x = a >= b;"]),
        ("x += a;", ["x -= a;"]),
        ("x = -a;", ["x = (a);"]),
        ("x = !a;", ["x = (a);"]),
        ("if (a < b) ;", ["if (a <= b) ;"]),
        ("if (likely(!a)) ;", []),
        ("if (a == b) ;", []),
    ],
)
def test_an_operator_becomes_another(before, after):
    """An operator is replaced, but where that negates a whole condition, which is there already."""
    assert changed(before, Operator.REPLACE) == after


def test_a_constant_is_one_more_and_one_less():
    """Numbers move by one, true and false change places."""
    assert changed("f(4);", Operator.CONSTANT) == ["f((4 + 1));", "f((4 - 1));"]
    assert changed("f(true);", Operator.CONSTANT) == ["f(false);"]


def test_an_increment_becomes_a_decrement():
    """What counts up counts down, and the other way round."""
    assert changed("thing->seen++;", Operator.COUNT) == ["thing->seen--;"]
    assert changed("--depth;", Operator.COUNT) == ["++depth;"]


def test_a_pointer_that_is_handed_over_is_null():
    """Parameters and variables that are pointers, and nothing else."""
    found = changed("int *x = f(depth); g(x, depth, thing);", Operator.NULL)
    assert found == [
        "int *x = f(depth); g(NULL, depth, thing);",
        "int *x = f(depth); g(x, depth, NULL);",
    ]


@pytest.mark.parametrize(
    "assertion", ["VM_BUG_ON(a == 1);", "WARN_ON_ONCE(!a);", "mmap_assert_locked(thing);"]
)
def test_an_assertion_stays_as_it_is(assertion):
    """A statement that only notices mistakes is none to make them in."""
    assert mutants(assertion) == []


def test_lines_stay_where_they_are():
    """Every mutant has the lines of the function, and says the right one."""
    made = extract_of(WHOLE, line=100)
    (item,) = made.items
    found = mutants_of(item)
    assert {m.line for m in found} == {105, 106, 107, 108, 109, 111, 112, 113}
    for mutant in found:
        text = mutant.applied(made).files["thing.c"]
        assert text.count("\n") == made.files["thing.c"].count("\n")
        differing = [
            number
            for number, pair in enumerate(
                zip(text.splitlines(), made.files["thing.c"].splitlines(), strict=True)
            )
            if pair[0] != pair[1]
        ]
        assert differing
        assert mutant.line - 100 + 4 == differing[0]


def test_no_two_mutants_are_the_same():
    """Each has a text and a name of its own, and none is the function as it is."""
    made = extract_of(WHOLE)
    found = mutants_of(made.items[0])
    texts = {mutant.applied(made).files["thing.c"] for mutant in found}
    assert len(texts | {made.files["thing.c"]}) == len(found) + 1
    assert len({mutant.key for mutant in found}) == len(found)


def test_the_name_of_a_mutant_holds_no_line_and_no_text():
    """Moving a function changes no name; changing the line does."""
    first = mutants_of(extract_of(WHOLE).items[0])
    moved = mutants_of(extract_of(WHOLE, line=55).items[0])
    other = mutants_of(extract_of(WHOLE.replace("depth + 1", "depth + 9")).items[0])
    assert [m.key for m in first] == [m.key for m in moved]
    assert [m.line for m in first] != [m.line for m in moved]
    unchanged = {m.key for m in first} & {m.key for m in other}
    assert {m.key for m in first} - unchanged == {m.key for m in first if "handle" in m.before}


def test_a_probe_stops_whoever_comes_by():
    """The probe traps where the mutant changes something, and leaves the rest as it is."""
    made = extract_of(WHOLE)
    for mutant in mutants_of(made.items[0]):
        text = mutant.applied(made, probe=True).files["thing.c"]
        assert text.count(TRAP) == 1
        assert " ".join(mutant.before.split()) in " ".join(made.files["thing.c"].split())


def test_text_that_is_no_utf_8_stays_as_it_is():
    """Positions count in bytes, whatever is in a comment."""
    made = extract_of("void f(void)\n{\n\t/* \udce9\u00e9 */ g();\n}\n")
    (mutant,) = mutants_of(made.items[0])
    assert mutant.applied(made).files["thing.c"].endswith("/* \udce9\u00e9 */ ;\n}\n")


def test_a_function_that_is_not_there_is_refused():
    """A mutant is not put into files that do not have its function."""
    made = extract_of(WHOLE)
    (mutant, *_) = mutants_of(made.items[0])
    with pytest.raises(ValueError, match="has no visit"):
        mutant.applied(attrs.evolve(made, items=()))
    with pytest.raises(ValueError, match="in none of the files"):
        mutant.applied(attrs.evolve(made, files={}))


def test_functions_are_found_by_file_and_name():
    """Two functions of one name in different files are two."""
    made = extract_of(WHOLE)
    assert list(functions_in(made)) == [("mm/thing.c", "visit")]
