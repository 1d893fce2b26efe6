"""All that a node is told: one dataclass, whose fields are the flags of `cuckoo-peer` and their help.

Is: names, types, defaults and help, once.
Is not: where a value comes from (`cli`) or what is done with it (`run`). Imports nothing heavy, since
`--help` waits for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

EMBEDDED_MODELS = Path(__file__).parent / "inference" / "models"
"""Folder of the model packages that come with the node."""

RoleName = Literal["bootstrap", "coordinator", "miner"]
_SEVERAL = Parameter(consume_multiple=True, negative="", show_default=False)

LogLevel = Literal["debug", "info", "warning", "error"]


def embedded_folders() -> list[Path]:
    """Folders of the packages that come with the node."""
    return sorted(manifest.parent for manifest in EMBEDDED_MODELS.glob("*/manifest.json"))


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSettings:
    """One node."""

    role: RoleName
    """What the node does: bootstrap helps newcomers, coordinator serves apps, miner runs models."""
    data_dir: Path
    """Folder of this node alone: node-key.json, its guard, evidence, and a coordinator's api-token."""
    network: str = "devnet"
    """Folder of the network (params.toml, contracts.json, bootnodes.txt), or the name of a packaged one."""
    password_file: Path | None = None
    """File (mode 0600) with the key's password in its first line; without it, the password is asked for."""
    rpc_url: str | None = None
    """JSON-RPC URL of a node of the chain; default: the network's."""
    listen: Annotated[tuple[str, ...], _SEVERAL] = ("/ip4/127.0.0.1/tcp/0",)
    """Multiaddrs to listen on, such as /ip4/192.0.2.7/tcp/4001; default: any port of 127.0.0.1."""
    announce: Annotated[tuple[str, ...], _SEVERAL] = ()
    """Multiaddrs at which others can dial this node, if they are not those it listens on: NAT, containers."""
    reachable: Literal["auto", "yes", "no"] = "auto"
    """Whether others can dial this node; auto asks bootstrap peers. If not, it is reached through relays."""
    relay: Annotated[bool, Parameter(negative="")] = False
    """Lead peers to nodes that nobody can dial, within limits; needs a public address. Bootstrap peers do."""
    mdns: Annotated[bool, Parameter(negative="")] = False
    """Find peers on the local network by multicast DNS, and be found by them."""
    health_address: str = "127.0.0.1:8430"
    """IP address and port where a bootstrap peer shows how it is, at / and /health; port 0 takes any."""
    api_port: int = 8420
    """Port of the coordinator's local API on 127.0.0.1; 0 takes any."""
    models: Annotated[tuple[Path, ...], _SEVERAL] = ()
    """Folders of model packages; default: those that come with the node."""
    price_micro_cai: int = 10_000
    """Price that a miner asks for one image at a model's default size and steps, in millionths of a CAI."""
    price_max_micro_cai: int = 1_000_000
    """Most that a coordinator pays for such an image, in millionths of a CAI; dearer offers do not count."""
    credit_tasks: int = 100
    """Tasks for which a miner trusts a coordinator with vouchers, at its own price; it redeems at half."""
    capacity: int = 1
    """Tasks that a miner takes at a time."""
    threads: int = 1
    """Threads of a miner's inference process; more than one is slower when the cores are busy."""
    device: Annotated[tuple[str, ...], _SEVERAL] = ("auto",)
    """What a miner's models run on, as torch calls it: cpu, cuda:1, mps; auto takes an accelerator. Each of
    several gets an inference process of its own."""
    memory_mib: int = 0
    """Memory for models in MiB of each inference process, the longest unused go beyond it; 0: most of what is
    free."""
    workers: int = 0
    """Inference processes of a miner; 0: one a device, or one for each GPU of the Ray cluster."""
    ray_address: str = ""
    """A miner's inference runs on the hosts of the Ray cluster whose head is at this host:port."""
    ray_models: str = ""
    """Folder on those hosts where models are kept, or one that they share; default: below ~/.cache."""
    active_hours: str = ""
    """Local hours at which a miner works, such as 22-7; default: all day."""
    load_max: float = 0.0
    """Share of the processors, 0 to 1, that other programs may use before a miner pauses; 0: any."""
    device_load_max: float = 0.0
    """Likewise of the accelerator's time; the models then leave its memory, too."""
    power_saving: Annotated[bool, Parameter(negative="")] = False
    """A miner works half of the time, on one thread, after all other programs, and not on battery."""
    log_level: LogLevel = "info"
    """Least level that is logged, on standard error."""
    log_json: Annotated[bool, Parameter(negative="")] = False
    """Log JSON, one object a line."""

    @property
    def model_folders(self) -> list[Path]:
        """Folders of the model packages to use."""
        return list(self.models) or embedded_folders()
