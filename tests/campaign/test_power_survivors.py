# SPDX-License-Identifier: GPL-2.0-only
import json

import pytest

from campaign import power_survivors
from campaign.power_mutants import mutants_of
from campaign.power_source import functions_of, modules
from campaign.power_survivors import Class, load

EXPLAINED = load()
FUNCTIONS = {(each.path, each.name): each for name in modules() for each in functions_of(name)}


def test_every_explained_line_is_in_the_model():
    """What an explanation is about stands in the function that it names."""
    missing = []
    for path, function, _, before, _, _ in EXPLAINED:
        whole = FUNCTIONS.get((path, function))
        text = "" if whole is None else " ".join(line.strip() for line in whole.text.splitlines())
        if before not in text:
            missing.append(f"{path} {function}: {before}")
    assert missing == []


def test_every_explained_mutant_is_made():
    """What is explained is a mutant that the operators make of the present model."""
    pytest.importorskip("cosmic_ray")
    wanted = {key[:2] for key in EXPLAINED}
    made = {mutant.key for place in sorted(wanted) for mutant in mutants_of(FUNCTIONS[place])}
    assert sorted(EXPLAINED.keys() - made) == []


def test_every_reason_is_a_sentence():
    """Each group of explained mutants says why, and ends there."""
    assert [each.reason for each in EXPLAINED.values() if not each.reason.endswith(".")] == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [({"format": "other"}, "has the format 'other'"), ({"twice": True}, "explains twice")],
)
def test_a_bad_file_is_refused(tmp_path, changed, said):
    """A file of another format, or one that explains a mutant twice, is not read."""
    mutant = {"file": "a", "function": "b", "operator": "c", "before": "d", "after": "e"}
    group = {"verdict": Class.HOLE.value, "reason": "So.", "mutants": [mutant, mutant]}
    file = tmp_path / "survivors.json"
    file.write_text(json.dumps({"format": power_survivors.FORMAT, "groups": [group], **changed}))
    with pytest.raises(ValueError, match=said):
        load(file)
