"""The house rules that a machine can check: sizes, docstrings, and that documents point at what exists."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

from tests.limits import CHILD_TIMEOUT_S

REPOSITORY = Path(__file__).parents[1]
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 600
ROOMS = ("protocol", "p2p", "contracts", "node", "bootstrap", "tests")
DOCUMENTS = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "protocol/README.md",
    "bootstrap/README.md",
    "node/inference/FARM.md",
]


def sources():
    listed = subprocess.run(
        ["git", "ls-files", "*.py"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
        timeout=CHILD_TIMEOUT_S,
    ).stdout.split()
    return [path for path in map(Path, listed) if (REPOSITORY / path).is_file()]


def functions(tree):
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.fixture(scope="module")
def trees():
    return {path: ast.parse((REPOSITORY / path).read_text()) for path in sources()}


def test_files_are_short(trees):
    lines = {path: len((REPOSITORY / path).read_text().splitlines()) for path in trees}
    assert {path: count for path, count in lines.items() if count > FILE_LINES_MAX} == {}


def test_functions_are_short(trees):
    long = [
        f"{path}:{function.name}"
        for path, tree in trees.items()
        for function in functions(tree)
        if function.end_lineno - function.lineno + 1 > FUNCTION_LINES_MAX
    ]
    assert long == []


def test_modules_say_what_they_are(trees):
    silent = [
        path
        for path, tree in trees.items()
        if path.parts[0] != "tests" and tree.body and not ast.get_docstring(tree)
    ]
    assert silent == []


def test_nothing_is_left_to_do(trees):
    marks = re.compile(r"\b(TODO|FIXME|XXX|raise NotImplementedError)\b")
    found = [
        path
        for path in trees
        if path.name != Path(__file__).name and marks.search((REPOSITORY / path).read_text())
    ]
    assert found == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_documents_name_files_that_exist(document):
    text = (REPOSITORY / document).read_text()
    named = set(re.findall(rf"`((?:{'|'.join(ROOMS)})/[A-Za-z0-9_./*-]+)`", text))
    named |= set(re.findall(r"\]\(([A-Za-z][A-Za-z0-9_./-]+)\)", text))
    folder = (REPOSITORY / document).parent
    missing = [
        name
        for name in named
        if not list(REPOSITORY.glob(name.rstrip("/"))) and not list(folder.glob(name.rstrip("/")))
    ]
    assert missing == []


def calls(tree):
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def test_no_child_is_waited_for_without_a_time_limit(trees):
    """A hang of a child would be a hang of the run."""
    waits = {"run", "call", "check_call", "check_output"}
    unlimited = []
    for path, tree in trees.items():
        if path.parts[0] != "tests":
            continue
        awaited = {node.value for node in ast.walk(tree) if isinstance(node, ast.Await)}
        for call in calls(tree):
            match call.func:
                case ast.Attribute(value=ast.Name(id="subprocess"), attr=name) if name in waits:
                    limited = any(keyword.arg == "timeout" for keyword in call.keywords)
                case ast.Attribute(attr="wait" | "communicate") if call not in awaited:
                    limited = bool(call.args or call.keywords)
                case _:
                    continue
            if not limited:
                unlimited.append(f"{path}:{call.lineno}")
    assert unlimited == []


PACED = {
    "tests/node/inference/memory_workers.py": "the time of a job, by the clock of the test",
    "tests/attacks/test_oversize_frames.py": "a hostile peer's own pace",
    "tests/attacks/test_slow_loris.py": "a hostile peer's own pace",
    "tests/p2p/relay/test_hole_punch.py": "the time that a dial takes",
}
"""Files that sleep for real, and what the sleep is; none waits for something to happen."""
UNTESTED = ("tests/bench/", "tests/simulation/", "tests/node/inference/fake_worker.py")
"""No tests: measurements, simulated time, a program that tests start."""


def is_slow_or_mocked(function, module_marked):
    """Whether a test is one of real processes, or asks for a clock that jumps."""
    arguments = {argument.arg for argument in function.args.args}
    marked = any("mark.process" in ast.unparse(decorator) for decorator in function.decorator_list)
    return module_marked or marked or not arguments.isdisjoint({"autojump_clock", "mock_clock"})


def sleeps(tree):
    """(function, call) of each sleep that is in no `while`: one in there is a poll, and ends when it may."""
    for function in functions(tree):
        polls = {call for loop in ast.walk(function) if isinstance(loop, ast.While) for call in calls(loop)}
        for call in calls(function):
            match call.func:
                case ast.Attribute(value=ast.Name(id="trio" | "time"), attr="sleep") if call not in polls:
                    yield function, call


def test_only_tests_of_processes_sleep_for_real(trees):
    real = []
    for path, tree in trees.items():
        if path.parts[0] != "tests" or str(path) in PACED or str(path).startswith(UNTESTED):
            continue
        marked = any("pytestmark" in ast.unparse(node) for node in tree.body if isinstance(node, ast.Assign))
        outer = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        fine = {node for node in outer if is_slow_or_mocked(node, marked)}
        # A helper is as the tests are that share its file.
        helpers = {node for node in outer if not node.name.startswith("test_")} if fine else set()
        within = {node for each in fine | helpers for node in functions(each)}
        real += [
            f"{path}:{call.lineno}"
            for function, call in sleeps(tree)
            if not marked and function not in within
        ]
    assert sorted(set(real)) == []
