"""A network that one can join: a folder with three files.

Is: reading `params.toml` (rules of thumb of this network), `contracts.json` (where its contracts are) and
`bootnodes.txt` (whom to dial first, one multiaddr a line).
Is not: the source of stakes or registrations; those are read from the chain alone.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path

from contracts.deployment import Deployment, read_deployment
from protocol.errors import LocalError
from protocol.statement import Domain
from protocol.terms import PPM, AuditTerms, TaskTerms

FILE_BYTES_MAX = 64 * 1024
BOOTNODES_MAX = 64


class NetworkUnusable(LocalError):
    """The folder of a network is missing or broken; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """`params.toml`; each field is explained there. All times in milliseconds, depths in blocks."""

    name: str
    chain_id: int
    default_rpc_url: str
    chain_poll_ms: int
    seed_confirmations: int
    head_start_ms: int
    progress_timeout_ms: int
    task_life_ms: int
    assigned_miners: int
    offer_interval_ms: int
    offer_life_ms: int
    beacon_margin_ms: int
    audit_window_ms: int
    selected_ppm: int
    newcomer_ppm: int
    newcomer_ms: int
    loopback_exempt: bool = False

    def __post_init__(self) -> None:
        """:raises NetworkUnusable: a value of another type, or two that contradict each other."""
        for field in fields(self):
            value = getattr(self, field.name)
            if type(value).__name__ != field.type or (field.type == "int" and value <= 0):
                message = f"params.toml: {field.name} is not a positive {field.type}"
                raise NetworkUnusable(message)
        if not self.head_start_ms <= self.task_life_ms or not self.offer_interval_ms < self.offer_life_ms:
            message = "params.toml: a rank's head start or an offer's interval is longer than its life"
            raise NetworkUnusable(message)
        if not self.selected_ppm <= self.newcomer_ppm <= PPM:
            message = "params.toml: more of the usual work is audited than of newcomers' or of all"
            raise NetworkUnusable(message)
        if self.audit_window_ms <= self.beacon_margin_ms:
            message = "params.toml: audits are over before their dice are thrown"
            raise NetworkUnusable(message)

    @property
    def task_terms(self) -> TaskTerms:
        """Times of this network's tasks."""
        return TaskTerms(self.head_start_ms, self.task_life_ms)


@dataclass(frozen=True, slots=True)
class Network:
    """A network to join.

    :ivar parameters: of `params.toml`.
    :ivar deployment: addresses of the contracts.
    :ivar bootnodes: multiaddrs with a peer id, to be dialled first.
    """

    parameters: Parameters
    deployment: Deployment
    bootnodes: tuple[str, ...]

    @property
    def domain(self) -> Domain:
        """Domain of this network's statements."""
        return Domain(self.deployment.chain_id, self.deployment.slashing)

    @property
    def audit_terms(self) -> AuditTerms:
        """Times and rates of this network's audits."""
        parameters, deployment = self.parameters, self.deployment
        return AuditTerms(
            parameters.beacon_margin_ms,
            parameters.audit_window_ms,
            parameters.selected_ppm,
            parameters.newcomer_ppm,
            parameters.newcomer_ms,
            deployment.deployed_at_block,
            deployment.deployed_at_ms,
        )

    def topic(self, name: str) -> str:
        """Gossip topic `name` of this network alone: chain and contract are part of it."""
        return f"cuckoo/1/{self.deployment.chain_id}-{self.deployment.slashing.hex()[:8]}/{name}"


def load_network(place: str) -> Network:
    """The network in the folder `place`, or the one of that name which comes with the package.

    :raises NetworkUnusable: no such network, or one of its files is broken.
    """
    folder = Path(place)
    if not folder.is_dir():
        packaged = resources.files("bootstrap") / place
        if "/" in place or not packaged.is_dir():
            message = f"there is no network {place!r}: name a folder with params.toml and contracts.json"
            raise NetworkUnusable(message)
        folder = Path(str(packaged))
    if not (folder / "contracts.json").is_file():
        message = (
            f"{folder} has no contracts.json: the network is not deployed; for a market on this machine try: "
            f"make devnet; to deploy it: cuckoo-peer chain deploy {folder}"
        )
        raise NetworkUnusable(message)
    deployment = read_deployment(folder / "contracts.json")
    parameters = read_parameters(folder / "params.toml")
    if deployment.chain_id != parameters.chain_id:
        message = f"{folder}: params.toml and contracts.json name different chains"
        raise NetworkUnusable(message)
    return Network(parameters, deployment, _read_bootnodes(folder / "bootnodes.txt"))


def read_parameters(path: Path) -> Parameters:
    """:raises NetworkUnusable: no such file, or not one value for each parameter."""
    try:
        document = tomllib.loads(_read_text(path))
        return Parameters(**document)
    except (tomllib.TOMLDecodeError, TypeError) as error:
        message = f"{path}: {error}"
        raise NetworkUnusable(message) from error


def _read_bootnodes(path: Path) -> tuple[str, ...]:
    if not path.exists():
        return ()
    lines = [line.strip() for line in _read_text(path).splitlines()]
    bootnodes = tuple(line for line in lines if line and not line.startswith("#"))
    if len(bootnodes) > BOOTNODES_MAX:
        message = f"{path} names {len(bootnodes)} peers where at most {BOOTNODES_MAX} are allowed"
        raise NetworkUnusable(message)
    return bootnodes


def _read_text(path: Path) -> str:
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            message = f"{path} is longer than {FILE_BYTES_MAX} bytes"
            raise NetworkUnusable(message)
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        message = f"{path} cannot be read: {error}"
        raise NetworkUnusable(message) from error
