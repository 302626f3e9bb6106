# SPDX-License-Identifier: GPL-2.0-only
import pytest

from subjects.tree.compiler import find_compiler
from subjects.tree.errors import NoCompiler
from tests.kernel_trees import find_trees, tree_of


@pytest.fixture(scope="session", autouse=True)
def build_cache(tmp_path_factory):
    """What tests build stays out of the user's cache; it is built once per test process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def kernel_trees():
    """The trees there are, by release; a test that needs one is skipped where there is none."""
    if not find_trees():
        pytest.skip("no kernel tree: install linux-source-6.1 and linux-source-6.12")
    return find_trees()


@pytest.fixture(scope="session", params=["6.1", "6.12"])
def kernel_tree(request):
    """One tree after the other."""
    return tree_of(request.param)


@pytest.fixture(scope="session")
def compiler():
    """The C compiler; a test that needs one is skipped where there is none."""
    try:
        return find_compiler()
    except NoCompiler as error:
        pytest.skip(str(error))
