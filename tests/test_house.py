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
    "tests/node/api/test_many_requests.py": "the time of an order, by the clock of the test",
    "tests/attacks/test_oversize_frames.py": "a hostile peer's own pace",
    "tests/attacks/test_slow_loris.py": "a hostile peer's own pace",
    "tests/attacks/siege/hostile_evidence.py": "a hostile peer's own pace",
    "tests/p2p/relay/test_hole_punch.py": "the time that a dial takes",
    "tests/node/peer/test_chain_watcher.py": "the silence of a chain, by the clock of the test",
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


ROOMLESS = {"__init__.py", "cli.py", "run.py", "settings.py"}
TESTED_ELSEWHERE = {
    "contracts/terms.py": "tests/contracts/test_calls.py",
    "node/portal/bodies.py": "tests/node/portal/test_own.py",
    "node/portal/errors.py": "tests/node/portal/test_app.py",
    "node/portal/planning.py": "tests/node/portal/test_app.py",
    "node/portal/reading.py": "tests/node/portal/test_app.py",
    "node/portal/streams.py": "tests/node/portal/test_app.py",
    # Each needs a market around it, or a chain: what it is for is tested there.
    "node/commands/key.py": "tests/node/test_cli.py",
    "node/commands/miner.py": "tests/node/inference/test_speed.py",
    "node/commands/model.py": "tests/node/inference/packages/test_model_sources.py",
    "node/commands/slash.py": "tests/market/test_equivocation.py",
    "node/commands/stake.py": "tests/market/test_equivocation.py",
    "node/commands/evidence_reports.py": "tests/market/test_equivocation.py",
    "node/coordinator/coordinator.py": "tests/market/test_local_api.py",
    "node/coordinator/opening.py": "tests/market/test_local_api.py",
    "node/devnet/cheat.py": "tests/market/test_equivocation.py",
    "node/devnet/child.py": "tests/market/test_processes.py",
    "node/devnet/demo.py": "tests/market/test_readme.py",
    "node/devnet/market.py": "tests/market/test_processes.py",
    "node/devnet/payday.py": "tests/market/test_readme.py",
    "node/devnet/processes.py": "tests/market/test_processes.py",
    "node/devnet/report.py": "tests/market/test_readme.py",
    "node/inference/calibration_machine.py": "tests/node/inference/test_calibration.py",
    "node/miner/conversation.py": "tests/node/miner/test_engine_declines.py",
    "node/miner/delivery.py": "tests/node/miner/test_engine_streams.py",
    "node/miner/followed.py": "tests/node/miner/test_engine_bounds.py",
    "node/miner/offering.py": "tests/node/miner/test_miner.py",
    "node/miner/opening.py": "tests/market/test_paused_miner.py",
    "node/peer/peer.py": "tests/market/test_hidden_nodes.py",
    "node/run.py": "tests/node/test_imports.py",
    # Values, types and one-liners, tested where they are used.
    "node/api/dialect.py": "tests/node/api/test_app.py",
    "node/api/errors.py": "tests/node/api/test_app.py",
    "node/api/home.py": "tests/node/api/test_app.py",
    "node/api/json_answers.py": "tests/node/api/openai/test_images.py",
    "node/api/picture_formats.py": "tests/node/api/openai/test_images.py",
    "node/api/quoting.py": "tests/node/api/openai/test_images.py",
    "node/api/services.py": "tests/node/api/test_aliases.py",
    "node/api/cuckoo/errors.py": "tests/node/api/test_app.py",
    "node/api/a1111/bodies.py": "tests/node/api/a1111/test_dialect.py",
    "node/api/a1111/errors.py": "tests/node/api/a1111/test_dialect.py",
    "node/api/a1111/samplers.py": "tests/node/api/a1111/test_dialect.py",
    "node/api/a1111/sessions.py": "tests/node/api/a1111/test_dialect.py",
    "node/api/tokens/acts.py": "tests/node/api/tokens/test_desk.py",
    "node/api/tokens/caller.py": "tests/node/api/tokens/test_desk.py",
    "node/api/openai/dialect.py": "tests/node/api/test_app.py",
    "node/api/openai/errors.py": "tests/node/api/test_app.py",
    "node/api/jobs.py": "tests/node/api/a1111/test_dialect.py",
    "node/api/horde/board.py": "tests/node/api/horde/test_dialect.py",
    "node/api/horde/errors.py": "tests/node/api/horde/test_dialect.py",
    "node/api/horde/payload.py": "tests/node/api/horde/test_dialect.py",
    "node/api/sources.py": "tests/node/api/a1111/test_dialect.py",
    "node/api/described.py": "tests/node/api/test_openapi.py",
    "node/api/a1111/operations.py": "tests/node/api/test_openapi.py",
    "node/api/cuckoo/operations.py": "tests/node/api/test_openapi.py",
    "node/api/horde/operations.py": "tests/node/api/test_openapi.py",
    "node/api/openai/operations.py": "tests/node/api/test_openapi.py",
    "node/api/explaining.py": "tests/node/api/test_histories.py",
    "node/commands/explain.py": "tests/node/api/test_histories.py",
    "node/api/mcp/messages.py": "tests/node/api/mcp/test_dialect.py",
    "node/api/mcp/tools.py": "tests/node/api/mcp/test_dialect.py",
    "node/api/fields.py": "tests/node/api/openai/test_generation.py",
    "node/api/openai/parameters.py": "tests/node/api/openai/test_generation.py",
    "node/api/openai/streaming.py": "tests/node/api/openai/test_images.py",
    "node/commands/errors.py": "tests/node/test_cli.py",
    "node/commands/node.py": "tests/node/commands/test_moving.py",
    "node/commands/confirmation.py": "tests/node/commands/test_stake.py",
    "node/signing/guard_file.py": "tests/node/signing/test_guard.py",
    "node/coordinator/resumption.py": "tests/node/coordinator/test_engine_restart.py",
    "node/coordinator/capacity.py": "tests/node/api/test_queue.py",
    "node/coordinator/requests.py": "tests/node/api/openai/test_generation.py",
    "node/coordinator/core.py": "tests/node/coordinator/test_engine.py",
    "node/coordinator/drawing.py": "tests/node/coordinator/test_engine.py",
    "node/coordinator/actions.py": "tests/node/coordinator/test_engine.py",
    "node/coordinator/choice.py": "tests/node/coordinator/test_engine.py",
    "node/coordinator/miner_stream.py": "tests/market/test_bad_peers.py",
    "node/coordinator/offered.py": "tests/market/test_local_api.py",
    "node/coordinator/orders.py": "tests/node/coordinator/test_engine_restart.py",
    "node/coordinator/outcomes.py": "tests/node/coordinator/test_engine.py",
    "node/coordinator/peer_ports.py": "tests/market/test_openai_client.py",
    "node/coordinator/ports.py": "tests/node/coordinator/test_engine.py",
    "node/coordinator/records.py": "tests/node/coordinator/test_journal.py",
    "node/coordinator/turns.py": "tests/node/coordinator/test_engine.py",
    "node/coordinator/delivery.py": "tests/node/coordinator/test_engine.py",
    "node/coordinator/ended_orders.py": "tests/node/coordinator/test_journal.py",
    "node/coordinator/journal_file.py": "tests/node/coordinator/test_journal.py",
    "node/coordinator/snapshots.py": "tests/node/coordinator/test_journal.py",
    "node/coordinator/watching.py": "tests/node/api/test_app.py",
    "node/exchange/model_pull.py": "tests/node/exchange/test_models.py",
    "node/exchange/protocols.py": "tests/node/exchange/test_models.py",
    "node/inference/audit/opened.py": "tests/node/inference/audit/test_audit.py",
    "node/inference/diffusion/networks.py": "tests/node/inference/test_calibration.py",
    "node/inference/packages/errors.py": "tests/node/inference/packages/test_package.py",
    "node/inference/packages/model.py": "tests/node/inference/packages/test_limits.py",
    "node/inference/pool/process.py": "tests/node/inference/pool/test_pool_faults.py",
    "node/inference/pool/tickets.py": "tests/node/inference/pool/test_pool_time.py",
    "node/inference/pool/workers.py": "tests/node/inference/pool/test_pool_faults.py",
    "node/peer/finding.py": "tests/node/peer/test_network_status.py",
    "node/auditor/actions.py": "tests/node/auditor/test_engine.py",
    "node/auditor/audits.py": "tests/node/auditor/test_engine.py",
    "node/auditor/opening.py": "tests/market/test_false_work.py",
    "node/miner/actions.py": "tests/node/miner/test_engine.py",
    "node/exchange/kept_work.py": "tests/node/exchange/test_openings.py",
    "node/miner/ports.py": "tests/node/miner/test_engine_declines.py",
    "node/peer/multiaddrs.py": "tests/node/peer/test_address_book.py",
    "node/settings.py": "tests/node/test_cli.py",
    "node/system/control_client.py": "tests/node/system/test_control.py",
    "node/system/clock.py": "tests/node/miner/test_miner.py",
    "node/system/logs.py": "tests/node/bootstrap/test_bootstrap.py",
}
"""Modules of node/ without a test file of their own, and where they are tested instead."""
RECIPE = "node/inference/training/"
"""Run by hand, once: how the embedded model was made; `tests/node/inference/test_model.py` tests that."""


