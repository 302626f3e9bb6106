# SPDX-License-Identifier: GPL-2.0-only
"""The catalogue of historical defects: where each one is, and where it can be put back."""

import pytest

from invariants import LAWS
from model.defects import DEFECTS, DefectError, defects_of
from model.kernels import KERNELS, V6_1, V6_12, V7_0

IN_RELEASES = {
    "B01": ["v2.6.34", "v3.0", "v3.7", "v3.18"],
    "B03": ["v7.0"],
    "B16": ["v4.0", "v4.14", "v5.5", "v5.10", "v5.18", "v5.19"],
    "B25": ["v2.6.34", "v6.16", "v6.18"],
    "B38": ["v4.14", "v5.5"],
    "B40": ["v5.5"],
    "B41": [
        *("textbook", "v2.6.34", "v3.0", "v3.7", "v3.18", "v4.0", "v4.14", "v5.5"),
        "v5.10",
    ],
}

every_defect = pytest.mark.parametrize("defect", DEFECTS.values(), ids=list(DEFECTS))


@every_defect
def test_a_defect_can_be_looked_for(defect):
    """Each defect names a kernel that has it, by release or because it was put back there."""
    subject = defect.subject()
    assert defect.is_in(subject)
    assert subject is defect.base or subject.name == f"{defect.base.name}+{defect.id}"
    assert defect in defects_of(subject)


@every_defect
def test_what_is_put_back_is_the_defect_and_no_more(defect):
    """A kernel with a defect differs from the release in the defect's traits only."""
    subject = defect.subject()
    if subject is defect.base:
        pytest.skip("the release itself has it")
    before = defect.base.traits()
    changed = {name for name, value in subject.traits().items() if before[name] is not value}
    assert changed <= {*defect.traits, *defect.also}
    assert subject.defects == (defect.id,)
    assert not defect.is_in(defect.base)


@every_defect
def test_the_laws_of_a_defect_exist(defect):
    """An entry names laws by their ids."""
    assert defect.laws
    assert set(defect.laws) <= {law.id for law in LAWS}


@pytest.mark.parametrize(("defect", "releases"), IN_RELEASES.items())
def test_a_release_has_the_defects_of_its_time(defect, releases):
    """Where a release truly had a bug, the release itself has it."""
    assert [name for name, kernel in KERNELS.items() if DEFECTS[defect].is_in(kernel)] == releases


def test_defects_add_up():
    """A kernel may have one defect after the other and names both."""
    hurt = V6_1.with_defect("B16").with_defect("B01")
    assert (hurt.name, hurt.defects) == ("v6.1+B16+B01", ("B16", "B01"))


@pytest.mark.parametrize(
    ("kernel", "defect", "words"),
    [
        (V6_12, "B99", "no defect B99; known are B01"),
        (KERNELS["v5.18"], "B16", "v5.18 has B16 already"),
        (V6_1, "B25", "does not apply to v6.1: it needs merge_permission"),
        (V7_0, "B06", "does not apply to v7.0: it needs fork_order"),
        (KERNELS["v2.6.34"], "B09", "does not apply to v2.6.34: it needs root"),
    ],
)
def test_a_defect_that_means_nothing_is_refused(kernel, defect, words):
    """An unknown defect, one that is there already, and one without its code are refused."""
    with pytest.raises(DefectError, match=words):
        kernel.with_defect(defect)
