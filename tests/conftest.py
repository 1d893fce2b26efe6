"""For all tests: the order, and which run side by side; that no example has a time limit; and that a test
which is not marked `process` starts none.

Libraries that raise the recursion limit are imported here, where it is put back.
"""

import ast
import functools
import subprocess
from pathlib import Path

import hypothesis
import pytest

from contracts.recursion import kept_recursion_limit

with kept_recursion_limit():
    import eth_account  # noqa: F401 - imported for its side effect, before any test does

# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

REPOSITORY = Path(__file__).parents[1]
SHARED_FIXTURES = ("market", "rogue_market")
"""Slow to start; in several processes, each would start its own."""
LONG_FOLDERS = ("tests/attacks/", "tests/simulation/")
ALLOWED_PROGRAM = "git"
"""Any test may ask it what is in the repository."""


@functools.cache
def scope_of(path):
    """What runs in one process, one after the other: a file, or all files that share a market."""
    asked_for = asked_for_in(REPOSITORY / path)
    return next((fixture for fixture in SHARED_FIXTURES if fixture in asked_for), path)


def asked_for_in(path):
    """The names of fixtures in the signatures of a file's tests and fixtures, and of some more."""
    functions = (node for node in ast.walk(ast.parse(path.read_text())) if hasattr(node, "decorator_list"))
    return {
        argument.arg
        for function in functions
        if hasattr(function, "args") and (function.name.startswith("test_") or is_fixture(function))
        for argument in function.args.args
    }


def is_fixture(function):
    return any("fixture" in ast.unparse(decorator) for decorator in function.decorator_list)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    from xdist.scheduler import LoadFileScheduling

    class ByScope(LoadFileScheduling):
        def _split_scope(self, nodeid):
            return scope_of(path_of(nodeid))

    return ByScope(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(config, items):
    """Tests of one market come together; side by side, what takes long begins first, so that nothing long
    is alone at the end."""
    result = yield
    items.sort(key=order if hasattr(config, "workerinput") else lambda item: order(item)[:2])
    return result


def order(item):
    """What shares no market comes last, and of that, what takes no time."""
    scope = scope_of(path_of(item.nodeid))
    shares = scope in SHARED_FIXTURES
    return not shares, scope if shares else "", not is_long(item)


def path_of(nodeid):
    return nodeid.partition("::")[0]


def is_long(item):
    return item.get_closest_marker("process") is not None or item.nodeid.startswith(LONG_FOLDERS)


class ProcessGuard:
    """Lets only tests that are marked `process` start one. :ivar item: the test that runs."""

    def __init__(self):
        self.item = None
        self._start = subprocess.Popen.__init__

    def install(self):
        guard = self

        @functools.wraps(self._start)
        def start(process, args, *rest, **named):
            guard.check(args)
            guard._start(process, args, *rest, **named)

        subprocess.Popen.__init__ = start

    def check(self, args):
        """:raises RuntimeError: the test that runs has no mark `process`."""
        program = args if isinstance(args, str | bytes | Path) else next(iter(args))
        if (
            self.item is not None
            and self.item.get_closest_marker("process") is None
            and program != ALLOWED_PROGRAM
        ):
            raise RuntimeError(f"{self.item.nodeid} starts {program} and is not marked `process`")


GUARD = ProcessGuard()
GUARD.install()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item, nextitem):
    GUARD.item = item
    try:
        return (yield)
    finally:
        GUARD.item = None
