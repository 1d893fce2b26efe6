"""Examples for people: no secret in the arguments of a command, where all users of a machine can read it."""

import re
import subprocess
from pathlib import Path

from tests.limits import CHILD_TIMEOUT_S

REPOSITORY = Path(__file__).parents[1]
TOKEN_IN_ARGUMENT = re.compile(r"(?<!echo )(-H |--header[ =])?[\"']Authorization: *Bearer \$+\(")
"""A shell puts the token where it says `$(cat ...)`; only `echo`, which is no process, may have it there."""


def shown_to_people():
    listed = subprocess.run(
        ["git", "ls-files", "*.md", "*.html", "node/**/*.py"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
        timeout=CHILD_TIMEOUT_S,
    )
    return [REPOSITORY / name for name in listed.stdout.split() if not name.startswith("tests/")]


def test_attack_the_list_of_processes_shows_no_token():
    found = [
        path.relative_to(REPOSITORY)
        for path in shown_to_people()
        for line in path.read_text().splitlines()
        if TOKEN_IN_ARGUMENT.search(line)
    ]
    assert found == []


def test_the_pattern_finds_what_it_is_for():
    assert TOKEN_IN_ARGUMENT.search('curl -H "Authorization: Bearer $(cat token)"')
    assert not TOKEN_IN_ARGUMENT.search('(umask 077; echo "Authorization: Bearer $(cat token)" > header)')
