# SPDX-License-Identifier: GPL-2.0-only
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parent.parent

# Elsewhere than in git, what no commit would hold.
UNTRACKED = {"__pycache__", "anonvma-findings", "build", "dist"}

# Both: no deadline, for a step's time says how busy the machine is and nothing about the model.
# ci: the same cases on every run, so that a red run is about the change it tests, and no database,
# which would bring another run's cases in. New cases are the campaigns' job, and dev's.
settings.register_profile("dev", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, database=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "dev"))


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
