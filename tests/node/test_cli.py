"""Where a setting comes from, what a wrong one costs, and that help comes quickly and complete."""

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

# Loaded before any test, as one of its libraries asks ldconfig, a process, where it is.
import node.run  # noqa: F401
from node import cli
from node.commands import key as key_cli
from node.commands import slash as slash_cli
from node.settings import InferenceSettings
from node.system.files import write_private
from protocol.errors import LocalError, MustStop
from tests.limits import CHILD_TIMEOUT_S


@pytest.fixture
def started(monkeypatch, tmp_path):
    """Settings that `cuckoo-peer` would run a node with; the node itself is left out."""
    found = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("trio.run", lambda function, settings: found.append(settings))
    monkeypatch.setattr("node.system.logs.configure_logs", lambda level, *, as_json: None)
    return found


def run(*arguments):
    cli.app([*arguments], result_action="return_value")


def test_defaults(started, tmp_path):
    run("--role", "miner", "--data-dir", "here")
    (settings,) = started
    assert (settings.network, settings.capacity, settings.threads) == ("devnet", 1, 1)
    assert settings.listen == ("/ip4/127.0.0.1/tcp/0",)
    assert [folder.name for folder in settings.model_folders] == ["cuckoo-icons"]


def test_flag_then_environment_then_file_then_default(started, tmp_path, monkeypatch):
    (tmp_path / "cuckoo.toml").write_text(
        'role = "miner"\ndata_dir = "file"\ncapacity = 2\nthreads = 2\nprice_micro_cai = 2\n'
    )
    monkeypatch.setenv("CUCKOO_CAPACITY", "3")
    monkeypatch.setenv("CUCKOO_THREADS", "3")
    run("--threads", "4")
    (settings,) = started
    assert (settings.threads, settings.capacity, settings.price_micro_cai) == (4, 3, 2)
    assert str(settings.data_dir) == "file"
    assert settings.role == "miner"
    assert not hasattr(settings, "api_port")


URLS = ("https://rpc.example/key", "http://127.0.0.1:8545")


@pytest.mark.parametrize("said", ["twice", "together", "environment", "file"])
def test_several_rpc_endpoints(started, tmp_path, monkeypatch, said):
    flags = {"twice": ["--rpc-url", URLS[0], "--rpc-url", URLS[1]], "together": ["--rpc-url", *URLS]}
    if said == "environment":
        monkeypatch.setenv("CUCKOO_RPC_URL", " ".join(URLS))
    if said == "file":
        (tmp_path / "cuckoo.toml").write_text(f"rpc_url = {list(URLS)}\n")
    run("--role", "miner", "--data-dir", "here", *flags.get(said, []))
    (settings,) = started
    assert settings.rpc_url == URLS


def test_several_devices_and_a_cluster(started, monkeypatch):
    run("--role", "miner", "--data-dir", "here", "--device", "cuda:0", "cuda:1", "--power-saving")
    monkeypatch.setenv("CUCKOO_RAY_ADDRESS", "192.0.2.1:6379")
    run("--role", "miner", "--data-dir", "here", "--workers", "4")
    several, farm = started
    assert (several.device, several.power_saving, several.ray_address) == (("cuda:0", "cuda:1"), True, "")
    assert (farm.device, farm.workers, farm.ray_address) == (("auto",), 4, "192.0.2.1:6379")


def test_an_auditor_is_told_what_runs_its_models_and_nothing_of_offers(started):
    run("--role", "auditor", "--data-dir", "here", "--device", "cuda:1", "--models", "m")
    (settings,) = started
    assert (settings.role, settings.device, settings.model_folders) == ("auditor", ("cuda:1",), [Path("m")])
    with pytest.raises(SystemExit):
        run("--role", "auditor", "--data-dir", "here", "--price-micro-cai", "1")


