# SPDX-License-Identifier: GPL-2.0-only
"""The arrows between the rooms point one way.

MAY_IMPORT is the table of rooms in the design. A name stands for itself and for all below it; a
room may always import itself and the standard library. The longest name that a module lies under
is the one that counts for it, so a module may be held to less, or to more, than its room. An import
counts wherever it stands: in a function and under TYPE_CHECKING too.
"""

import ast
import sys
import tomllib
from pathlib import Path
from textwrap import dedent

import pytest

MAY_IMPORT = {
    "model": {"attrs"},
    "invariants": {
        "attrs",
        "model.call",
        "model.structs",
        "model.kernels",
        "model.errors",
        "model.traits",
        "model.vma_traits",
        "model.picture",
    },
    "strategies": {"attrs", "hypothesis", "model", "invariants"},
    # Subjects and the swarm driver run on these: nothing here may pull Hypothesis in.
    "strategies.__init__": {"attrs"},
    "strategies.contention": set(),
    "strategies.history": {"attrs", "model"},
    "strategies.made_once": {"attrs"},
    "strategies.mix": {"attrs", "model"},
    "strategies.ops": {"attrs", "model"},
    "strategies.trace": {"attrs", "model"},
    "strategies.trace_fields": set(),
    "strategies.trace_json": set(),
    "subjects": {"attrs", "model", "strategies.contention", "strategies.ops", "strategies.trace"},
    # What a tree does is judged by the laws, and on the campaigns' histories.
    "subjects.tree.judge": {"attrs", "model", "invariants", "strategies.trace", "subjects.tree"},
    "subjects.tree.generate": {
        "attrs",
        "model",
        "strategies.history",
        "strategies.made_once",
        "strategies.mix",
        "strategies.ops",
        "subjects.tree",
    },
    "subjects.tree.generate_dense": {"strategies.made_once", "strategies.ops", "subjects.tree"},
    # An optional library, which nothing but reading a kernel tree needs.
    "subjects.tree.source": {
        "attrs",
        "tree_sitter",
        "tree_sitter_c",
        "subjects.tree.conditionals",
        "subjects.tree.errors",
    },
    "subjects.tree.mutations": {"attrs", "tree_sitter"},
    "campaign": {
        "attrs",
        "hypothesis",
        "rich",
        "model",
        "invariants",
        "strategies",
        "subjects",
        "report",
    },
    # An optional library, which nothing but one command needs.
    "campaign.power_mutants": {
        "attrs",
        "cosmic_ray",
        "campaign.errors",
        "campaign.power_source",
    },
    "report": {
        "attrs",
        "rich",
        "model.structs",
        "model.kernels",
        "strategies.ops",
        "strategies.trace",
    },
}

# What runs at every step of a campaign: standard library, attrs and our own code.
STEP_LOOP = {
    "model",
    "invariants",
    "subjects",
    "strategies.__init__",
    "strategies.history",
    "strategies.mix",
    "strategies.ops",
    "strategies.trace",
    "strategies.trace_fields",
    "strategies.trace_json",
}

ROOMS = sorted({name.partition(".")[0] for name in MAY_IMPORT})


def is_under(name, roots):
    """Whether a dotted name is one of roots or lies below one."""
    return any(name == root or name.startswith(root + ".") for root in roots)


def rule_for(module):
    """The name in the table that counts for a module: the longest that it lies under."""
    return max((name for name in MAY_IMPORT if is_under(module, {name})), key=len)


def imported(node, module):
    """The dotted names that one statement or call imports, each as exactly as can be told."""
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=source, names=names, level=level):
            package = module.split(".")[:-level] if level else []
            base = ".".join([*package, *([source] if source else [])])
            return [f"{base}.{alias.name}" for alias in names]
        case ast.Call(
            func=ast.Name(id="__import__" | "import_module")
            | ast.Attribute(attr="import_module" | "__import__"),
            args=[what, *_],
        ):
            return [what.value if isinstance(what, ast.Constant) else "a computed name"]
    return []


