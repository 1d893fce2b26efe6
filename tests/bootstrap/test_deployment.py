"""bootstrap/: the files that run nodes elsewhere, read and checked; there is no container engine.

Checked: compose file, Dockerfile and systemd unit are of their form, and whatever they name exists here:
files, commands, flags, environment, ports, the health page; the probe's own command is run. Not checked: that
an image builds, and that a container runs.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
import trio
import yaml

from node import cli
from node.settings import BOOTSTRAP_HEALTH_ADDRESS, SETTINGS_OF_ROLE, BootstrapSettings
from node.system.health_page import Page, serve_health
from node.system.readiness import Readiness
from tests.limits import CHILD_TIMEOUT_S

FOLDER = Path(__file__).parents[2] / "bootstrap"
REPOSITORY = FOLDER.parent
SETTINGS = {f"CUCKOO_{field.name.upper()}" for field in fields(BootstrapSettings)} | {"CUCKOO_ROLE"}
INSTRUCTIONS = {
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "RUN",
    "USER",
    "VOLUME",
}
SERVICE_KEYS = {
    *("build", "restart", "environment", "ports", "volumes", "secrets", "read_only", "tmpfs"),
    *("cap_drop", "security_opt", "mem_limit", "ulimits"),
}
STAKED_SERVICE_KEYS = SERVICE_KEYS | {"entrypoint", "command", "init", "network_mode", "stop_grace_period"}
HARDENING = {
    "DynamicUser": "yes",
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "UMask": "0077",
    "StateDirectoryMode": "0700",
    "SystemCallFilter": "@system-service",
}
STAKED = ("coordinator", "miner")
FULL_NAME = {"bootstrap": "compose.yaml"} | {role: f"compose.{role}.yaml" for role in STAKED}
HEALTH_PORT = BOOTSTRAP_HEALTH_ADDRESS[-4:]


def instructions(*names):
    """The arguments of the Dockerfile's instructions of these names, each in one line."""
    text = re.sub(r"^#.*\n", "", (FOLDER / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = [line.split(" ", 1) for line in re.sub(r"\\\n\s*", " ", text).strip().splitlines() if line]
    assert {name for name, _ in lines} <= INSTRUCTIONS
    return [arguments for name, arguments in lines if name in names]


def environment():
    return dict(item.split("=", 1) for line in instructions("ENV") for item in shlex.split(line))


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((FOLDER / "compose.yaml").read_text())


def test_the_dockerfile__builds_from_what_is_here_and_runs_what_the_project_has(project):
    build, final = instructions("FROM")
    stage = build.split(" AS ")[1]
    assert build.startswith(final)
    version = tuple(map(int, re.search(r"python:(\d+)\.(\d+)", final).groups()))
    assert version >= tuple(map(int, re.search(r"(\d+)\.(\d+)", project["requires-python"]).groups()))
    from_here, from_build = instructions("COPY")
    assert from_here == ". /source"
    assert from_build.split()[0] == f"--from={stage}"
    made = " ".join(instructions("RUN"))
    assert '-c /source/constraints.txt "/source${EXTRAS}"' in made
    assert instructions("ARG") == ["EXTRAS="]
    assert "/source/bootstrap/container-start /opt/cuckoo/bin/" in made
    assert (REPOSITORY / "constraints.txt").exists()
    (entrypoint,) = map(json.loads, instructions("ENTRYPOINT"))
    assert Path(entrypoint[0]).name in project["scripts"]
    assert entrypoint[0].startswith(from_build.split()[2])


def test_the_dockerfile__does_not_run_as_root_and_keeps_its_data():
    (user,) = instructions("USER")
    assert user != "root"
    made = " ".join(instructions("RUN"))
    assert f"useradd --system --uid 10001 {user}" in made
    (volume,) = instructions("VOLUME")
    assert environment()["CUCKOO_DATA_DIR"] == volume
    assert f"install -d -o {user} -m 0700 {volume}" in made


def test_the_image__starts_a_bootstrap_peer_with_settings_that_there_are(monkeypatch):
    variables = environment()
    assert set(variables) <= SETTINGS
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    (arguments,) = map(json.loads, instructions("CMD"))
    settings = cli.settings_of(arguments)
    assert settings.role == "bootstrap"
    assert settings.log_json
    assert settings.listen == (variables["CUCKOO_LISTEN"],)
    assert str(settings.password_file) == variables["CUCKOO_PASSWORD_FILE"]
    assert instructions("EXPOSE") == [variables["CUCKOO_LISTEN"].rpartition("/")[2]]


@pytest.mark.process
async def test_the_images_probe__tells_a_peer_that_is_well_from_none():
    (probe,) = instructions("HEALTHCHECK")
    command = json.loads(probe.partition("CMD ")[2])
    assert command[0] == "python3"
    assert f"127.0.0.1:{HEALTH_PORT}/healthz" in command[2]

    async def status_at(port):
        code = command[2].replace(HEALTH_PORT, port)
        probing = await trio.run_process([sys.executable, "-c", code], check=False, capture_stderr=True)
        return probing.returncode

    async with trio.open_nursery() as nursery:
        url = await nursery.start(serve_health, "127.0.0.1:0", Page("", Readiness(), dict))
        assert await status_at(url.rpartition(":")[2]) == 0
        nursery.cancel_scope.cancel()
    assert await status_at("1") != 0


def test_the_compose_file__is_of_its_form_and_names_what_there_is(compose):
    assert set(compose) == {"services", "volumes", "secrets"}
    (service,) = compose["services"].values()
    assert set(service) <= SERVICE_KEYS
    context = (FOLDER / service["build"]["context"]).resolve()
    assert context == REPOSITORY
    assert (context / service["build"]["dockerfile"]).samefile(FOLDER / "Dockerfile")
    assert set(service["environment"]) <= SETTINGS
    assert [port.split(":")[1] for port in service["ports"]] == instructions("EXPOSE")
    named = [volume.split(":")[0] for volume in service["volumes"] if re.match(r"\w+:", volume)]
    assert named == list(compose["volumes"])
    assert service["secrets"] == list(compose["secrets"])


def test_the_container__finds_its_data_its_network_and_its_password(compose):
    (service,) = compose["services"].values()
    mounted = {re.sub(r"\$\{[^}]*\}", "", volume).split(":")[1] for volume in service["volumes"]}
    variables = environment()
    assert {variables["CUCKOO_DATA_DIR"], variables["CUCKOO_NETWORK"]} == mounted
    (secret,) = service["secrets"]
    assert variables["CUCKOO_PASSWORD_FILE"] == f"/run/secrets/{secret}"
    # Whatever must be said says so, with an example or a word on it, if it is missing.
    wanted = re.findall(r"\$\{(\w+)(:\?[^}]+)?\}", (FOLDER / "compose.yaml").read_text())
    assert {name for name, _ in wanted} == {"ANNOUNCE", "NETWORK", "PASSWORD_FILE"}
    assert all(complaint for _, complaint in wanted)


def settings_of(role):
    """Environment variables that a node of this role knows."""
    own = {f"CUCKOO_{field.name.upper()}" for field in fields(SETTINGS_OF_ROLE[role])}
    return own | {"CUCKOO_ROLE", "CUCKOO_CONFIG"}


@pytest.mark.parametrize("role", STAKED)
def test_a_staked_nodes_compose_file__keeps_secrets_in_files_and_a_stopped_node_down(project, role):
    text = (FOLDER / FULL_NAME[role]).read_text()
    compose = yaml.safe_load(text)
    assert set(compose) == {"services", "volumes", "secrets"}
    ((name, service),) = compose["services"].items()
    assert name == role
    assert set(service) <= STAKED_SERVICE_KEYS
    assert service["command"] == ["--role", role]
    assert Path(service["entrypoint"][0]).name == (FOLDER / "container-start").name
    # Docker's "always" and "unless-stopped" would start what must not sign again.
    assert service["restart"] == "on-failure"
    assert set(service["environment"]) <= settings_of(role)
    assert service["environment"]["CUCKOO_HEALTH_ADDRESS"] == BOOTSTRAP_HEALTH_ADDRESS
    assert service["secrets"] == list(compose["secrets"]) == ["password", "settings"]
    assert service["environment"]["CUCKOO_CONFIG"] == "/run/secrets/settings"
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]
    extras = service["build"].get("args", {}).get("EXTRAS", "").strip("[]")
    assert (extras == "" and role == "coordinator") or extras in project["optional-dependencies"]
    wanted = dict(re.findall(r"\$\{(\w+)(:[?-][^}]+)\}", text))
    assert {"NETWORK", "PASSWORD_FILE", "SETTINGS_FILE"} <= set(wanted)
    assert all(wanted.values())


@pytest.mark.parametrize("role", STAKED)
def test_a_staked_nodes_unit__keeps_secrets_in_credentials_and_a_stopped_node_down(project, role):
    text = (FOLDER / "systemd" / f"cuckoo-{role}.service").read_text()
    said = dict(re.findall(r"^(\w+)=(.*)$", text, flags=re.MULTILINE))
    assert (said["Restart"], said["RestartPreventExitStatus"]) == ("on-failure", "2")
    command, *arguments = shlex.split(said["ExecStart"])
    assert Path(command).name in project["scripts"]
    assert arguments == ["--role", role]
    variables = dict(re.findall(r"^Environment=(CUCKOO_\w+)=(.*)$", text, flags=re.MULTILINE))
    assert set(variables) <= settings_of(role)
    credentials = dict(re.findall(r"^LoadCredential=(\w+):(.*)$", text, flags=re.MULTILINE))
    assert variables["CUCKOO_PASSWORD_FILE"] == "%d/password"
    assert variables["CUCKOO_CONFIG"] == "%d/settings"
    assert set(credentials) == {"password", "settings"}
    assert not re.search(r"^EnvironmentFile=", text, flags=re.MULTILINE)
    assert set(HARDENING.items()) <= set(said.items())


@pytest.mark.parametrize("role", STAKED)
def test_the_settings_that_a_unit_shows__are_settings(role):
    text = (FOLDER / "systemd" / f"cuckoo-{role}.service").read_text()
    shown = "\n".join(re.findall(r"^#   (\w+ = .*)$", text, flags=re.MULTILINE))
    assert {f"CUCKOO_{name.upper()}" for name in tomllib.loads(shown)} <= settings_of(role)


@pytest.mark.process
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
@pytest.mark.parametrize("role", ["bootstrap", *STAKED])
def test_the_units__are_understood_by_systemd(role, tmp_path):
    text = (FOLDER / "systemd" / f"cuckoo-{role}.service").read_text()
    unit = tmp_path / f"cuckoo-{role}.service"
    unit.write_text(text.replace("/opt/cuckoo/bin/cuckoo-peer", "/bin/true"))
    asked = ["systemd-analyze", "verify", str(unit)]
    found = subprocess.run(asked, capture_output=True, text=True, timeout=CHILD_TIMEOUT_S)
    assert (found.returncode, found.stderr) == (0, "")


STAND_IN = """#!/bin/sh
trap 'exit 7' TERM
echo started
[ "$1" = wait ] && while :; do sleep 0.1; done
exit "$1"
"""


@pytest.mark.process
@pytest.mark.parametrize(("status", "seen"), [(0, 0), (1, 1), (2, 0), (137, 137)])
def test_the_start_in_a_container__tells_a_node_that_stays_down_from_one_that_crashed(tmp_path, status, seen):
    ended = subprocess.run(
        [FOLDER / "container-start", str(status)],
        env={**os.environ, "CUCKOO_PEER": stand_in(tmp_path)},
        capture_output=True,
        text=True,
        timeout=CHILD_TIMEOUT_S,
    )
    said = "cuckoo-peer stays down until a person has looked: status 2, see above\n"
    assert (ended.returncode, ended.stderr) == (seen, said if status == 2 else "")


@pytest.mark.process
def test_the_start_in_a_container__passes_a_signal_on_and_waits(tmp_path):
    with subprocess.Popen(
        [FOLDER / "container-start", "wait"],
        env={**os.environ, "CUCKOO_PEER": stand_in(tmp_path)},
        stdout=subprocess.PIPE,
    ) as node:
        assert node.stdout.readline() == b"started\n"
        node.terminate()
        assert node.wait(CHILD_TIMEOUT_S) == 7


def stand_in(folder):
    """A program in place of cuckoo-peer, which ends with the status that it is told."""
    program = folder / "cuckoo-peer"
    program.write_text(STAND_IN)
    program.chmod(0o755)
    return str(program)


def test_the_systemd_unit__starts_what_the_project_has_with_settings_that_there_are(project):
    text = (FOLDER / "systemd" / "cuckoo-bootstrap.service").read_text()
    assert re.findall(r"^\[(\w+)\]$", text, flags=re.MULTILINE) == ["Unit", "Service", "Install"]
    assert all(re.match(r"(#|\[|$|[A-Z]\w+=)", line) for line in text.splitlines())
    assert set(re.findall(r"(CUCKOO_\w+)=", text)) <= SETTINGS
    (started,) = re.findall(r"^ExecStart=(.*)$", text, flags=re.MULTILINE)
    command, *arguments = shlex.split(started)
    assert Path(command).name in project["scripts"]
    assert arguments == ["--role", "bootstrap"]


@pytest.mark.process
def test_the_shell_in_the_dockerfile__is_of_its_form():
    for script in (*instructions("RUN"), (FOLDER / "container-start").read_text()):
        subprocess.run(["sh", "-n"], input=script.encode(), check=True, timeout=CHILD_TIMEOUT_S)
