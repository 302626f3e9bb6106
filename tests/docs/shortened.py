# SPDX-License-Identifier: GPL-2.0-only
"""What is run instead of a command that takes longer than a reader of test results waits.

Each entry: what is looked for in a command, what is put in its place, and why. And what README.md,
whose blocks say nothing about themselves, leaves unsaid.
"""

import re

SHORTER = [
    (
        r"(anonvma fuzz .*)--for \w+",
        r"\1--cases 100 --seed 1 --engine swarm",
        "minutes; and so that how fast the machine is does not decide which goals are reached",
    ),
    (r"^make ", "make -n ", "a minute and more: that the target is there is what matters"),
    (
        r"^anonvma check( #|$)",
        r"anonvma check --only traces\1",
        "three minutes; the rest has tests",
    ),
    (r"--cases 5000", "--cases 20", "a minute"),
    (r"--cases 500", "--cases 30 --engine swarm", "half a minute"),
    (r"--cases 300", "--cases 100 --engine swarm", "half a minute; fewer miss a required goal"),
    (r"(conform tests/recordings/)\*/\*", r"\1host/*", "ten seconds; the tests compare them all"),
    (r"^python -m campaign.pins$", "python -c 'import campaign.pins'", "half a minute of CPU time"),
    (
        r"^(anonvma power) (?:--seed|--module).*",
        r"\1 --module model/fork.py --cases 1 --steps 50 --alone 0 --no-pins",
        "three quarters of an hour",
    ),
    (r"^tar -xf /usr/src/(linux-source-[\d.]+)\.tar\.xz$", r"test -d \1", "it is unpacked already"),
]

README_CODES = {
    "anonvma fuzz v5.18 --seed 1 --out findings": 1,
    "anonvma replay findings/v5.18-reuse-free-c7464423.json --on v5.18 --on v6.1 --on v6.12": 1,
    "anonvma explore v5.18 --procs 5 --maps 1 --pages 1 --ops fork,exit,touch --out findings": 1,
    "anonvma matrix tests/traces/double-reuse.json tests/traces/mremap-merged-without-links.json "
    "tests/traces/pinned-page-reused-by-mapcount.json": 1,
    "anonvma replay tests/traces/failed-merge-left-its-anon_vma.json --on v6.12 --on v6.12+B21 "
    "--steps": 1,
    "anonvma fuzz textbook --seed 1 --out findings": 1,
}
"""Exit codes of commands in README.md that are not 0."""

README_OUTPUTS = ("FINDING    v5.18", "          double-reuse")
"""How those blocks of README.md begin that show what the commands above them print."""


def shortened(command):
    """The command that is run in place of one in the documentation."""
    for pattern, replacement, _ in SHORTER:
        command = re.sub(pattern, replacement, command)
    return command