def test_every_file_of_the_node_is_in_a_room(trees):
    loose = {path.name for path in trees if path.parts[:-1] == ("node",)}
    assert loose - ROOMLESS == set()


def test_every_module_of_the_node_has_a_test_file(trees):
    modules = [path for path in trees if path.parts[0] == "node" and not path.name.startswith("__")]
    untested = []
    for path in modules:
        mirror = REPOSITORY / "tests" / path.parent / f"test_{path.name}"
        elsewhere = TESTED_ELSEWHERE.get(str(path), "nowhere")
        tested = mirror.exists() or (REPOSITORY / elsewhere).exists()
        if not tested and not str(path).startswith(RECIPE):
            untested.append(str(path))
    assert untested == []


FREE_RELATIVE = re.compile(r"(Who|Whoever|What|Whatever)\b(?!.*\?$)")
"""At the start of a paragraph it reads as a question, until the verb comes."""
NONE_FOR_NOT = re.compile(r"(?<!there )\b(is|are) none\b")
"""For "is not one": a reader asks, none of what? "There is none" says what it means."""
SPEAKING = ("node", "p2p", "protocol", "contracts")


def texts(tree):
    """Docstrings, of values too."""
    for node in ast.walk(tree):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield node.lineno, text


def test_docstrings_say_their_subject_first(trees):
    found = []
    for path, tree in trees.items():
        if path.parts[0] not in SPEAKING:
            continue
        for line, text in texts(tree):
            paragraphs = [" ".join(each.split()) for each in re.split(r"\n\s*\n", text)]
            if any(map(FREE_RELATIVE.match, paragraphs)) or NONE_FOR_NOT.search(text):
                found.append(f"{path}:{line}")
    assert found == []
