# SPDX-License-Identifier: GPL-2.0-only
"""CVE-2022-42703 put back into copies of real trees, found again, down to the freed memory."""

import re

import pytest

from campaign.cli import main
from campaign.tree_plan import TreeCases
from campaign.tree_subject import open_subject
from strategies.trace import load
from tests.kernel_trees import (  # noqa: F401 - a fixture for all
    build_cache,
    copy_of,
    tree_of,
)

WITHIN = 1_000
"""Histories in which it must be found."""


def function(text, name):
    """Where the body of a function is in a C file."""
    found = re.search(
        rf"^[^\n;]*\b{name}\([^;(){{]*\)\s*\{{.*?^\}}", text, re.DOTALL | re.MULTILINE
    )
    return found.start(), found.end()


def changed(text, name, *changes):
    """A C file in which one function has other text; each pattern is there."""
    start, end = function(text, name)
    body = text[start:end]
    for pattern, new in changes:
        body, count = re.subn(pattern, new, body)
        assert count, f"{name} has no {pattern}"
    return text[:start] + body + text[end:]


def put_back(tree):
    """Count children and VMAs of an anon_vma in one field again, as up to v5.19."""
    header, source = tree / "include/linux/rmap.h", tree / "mm/rmap.c"
    fields = header.read_text()
    fields = re.sub(r"unsigned long num_children;", "unsigned degree;", fields)
    header.write_text(re.sub(r"unsigned long num_active_vmas;", "", fields))
    text = source.read_text()
    text = changed(
        text,
        "anon_vma_alloc",
        (r"num_children = 0", "degree = 1"),
        (r"anon_vma->num_active_vmas = 0;", ""),
    )
    text = changed(
        text,
        "__anon_vma_prepare",
        (r"anon_vma->num_children\+\+;", ""),
        (r"num_active_vmas\+\+", "degree++"),
    )
    text = changed(
        text,
        "anon_vma_clone",
        (r"anon_vma->num_children < 2", "anon_vma != src->anon_vma"),
        (r"anon_vma->num_active_vmas == 0", "anon_vma->degree < 2"),
        (r"num_active_vmas\+\+", "degree++"),
    )
    text = changed(
        text,
        "anon_vma_fork",
        (r"anon_vma->num_active_vmas\+\+;", ""),
        (r"num_children\+\+", "degree++"),
    )
    text = changed(
        text,
        "unlink_anon_vmas",
        (r"VM_WARN_ON\(anon_vma->num_active_vmas\);", ""),
        (r"num_children|num_active_vmas", "degree"),
    )
    source.write_text(text)


@pytest.fixture(scope="module", params=["6.1", "6.12"])
def release(request):
    """One release after the other."""
    return request.param


@pytest.fixture(scope="module")
def vulnerable(release, tmp_path_factory):
    """A copy of a tree with the bug put back, as an argument."""
    copy = copy_of(tree_of(release), tmp_path_factory.mktemp("cve"))
    put_back(copy)
    return f"tree:{copy}"


def test_the_tree_is_known_by_what_it_counts(vulnerable, release):
    """The tree behaves like its release with the old count: the model has the bug as well."""
    subject = open_subject(vulnerable)
    assert subject.facts.counters == ("degree",)
    assert subject.kernel.name == f"v{release} with degree"
    assert subject.behaviour.differing == 0
    assert not subject.lawful


def test_the_law_fires(vulnerable):
    """A law is broken within a thousand histories, and it is the one of the bug."""
    cases = TreeCases(open_subject(vulnerable), seed=1, steps=100)
    for case in range(WITHIN):
        result = cases(case)
        assert result.fault == ""
        if result.finding is not None:
            assert result.finding.bucket == "reuse-free/in-use/fork"
            assert result.finding.defects == ("B16",)
            return
    pytest.fail("not found")


@pytest.mark.parametrize("build", ["guard", "asan"])
def test_the_trace_ends_in_freed_memory(vulnerable, root, capsys, build):
    """The committed trace makes the kernel's own code read an anon_vma that was freed."""
    path = root / "tests/traces/tree/cve-2022-42703.json"
    assert main(["replay", str(path), "--on", vulnerable, "--build", build]) == 1
    line = capsys.readouterr().out
    assert line.startswith("FINDING")
    assert "use-after-free/access/exit at ops[14]" in line
    assert re.search(r"at (mm/rmap\.c|include/linux/\w+\.h):\d+ in \w+\(\)", line)
    assert re.search(r"freed (at|in) .*mm/rmap\.c:\d+", line)


def test_the_trace_is_clean_without_the_bug(release, root, capsys):
    """On the tree as it is nothing is found."""
    path = root / "tests/traces/tree/cve-2022-42703.json"
    assert load(path).finding.law == "use-after-free"
    assert main(["replay", str(path), "--on", f"tree:{tree_of(release)}"]) == 0
    assert capsys.readouterr().out.startswith("CLEAN")
