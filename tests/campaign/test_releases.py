# SPDX-License-Identifier: GPL-2.0-only
import pytest

from campaign.releases import spans
from model.kernels import KERNELS, RELEASES


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ([], ""),
        (["v6.1"], "v6.1"),
        (["v5.18", "v5.19"], "v5.18 - v5.19"),
        (["v5.19", "v5.10", "v5.18"], "v5.10 - v5.19"),
        (["v5.10", "v5.19"], "v5.10, v5.19"),
        (["v4.0", "v4.14", "v6.1", "v6.6", "v7.0"], "v4.0 - v4.14, v6.1 - v6.6, v7.0"),
        (["textbook", "v4.0", "v6.12+B16"], "v4.0, textbook, v6.12+B16"),
    ],
)
def test_names_as_ranges(names, text):
    """Releases that follow each other are a range; other kernels come after, by name."""
    assert spans(names) == text


def test_all_kernels():
    """All releases are one range."""
    assert spans(list(KERNELS)) == f"{RELEASES[0].name} - {RELEASES[-1].name}, textbook"
