# SPDX-License-Identifier: GPL-2.0-only
"""HypoFuzz, coverage-guided and for hours, takes the state machine as it is.

It is optional and no dependency. Where it is installed, it is asked; everywhere, the conditions
are checked under which it takes a test.
"""

import importlib.util
import os
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, get_state_machine_test

from campaign.execute import ModelRun
from model.kernels import KERNELS
from strategies.machine import machine_for

ASK = """\
import json, sys
from hypofuzz.collection import collect_tests
collected = collect_tests(["-p", "no:cacheprovider", "-n", "0", *sys.argv[1:]])
taken = [target.nodeid for target in collected.fuzz_targets]
json.dump({"taken": taken, "refused": collected.not_collected}, sys.stderr, default=str)
"""

FUZZABLE = """\
# SPDX-License-Identifier: GPL-2.0-only
from campaign.execute import ModelRun
from model.kernels import KERNELS
from strategies.machine import machine_for


class TestV70(machine_for(lambda: ModelRun(KERNELS["v7.0"])).TestCase):
    pass
"""


@pytest.mark.skipif(
    importlib.util.find_spec("hypofuzz") is None,
    reason="hypofuzz is not installed; it is optional",
)
def test_hypofuzz_collects_the_machine(tmp_path, root):
    """HypoFuzz itself takes the machine's test, and refuses nothing."""
    (tmp_path / "test_a.py").write_text(FUZZABLE)
    env = {name: value for name, value in os.environ.items() if name != "CI"}
    env |= {"PYTHONPATH": str(root), "HYPOTHESIS_PROFILE": "dev"}
    done = subprocess.run(
        [sys.executable, "-c", ASK, "test_a.py"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr.endswith('{"taken": ["test_a.py::TestV70::runTest"], "refused": {}}')


def test_the_machine_is_what_hypofuzz_takes():
    """The test is a state machine's, generates, shares the database, and nests nothing."""
    machine = machine_for(lambda: ModelRun(KERNELS["v7.0"]))
    case = machine.TestCase("runTest")
    # Where it looks for the settings of a test; of a state machine's TestCase, there are none.
    mine = getattr(case.runTest, "_hypothesis_internal_use_settings", settings())
    assert issubclass(machine, RuleBasedStateMachine)
    assert case.runTest._hypothesis_state_machine_class is machine
    assert Phase.generate in mine.phases
    assert HealthCheck.nested_given not in mine.suppress_health_check
    assert mine.database == settings().database
    assert callable(get_state_machine_test(machine, settings=case.settings))