def test_file_for_nodes_does_not_disturb_other_commands(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cuckoo.toml").write_text('role = "miner"\ndata_dir = "file"\n')
    monkeypatch.setattr("node.commands.key.print", print, raising=False)
    write_private(tmp_path / "password", b"password\n")
    run("key", "new", "key.json", "--light", "--password-file", "password")
    run("key", "address", "key.json")
    first, second = capsys.readouterr().out.split()
    assert first == second


@pytest.mark.parametrize(
    "arguments",
    [
        ["--role", "king", "--data-dir", "x"],
        ["--role", "miner"],
        ["--role", "miner", "--data-dir", "x", "--threads", "many"],
        ["--role", "miner", "--data-dir", "x", "--surprise"],
        ["reign"],
    ],
)
def test_wrong_usage_exits_with_a_message(started, arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        run(*arguments)
    assert caught.value.code == 2
    assert not started
    assert "Error" in capsys.readouterr().err


INFERRING = "coordinator or miner or auditor"


@pytest.mark.parametrize(
    ("arguments", "environment", "file", "message"),
    [
        (
            ["--role", "coordinator", "--capacity", "8"],
            {},
            "",
            "--capacity belongs to the role miner, and this node's role is coordinator.",
        ),
        (
            ["--role", "bootstrap", "--models", "m"],
            {},
            "",
            f"--models belongs to the role {INFERRING}, and this node's role is bootstrap.",
        ),
        (
            [],
            {"CUCKOO_ROLE": "miner", "CUCKOO_API_PORT": "1"},
            "",
            "CUCKOO_API_PORT belongs to the role coordinator, and this node's role is miner.",
        ),
        (
            [],
            {},
            'role = "coordinator"\nthreads = 2\n',
            "[threads] belongs to the role miner or auditor, and this node's role is coordinator.",
        ),
    ],
)
def test_a_setting_of_another_role__is_refused_and_names_its_role(
    started, tmp_path, monkeypatch, capsys, arguments, environment, file, message
):
    (tmp_path / "cuckoo.toml").write_text(file)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as caught:
        run("--data-dir", "here", *arguments)
    assert caught.value.code == 2
    assert not started
    said = " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert message in said


def test_an_environment_and_a_file_without_a_role__serve_nodes_of_several(started, tmp_path, monkeypatch):
    (tmp_path / "cuckoo.toml").write_text('threads = 2\nnetwork = "n"\n')
    monkeypatch.setenv("CUCKOO_ACTIVE_HOURS", "22-7")
    run("--role", "coordinator", "--data-dir", "here")
    run("--role", "miner", "--data-dir", "here")
    coordinator, miner = started
    assert (coordinator.role, coordinator.network) == ("coordinator", "n")
    assert (miner.role, miner.network, miner.threads, miner.active_hours) == ("miner", "n", 2, "22-7")


def test_the_health_page__is_on_a_known_port_for_a_bootstrap_peer_alone_and_can_be_left_out(started):
    run("--role", "bootstrap", "--data-dir", "here")
    run("--role", "coordinator", "--data-dir", "here")
    run("--role", "miner", "--data-dir", "here", "--health-address", "")
    assert [settings.page_address for settings in started] == ["127.0.0.1:8430", "127.0.0.1:0", ""]


def test_no_arguments__show_the_help(started, capsys):
    assert cli.run_command_line([]) == 0
    assert not started
    assert capsys.readouterr().out.startswith("Usage: cuckoo-peer")


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("mner", "cuckoo-peer: there is no command 'mner'; did you mean 'miner'?\n"),
        ("doctor", "cuckoo-peer: there is no command 'doctor'; cuckoo-peer --help lists them\n"),
    ],
)
def test_a_mistyped_command__is_told_so(started, capsys, typed, message):
    assert cli.run_command_line([typed, "status"]) == 2
    assert capsys.readouterr().err == message


@pytest.mark.parametrize("app", [cli.app, slash_cli.app])
def test_version_is_that_of_the_package(app, capsys):
    app("--version", result_action="return_value")
    assert capsys.readouterr().out.strip() == metadata.version("cuckoo-peer") != "0.0.0"


def test_help_groups_the_flags_by_role(capsys):
    cli.app("--help", result_action="return_value")
    page = capsys.readouterr().out
    headings = ["─ Every node ─", "─ Coordinator, miner and auditor ─", "─ Coordinator ─", "─ Miner ─"]
    positions = [page.index(heading) for heading in headings]
    assert positions == sorted(positions)
    assert positions[3] < page.index("--capacity")


def test_bench_is_told_what_a_miner_is_told(monkeypatch, tmp_path):
    told = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("trio.run", lambda function, packages, choose: told.append(choose.args[0]))
    run("miner", "bench", "--threads", "3", "--device", "cpu", "cuda:1")
    run("miner", "bench")
    assert told == [InferenceSettings(threads=3, device=("cpu", "cuda:1")), InferenceSettings()]


def test_our_errors_are_a_line_each_and_status_1(capsys):
    def fail():
        raise ExceptionGroup("", [LocalError("first"), ExceptionGroup("", [LocalError("second")])])

    assert cli.show_errors(fail, name="cuckoo-peer") == 1
    assert capsys.readouterr().err == "cuckoo-peer: first\ncuckoo-peer: second\n"


def test_a_node_that_must_stay_down_ends_with_status_2(capsys):
    def fail():
        raise ExceptionGroup("", [LocalError("first"), ExceptionGroup("", [MustStop("second")])])

    assert cli.show_errors(fail, name="cuckoo-peer") == 2
    assert capsys.readouterr().err == "cuckoo-peer: first\ncuckoo-peer: second\n"


def test_bugs_keep_their_traceback():
    def fail():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cli.show_errors(fail, name="cuckoo-peer")


def test_ctrl_c_is_130():
    def fail():
        raise KeyboardInterrupt

    assert cli.show_errors(fail, name="cuckoo-peer") == 130


@pytest.mark.parametrize("module", ["node.cli", "node.commands.slash", "node.devnet"])
@pytest.mark.process
def test_help_has_examples_or_commands(module):
    answer = subprocess.run(
        [sys.executable, "-m", module, "--help"],
        capture_output=True,
        text=True,
        check=True,
        timeout=CHILD_TIMEOUT_S,
    )
    assert "Usage:" in answer.stdout


@pytest.mark.process
def test_help_does_not_wait_for_the_networks_libraries():
    heavy = {"torch", "libp2p", "web3", "trio", "eth_account"}
    loaded = f"import sys, node.cli; print(sorted({heavy} & set(sys.modules)))"
    answer = subprocess.run(
        [sys.executable, "-c", loaded], capture_output=True, text=True, check=True, timeout=CHILD_TIMEOUT_S
    )
    assert answer.stdout.strip() == "[]"


@pytest.mark.process
def test_missing_key_is_one_line_that_says_what_to_do(tmp_path):
    answer = subprocess.run(
        [
            sys.executable,
            "-m",
            "node.cli",
            "--role",
            "miner",
            "--data-dir",
            str(tmp_path),
            "--network",
            "nowhere",
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=CHILD_TIMEOUT_S,
    )
    assert answer.returncode == 1
    assert answer.stderr.startswith("cuckoo-peer: there is no network 'nowhere'")
    assert "Traceback" not in answer.stderr


def test_commands_are_all_described():
    for app in (cli.app, cli.chain, key_cli.key, slash_cli.app):
        for name in app:
            assert app[name].help, name
