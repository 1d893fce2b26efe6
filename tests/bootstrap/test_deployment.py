"""bootstrap/: the files that run a bootstrap peer elsewhere, read and checked; there is no container engine.

Checked: compose file, Dockerfile and systemd unit are of their form, and whatever they name exists here:
files, commands, flags, environment, ports, the health page; the probe's own command is run. Not checked: that
an image builds, and that a container runs.
"""

import json
import re
import shlex
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
import trio
import yaml

from node import cli
from node.settings import BOOTSTRAP_HEALTH_ADDRESS, BootstrapSettings
from node.system.health_page import Page, serve_health
from node.system.readiness import Readiness
from tests.limits import CHILD_TIMEOUT_S

FOLDER = Path(__file__).parents[2] / "bootstrap"
REPOSITORY = FOLDER.parent
SETTINGS = {f"CUCKOO_{field.name.upper()}" for field in fields(BootstrapSettings)} | {"CUCKOO_ROLE"}
INSTRUCTIONS = {"CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "RUN", "USER", "VOLUME"}
SERVICE_KEYS = {
    *("build", "restart", "environment", "ports", "volumes", "secrets", "read_only", "tmpfs"),
    *("cap_drop", "security_opt", "mem_limit", "ulimits"),
}
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
    assert "-c /source/constraints.txt /source" in made
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
    for script in instructions("RUN"):
        subprocess.run(["sh", "-n"], input=script.encode(), check=True, timeout=CHILD_TIMEOUT_S)
