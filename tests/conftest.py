# SPDX-License-Identifier: GPL-2.0-only
import os
import subprocess
from pathlib import Path

import pytest

from tests.browser import browser  # noqa: F401 - a fixture for all
from tests.profiles import ProfileError, load_profile

ROOT = Path(__file__).resolve().parent.parent

# Elsewhere than in git, what no commit would hold.
UNTRACKED = {"__pycache__", "anonvma-findings", "build", "dist"}


def pytest_configure():
    """Load the Hypothesis profile, before any test module makes settings of its own."""
    try:
        load_profile()
    except ProfileError as error:
        raise pytest.UsageError(str(error)) from None


def files_in_git(root):
    """The files git has or would add, or None where there is no git."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=root, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return [Path(name) for name in os.fsdecode(listed).split("\0") if name]


def files_on_disk(root):
    """The files below root, without hidden folders and what the tools leave behind."""
    return [
        path.relative_to(root)
        for path in root.rglob("*")
        if not any(
            part in UNTRACKED or part.endswith(".egg-info") or (part.startswith(".") and i == 0)
            for i, part in enumerate(path.relative_to(root).parts)
        )
    ]


@pytest.fixture(scope="session")
def root():
    """The folder that this checkout lies in."""
    return ROOT


@pytest.fixture(scope="session")
def project_files():
    """Every file of the project, relative to the root and sorted."""
    listed = files_in_git(ROOT) or files_on_disk(ROOT)
    return sorted(path for path in listed if (ROOT / path).is_file())
