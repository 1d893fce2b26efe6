"""All that a node is told: a dataclass for each role, whose fields are flags of `cuckoo-peer` and their help.

Is: names, types, defaults and help, once.
Is not: where a value comes from (`cli`) or what is done with it (`run`). Imports nothing heavy, since
`--help` waits for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal, TypeAlias

from cyclopts import Group, Parameter

EMBEDDED_MODELS = Path(__file__).parent / "inference" / "models"
"""Folder of the model packages that come with the node."""
BOOTSTRAP_HEALTH_ADDRESS: Final = "127.0.0.1:8430"
"""Where a bootstrap peer's health page is, if nobody says otherwise."""
ANY_HEALTH_ADDRESS: Final = "127.0.0.1:0"
API_HOST: Final = "127.0.0.1"
"""The API is for this machine alone; who wants it elsewhere puts a proxy of their own before it."""
"""Where that of any other node is: several run on one machine, and `node.json` says the port."""

RoleName = Literal["bootstrap", "coordinator", "miner", "auditor"]
LogLevel = Literal["debug", "info", "warning", "error"]

# The groups of `--help`, in its order.
_EVERY = Parameter(group=Group("Every node", sort_key=1))
_STAKED = Parameter(group=Group("Coordinator, miner and auditor", sort_key=2))
_COORDINATOR = Parameter(group=Group("Coordinator", sort_key=3))
_MINER = Parameter(group=Group("Miner", sort_key=4))
_SEVERAL = Parameter(consume_multiple=True, negative="", show_default=False)
_SWITCH = Parameter(negative="")


