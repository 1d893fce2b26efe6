"""For all tests: what runs side by side, and in which order; that no example has a time limit.

Libraries that raise the recursion limit are imported here, where it is put back.
"""

import hypothesis
import pytest

from contracts.recursion import kept_recursion_limit

with kept_recursion_limit():
    import eth_account  # noqa: F401 - imported for its side effect, before any test does

# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

ONE_MARKET = "one market"
USERS_OF_ONE_MARKET = tuple(
    f"tests/market/test_{name}.py"
    for name in ("bad_peers", "local_api", "openai_client", "pay", "traces", "worker_lost")
)
"""They take turns at a fixture that is slow to start; in several processes, each would start its own."""


def scope_of(node_id):
    """What runs in one process, one after the other: a file, or all files of the shared market."""
    path = node_id.partition("::")[0]
    return ONE_MARKET if path in USERS_OF_ONE_MARKET else path


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    from xdist.scheduler import LoadFileScheduling

    class ByScope(LoadFileScheduling):
        def _split_scope(self, nodeid):
            return scope_of(nodeid)

    return ByScope(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config, items):
    """Side by side, what takes long begins first, so that nothing long is alone at the end."""
    result = yield
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: (scope_of(item.nodeid) != ONE_MARKET, not is_long(item)))
    return result


def is_long(item):
    return item.get_closest_marker("process") is not None
