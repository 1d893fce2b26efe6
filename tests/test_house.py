"""The house rules that a machine can check: sizes, docstrings, and that documents point at what exists."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

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
        ["git", "ls-files", "*.py"], cwd=REPOSITORY, capture_output=True, text=True, check=True
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