def violations(root, files):
    """One line per import that the table forbids: where, what, and which rule says so."""
    found = []
    for path in files:
        if path.suffix != ".py" or path.parts[0] not in ROOMS:
            continue
        module = ".".join(path.with_suffix("").parts)
        rule = rule_for(module)
        allowed = MAY_IMPORT[rule] | {path.parts[0]} | sys.stdlib_module_names
        if rule != path.parts[0]:  # A module held to less than its room is not lent the whole room.
            allowed -= {path.parts[0]}
            allowed |= {name for name in MAY_IMPORT if name.startswith(path.parts[0] + ".")}
        found += [
            f"{path}:{node.lineno}: {rule} may not import {name}"
            for node in ast.walk(ast.parse((root / path).read_text("utf-8")))
            for name in imported(node, module)
            if not is_under(name, allowed)
        ]
    return found


def test_every_import_is_in_the_table(root, project_files):
    """No module imports what the table of rooms does not let it import."""
    assert violations(root, project_files) == []


def test_the_table_names_every_installed_package(root, project_files):
    """The packages that pyproject.toml installs are the rooms of the table and those in them."""
    pyproject = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    installed = sorted(pyproject["tool"]["setuptools"]["packages"])
    assert sorted({name.partition(".")[0] for name in installed}) == ROOMS
    there = {".".join(path.parent.parts) for path in project_files if path.name == "__init__.py"}
    assert installed == sorted(name for name in there if is_under(name, ROOMS))


def test_the_step_loop_has_attrs_and_nothing_else():
    """The table gives no third-party package but attrs to what runs at every step."""
    names = {name.partition(".")[0] for rule in STEP_LOOP for name in MAY_IMPORT[rule]}
    assert names - set(ROOMS) == {"attrs"}


@pytest.mark.parametrize(
    ("module", "source", "culprit"),
    [
        ("model/rmap.py", "import attrs\nimport hypothesis", "2: model may not import hypothesis"),
        ("model/rmap.py", "def f():\n    import rich.table", "2: model may not import rich.table"),
        (
            "model/rmap.py",
            "\nfrom strategies.ops import Op",
            "2: model may not import strategies.ops.Op",
        ),
        (
            "invariants/root.py",
            "from model import rmap, structs",
            "1: invariants may not import model.rmap",
        ),
        ("invariants/root.py", "import model", "1: invariants may not import model"),
        (
            "strategies/ops.py",
            "from . import machine",
            "1: strategies.ops may not import strategies.machine",
        ),
        (
            "strategies/__init__.py",
            "from hypothesis import given",
            "1: strategies.__init__ may not import hypothesis.given",
        ),
        (
            "subjects/host.py",
            "__import__('invariants')",
            "1: subjects may not import invariants",
        ),
        (
            "subjects/host.py",
            "import importlib as i\ni.import_module(n)",
            "2: subjects may not import a computed name",
        ),
        (
            "report/html.py",
            "if TYPE_CHECKING:\n    from model.rmap import x",
            "2: report may not import model.rmap.x",
        ),
    ],
)
def test_a_forbidden_import_is_named_with_its_place(tmp_path, module, source, culprit):
    """An import against the table is reported by file, line and name."""
    path = tmp_path / module
    path.parent.mkdir()
    path.write_text(source)
    assert violations(tmp_path, [Path(module)]) == [f"{module}:{culprit}"]


def test_what_the_table_allows_passes(tmp_path):
    """A tree that keeps to the table has no violation, whatever its tests import."""
    tree = {
        "model/rmap.py": "import itertools\nimport attrs\nfrom . import structs",
        "invariants/root.py": "from model import structs\nfrom model.kernels import Kernel",
        "strategies/machine.py": "import hypothesis.stateful\nimport invariants\nimport model",
        "strategies/__init__.py": "from strategies.ops import Op",
        "subjects/host.py": "import os.path\nfrom strategies.trace import load",
        "campaign/cli.py": "import rich.console\nimport subjects.host",
        "report/terminal.py": "from strategies import ops\nfrom model.structs import World",
        "tests/test_rmap.py": "import yaml",
    }
    for name, source in tree.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(dedent(source))
    assert violations(tmp_path, [Path(name) for name in tree]) == []