def embedded_folders() -> list[Path]:
    """Folders of the packages that come with the node."""
    return sorted(manifest.parent for manifest in EMBEDDED_MODELS.glob("*/manifest.json"))


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class PeerSettings:
    """Settings of every node, whatever its role."""

    role: ClassVar[RoleName]

    data_dir: Annotated[Path, _EVERY]
    """Folder of this node alone: node-key.json, its guard, evidence, control.sock, an api-token."""
    network: Annotated[str, _EVERY] = "devnet"
    """Folder of the network (params.toml, contracts.json, bootnodes.txt), or the name of a packaged one."""
    password_file: Annotated[Path | None, _EVERY] = None
    """File (mode 0600) with the key's password in its first line; without it, the password is asked for."""
    listen: Annotated[tuple[str, ...], _SEVERAL, _EVERY] = ("/ip4/127.0.0.1/tcp/0",)
    """Multiaddrs to listen on, such as /ip4/192.0.2.7/tcp/4001; default: any port of 127.0.0.1."""
    announce: Annotated[tuple[str, ...], _SEVERAL, _EVERY] = ()
    """Multiaddrs at which others can dial this node, if they are not those it listens on: NAT, containers."""
    reachable: Annotated[Literal["auto", "yes", "no"], _EVERY] = "auto"
    """Whether others can dial this node; auto asks bootstrap peers. If not, it is reached through relays."""
    health_address: Annotated[str | None, _EVERY] = None
    """IP address and port of the page with /healthz and /readyz; port 0 takes any, and an empty text leaves
    the page out. Default: 127.0.0.1:8430 for a bootstrap peer, any port of 127.0.0.1 for others."""
    log_level: Annotated[LogLevel, _EVERY] = "info"
    """Least level that is logged, on standard error."""
    log_json: Annotated[bool, _SWITCH, _EVERY] = False
    """Log JSON, one object a line."""

    @property
    def page_address(self) -> str:
        """IP address and port of the health page; empty for no page."""
        if self.health_address is not None:
            return self.health_address
        return BOOTSTRAP_HEALTH_ADDRESS if self.role == "bootstrap" else ANY_HEALTH_ADDRESS


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class StakedSettings(PeerSettings):
    """Further settings of a node with a stake: it reads the chain and is part of the mesh."""

    rpc_url: Annotated[tuple[str, ...], _SEVERAL, _STAKED] = ()
    """JSON-RPC URLs of nodes of the chain, the preferred one first: the next one is asked while it does not
    answer, and they are held against each other; default: the network's."""
    relay: Annotated[bool, _SWITCH, _STAKED] = False
    """Relay connections to nodes behind NAT, within limits; needs a public address. Bootstrap peers do."""
    mdns: Annotated[bool, _SWITCH, _STAKED] = False
    """Find peers on the local network by multicast DNS, and be found by them."""
    portal_port: Annotated[int, _STAKED] = 0
    """Port of the portal, the pages for people with a wallet; 0 takes any, and -1 leaves it out."""
    portal_host: Annotated[str, _STAKED] = "127.0.0.1"
    """IP address of the portal; another one than this machine's own needs --portal-url."""
    portal_url: Annotated[str, _STAKED] = ""
    """URL at which a proxy with a certificate shows the portal, such as https://node.example."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """Which model packages there are."""

    models: Annotated[tuple[Path, ...], _SEVERAL, _STAKED] = ()
    """Folders of model packages; default: those that come with the node."""

    @property
    def model_folders(self) -> list[Path]:
        """Folders of the model packages to use."""
        return list(self.models) or embedded_folders()


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class InferenceSettings(ModelSettings):
    """How a miner runs its models; `cuckoo-peer miner bench` is told the same."""

    threads: Annotated[int, _MINER] = 1
    """Threads of an inference process; more than one is slower when the cores are busy."""
    device: Annotated[tuple[str, ...], _SEVERAL, _MINER] = ("auto",)
    """Devices that models run on, as torch calls them: cpu, cuda:1, mps; auto takes an accelerator. Each of
    several gets an inference process of its own."""
    memory_mib: Annotated[int, _MINER] = 0
    """Memory for models in MiB of each inference process, the longest unused go beyond it; 0: most of what is
    free."""
    workers: Annotated[int, _MINER] = 0
    """Inference processes; 0: one a device, or one for each GPU of the Ray cluster."""
    ray_address: Annotated[str, _MINER] = ""
    """Inference runs on the hosts of the Ray cluster whose head is at this host:port."""
    ray_models: Annotated[str, _MINER] = ""
    """Folder on those hosts where models are kept, or one that they share; default: below ~/.cache."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class BootstrapSettings(PeerSettings):
    """A bootstrap peer."""

    role = "bootstrap"


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class CoordinatorSettings(StakedSettings, ModelSettings):
    """A coordinator."""

    role = "coordinator"

    api_port: Annotated[int, _COORDINATOR] = 8420
    """Port of the local API on 127.0.0.1; 0 takes any."""
    default_model: Annotated[str, _COORDINATOR] = ""
    """Model of requests that name none: name or id; default: the first of the node's own folders."""
    model_alias: Annotated[tuple[str, ...], _SEVERAL, _COORDINATOR] = ()
    """Names that apps have built in, and models for them: dall-e-3=cuckoo-icons, or with the size of pictures
    whose app asks for a size that the model does not have: dall-e-3=cuckoo-icons@32x32."""
    cors_origin: Annotated[tuple[str, ...], _SEVERAL, _COORDINATOR] = ()
    """Origins of web pages that may use the local API from a browser, such as https://app.example; default:
    none but its own."""
    public_url: Annotated[str, _COORDINATOR] = ""
    """URL at which a proxy shows the local API, such as https://node.example; links to pictures begin so."""
    webhook_host: Annotated[tuple[str, ...], _SEVERAL, _COORDINATOR] = ()
    """Hosts, or host:port, that the node calls, over https and at public addresses, when a request of AI
    Horde's API names one in its webhook; default: none."""
    currency_file: Annotated[Path | None, _COORDINATOR] = None
    """File with the worth of a CAI, as {"currency": "EUR", "per_cai": "0.25"}, read again when it changes;
    then the API says prices in it, too."""
    audit_percent: Annotated[int, _COORDINATOR] = 5
    """Part of the delivered pictures whose work this node checks by itself, in per cent, where the model and
    the extra `miner` are here; all of a miner's for a while after a fault. 0: none by itself."""
    price_max_micro_cai: Annotated[int, _COORDINATOR] = 1_000_000
    """Most to pay for one image at a model's default size and steps, in millionths of a CAI; more expensive
    offers are ignored."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class MinerSettings(StakedSettings, InferenceSettings):
    """A miner."""

    role = "miner"

    price_micro_cai: Annotated[int, _MINER] = 10_000
    """Price of one image at a model's default size and steps, in millionths of a CAI."""
    credit_tasks: Annotated[int, _MINER] = 100
    """Tasks for which a coordinator is trusted with vouchers, at the miner's own price; redeemed at half."""
    capacity: Annotated[int, _MINER] = 1
    """Tasks to work on at a time."""
    active_hours: Annotated[str, _MINER] = ""
    """Local hours at which to work, such as 22-7; default: all day."""
    load_max: Annotated[float, _MINER] = 0.0
    """Share of the processors, 0 to 1, that other programs may use before the miner pauses; 0: any."""
    device_load_max: Annotated[float, _MINER] = 0.0
    """Likewise of the accelerator's time; the models then leave its memory, too."""
    power_saving: Annotated[bool, _SWITCH, _MINER] = False
    """Work half of the time, on one thread, after all other programs, and not on battery."""


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class AuditorSettings(StakedSettings, InferenceSettings):
    """A node with a miner's stake that audits and takes no tasks; a miner does both."""

    role = "auditor"


RoleSettings: TypeAlias = BootstrapSettings | CoordinatorSettings | MinerSettings | AuditorSettings
SETTINGS_OF_ROLE: Final[dict[RoleName, type[RoleSettings]]] = {
    "bootstrap": BootstrapSettings,
    "coordinator": CoordinatorSettings,
    "miner": MinerSettings,
    "auditor": AuditorSettings,
}


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class NodeFlags(BootstrapSettings, CoordinatorSettings, MinerSettings):
    """Flags of all roles, for the command line; :meth:`settings` is those of the one that was chosen."""

    # Each role says its own; here it is a flag without a default.
    role: Annotated[RoleName, _EVERY] = field()  # type: ignore[assignment,misc]
    """The node's role: bootstrap helps newcomers, coordinator serves apps, miner runs models and audits
    others' work, auditor does no more than that."""

    def settings(self) -> RoleSettings:
        """The chosen role's own settings."""
        kind = SETTINGS_OF_ROLE[self.role]
        return kind(**{item.name: getattr(self, item.name) for item in fields(kind)})


def roles_with(name: str) -> list[RoleName]:
    """Roles that have a setting of this name; empty for a name that is not a setting."""
    return [role for role, kind in SETTINGS_OF_ROLE.items() if name in {item.name for item in fields(kind)}]
