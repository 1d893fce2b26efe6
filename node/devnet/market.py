"""Sets up and runs a market in a folder: chain, contracts, stakes, keys, and a process for each node.

Is: what an operator would do by hand, in order, with the same contracts client and the same commands.
Is not: anything that nodes rely on; all they get is a folder with three files and a key each.
"""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import trio

from contracts.account import Account
from contracts.anvil import Anvil, AnvilOptions, run_anvil
from contracts.clients import Clients
from contracts.consent import sign_consent
from contracts.deploy import DeployParameters, TokenKind, deploy
from contracts.deployment import Deployment, write_deployment
from contracts.records import Consent, Role
from contracts.rpc import Rpc
from contracts.transactions import Sender
from node.api.gate import TOKEN_FILE
from node.devnet.processes import NodeProcess, node_process
from node.peer.network import read_parameters
from node.signing.keys import SCRYPT_N_LIGHT, Key, create_keystore
from node.signing.node_key import create_node_key
from node.system.clock import now_ms
from node.system.files import write_private
from node.system.lifetime import KEY_FILE
from protocol.amounts import WEI_PER_CAI
from protocol.errors import LocalError

PARAMETERS_FILE = Path(__file__).parents[2] / "bootstrap" / "devnet" / "params.toml"
EPOCH_BLOCKS = 60
PRIORITY_BLOCKS = 16
SEED_DELAY_BLOCKS = 2
UNBONDING_DELAY_S = 3600
BLOCK_TIME_S = 1
LEAD_S = 3600
"""How far in the past the chain begins."""
MARKET_FILE = "market.json"
OWNER_KEY_FILE = "owner.json"
"""Keystore of a node's owner, in its data directory; on a real network it would be far from there."""
GAS_MONEY_WEI = 10**18
DEPOSIT_CAI = 100
"""The deposit that each coordinator's owner puts into the escrow to pay miners from."""
CONSENT_DEADLINE_S = 1 << 40
"""Far in the future: the devnet's clock jumps."""
REPORTER_ACCOUNT, STAKER_ACCOUNT = 0, 1
"""Of the chain's funded accounts; the following ones own the nodes."""
PASSWORD_BYTES = 16


@dataclass(frozen=True, slots=True)
class NodePlan:
    """A staked node to be. :ivar stake_cai: own stake in whole CAI. :ivar module: its program.

    :ivar arguments: further flags of it.
    :ivar only_audits: a miner by its stake that takes no tasks.
    """

    name: str
    role: Role
    stake_cai: int
    module: str = "node.cli"
    arguments: tuple[str, ...] = ()
    only_audits: bool = False

    @property
    def role_name(self) -> str:
        """As `--role` takes it."""
        if self.role is Role.COORDINATOR:
            return "coordinator"
        return "auditor" if self.only_audits else "miner"


DEFAULT_PLAN = (
    NodePlan("coordinator", Role.COORDINATOR, 2_500_000),
    NodePlan("miner-1", Role.MINER, 25_000),
    NodePlan("miner-2", Role.MINER, 50_000),
    NodePlan("miner-3", Role.MINER, 100_000),
)
"""One coordinator and three miners whose chances differ."""


@dataclass(slots=True)
class Market:
    """A running market.

    :ivar folder: all its files.
    :ivar rpc: open connection to the chain.
    :ivar rpc_url: the chain's JSON-RPC.
    :ivar deployment: addresses of the contracts.
    :ivar reporter: an account with gas that is nobody's node: the deployer, and who reports cheats.
    :ivar staker: an account with gas, for trying things; its key is in `staker_key`.
    :ivar api_url: base URL of the coordinator's local API.
    :ivar token: its bearer token.
    :ivar portal_url: of its portal.
    :ivar nodes: processes by name.
    :ivar names: of nodes, by address.
    :ivar only_auditing: how many nodes with a miner's stake take no tasks.
    """

    folder: Path
    rpc: Rpc
    rpc_url: str
    deployment: Deployment
    reporter: Account
    staker: Account
    api_url: str = ""
    token: str = ""
    portal_url: str = ""
    nodes: dict[str, NodeProcess] = field(default_factory=dict)
    names: dict[bytes, str] = field(default_factory=dict)
    only_auditing: int = 0

    def describe(self) -> None:
        """Write `market.json` into the folder: where everything is, for scripts. It holds no secret."""
        document = {
            "api_url": self.api_url,
            "portal_url": self.portal_url,
            "rpc_url": self.rpc_url,
            "chain_id": self.deployment.chain_id,
            "network": str(self.network_folder),
            "token_file": str(self.folder / "coordinator" / TOKEN_FILE),
            "staker_key": str(self.staker_key),
            "password_file": str(self.password_file),
            "nodes": {
                name: {"process": node.process.pid, "data_dir": str(node.data_dir)}
                for name, node in self.nodes.items()
            },
            "addresses": {name: "0x" + address.hex() for address, name in self.names.items()},
        }
        write_private(self.folder / MARKET_FILE, json.dumps(document, indent=2).encode() + b"\n")

    @property
    def network_folder(self) -> Path:
        """The network's three files, for `--network`."""
        return self.folder / "network"

    @property
    def password_file(self) -> Path:
        """Password of all keys of this market."""
        return self.folder / "password"

    @property
    def staker_key(self) -> Path:
        """Keystore of an account with CAI and gas, for trying commands."""
        return self.folder / "staker.json"


@asynccontextmanager
async def open_market(
    folder: Path,
    tell: Callable[[str], None],
    plan: tuple[NodePlan, ...] = DEFAULT_PLAN,
    api_port: int = 0,
    portal_port: int = 0,
) -> AsyncIterator[Market]:
    """A market in `folder`, which is emptied first, until the context ends.

    :param tell: hears each step as a phrase.
    :param plan: nodes to stake and start, besides one bootstrap peer.
    :param api_port: of the coordinator's API; 0 takes any.
    :param portal_port: of the coordinator's portal, likewise.
    :raises LocalError: something could not be started; the text says what to do.
    """
    shutil.rmtree(folder, ignore_errors=True)
    async with AsyncExitStack() as stack:
        tell("starting the chain (anvil)")
        parameters = read_parameters(PARAMETERS_FILE)
        # Blocks are made ahead below; of the future none must be, or dice of audits would be known early.
        genesis_s = now_ms() // 1000 - LEAD_S
        options = AnvilOptions(chain_id=parameters.chain_id, genesis_s=genesis_s)
        anvil = await stack.enter_async_context(run_anvil(options))
        market = await _found(folder, anvil, tell)
        market.only_auditing = sum(item.only_audits for item in plan)
        write_private(market.password_file, secrets.token_hex(PASSWORD_BYTES).encode() + b"\n")
        password = market.password_file.read_bytes().strip()
        keys = await _stake(market, anvil, plan, password, tell)
        await _seed_first_epoch(market, anvil, tell)
        tell("starting the bootstrap peer")
        bootstrap_dir = folder / "bootstrap"
        create_keystore(bootstrap_dir / KEY_FILE, password, scrypt_n=SCRYPT_N_LIGHT)
        bootstrap = await _start(
            stack,
            market,
            NodePlan("bootstrap", Role.MINER, 0),
            "bootstrap",
            ["--health-address", "127.0.0.1:0"],
        )
        (market.network_folder / "bootnodes.txt").write_text("\n".join(bootstrap["multiaddrs"]) + "\n")
        tell(f"starting {len(plan)} nodes, each a process; miners load their model")
        # Side by side: most of a start is waiting for imports.
        started: dict[str, dict[str, Any]] = {}

        async def start(item: NodePlan) -> None:
            ports = ["--api-port", str(api_port), "--portal-port", str(portal_port)]
            # The dice select all work here, and a second inference process would slow the first ones down.
            if "--audit-percent" not in item.arguments:
                ports += ["--audit-percent", "0"]
            of_role = ports if item.role is Role.COORDINATOR else []
            started[item.name] = await _start(stack, market, item, item.role_name, of_role)
            tell(f"{item.name} is ready")

        async with trio.open_nursery() as nursery:
            for item in plan:
                nursery.start_soon(start, item)
        # After them on the stack, so that it is unwound before them.
        stack.push_async_callback(_stop_all, market)
        for item in plan:
            market.names[keys[item.name].address] = item.name
            if item.role is Role.COORDINATOR:
                market.api_url = started[item.name]["api_url"]
                # A node that a test has changed may have none.
                market.portal_url = started[item.name].get("portal_url", "")
                market.token = (folder / item.name / TOKEN_FILE).read_text().strip()
        yield market


async def _stop_all(market: Market) -> None:
    """Stop the nodes side by side: a miner that was paid waits for a block to redeem in."""
    with trio.CancelScope(shield=True):
        async with trio.open_nursery() as nursery:
            for node in market.nodes.values():
                nursery.start_soon(node.stop)


async def _found(folder: Path, anvil: Anvil, tell: Callable[[str], None]) -> Market:
    """Deploy the contracts and write the network's folder."""
    tell("deploying the contracts: CAI, Staking, Slashing, Escrow, Disputes")
    parameters = DeployParameters.for_delay(
        UNBONDING_DELAY_S,
        token=TokenKind.DEVELOPMENT,
        epoch_blocks=EPOCH_BLOCKS,
        seed_delay_blocks=SEED_DELAY_BLOCKS,
        priority_blocks=PRIORITY_BLOCKS,
    )
    reporter, staker = (anvil.accounts()[index] for index in (REPORTER_ACCOUNT, STAKER_ACCOUNT))
    deployment = await deploy(anvil.rpc, Sender(anvil.rpc, reporter), parameters)
    market = Market(folder, anvil.rpc, anvil.endpoint, deployment, reporter, staker)
    market.network_folder.mkdir(parents=True)
    template = PARAMETERS_FILE.read_text()
    default_url = read_parameters(PARAMETERS_FILE).default_rpc_url
    (market.network_folder / "params.toml").write_text(template.replace(default_url, anvil.endpoint))
    write_deployment(market.network_folder / "contracts.json", deployment)
    return market


async def _stake(
    market: Market, anvil: Anvil, plan: tuple[NodePlan, ...], password: bytes, tell: Callable[[str], None]
) -> dict[str, Key]:
    """Make the nodes' keys, and let an owner for each register and stake it. Keys by name."""
    keys: dict[str, Key] = {}
    owners = zip(anvil.accounts(), anvil.secrets(), strict=True)
    for item, (owner, secret) in zip(plan, islice(owners, STAKER_ACCOUNT + 1, None), strict=False):
        tell(f"registering {item.name} with {item.stake_cai:,} CAI")
        key = create_node_key(market.folder / item.name, password, scrypt_n=SCRYPT_N_LIGHT)
        keys[item.name] = key
        owner_file = market.folder / item.name / OWNER_KEY_FILE
        create_keystore(owner_file, password, secret=secret, scrypt_n=SCRYPT_N_LIGHT)
        await register(market, Sender(market.rpc, owner), key, item)
        await market.rpc.request("anvil_setBalance", "0x" + key.address.hex(), hex(GAS_MONEY_WEI))
    staker = anvil.secrets()[STAKER_ACCOUNT]
    create_keystore(market.staker_key, password, secret=staker, scrypt_n=SCRYPT_N_LIGHT)
    return keys


async def register(market: Market, owner: Sender, key: Key, item: NodePlan) -> None:
    """Register a node, its staker and the node together: the key consents, the owner stakes and registers."""
    deployment = market.deployment
    clients = Clients(market.rpc, deployment)
    consent = Consent(owner=owner.address, node=key.address, role=item.role, deadline_s=CONSENT_DEADLINE_S)
    signature = sign_consent(key.secret, consent, deployment.chain_id, deployment.staking)
    stake_wei = item.stake_cai * WEI_PER_CAI
    deposit_wei = DEPOSIT_CAI * WEI_PER_CAI if item.role is Role.COORDINATOR else 0
    await clients.token.faucet(owner, stake_wei + deposit_wei)
    await clients.token.approve(owner, deployment.staking, stake_wei)
    await clients.staking.stake(owner, key.address, stake_wei)
    await clients.staking.register(owner, consent, signature, metadata=item.name)
    if deposit_wei:
        await clients.token.approve(owner, deployment.escrow, deposit_wei)
        await clients.escrow.deposit(owner, key.address, deposit_wei)


async def _seed_first_epoch(market: Market, anvil: Anvil, tell: Callable[[str], None]) -> None:
    """Let blocks pass until an epoch's snapshot has all stakes, record its seed, then let time run."""
    tell("waiting for the first epoch's snapshot and seed")
    epochs = Clients(market.rpc, market.deployment).epochs
    height = await market.rpc.block_number()
    await anvil.mine(EPOCH_BLOCKS - height % EPOCH_BLOCKS + SEED_DELAY_BLOCKS + 1)
    due = await epochs.recordable_epoch()
    if due is None:
        raise LocalError("the chain has no epoch to seed")
    await epochs.record_seed(Sender(market.rpc, market.reporter), due)
    await anvil.set_time(now_ms() // 1000)
    await market.rpc.request("evm_setIntervalMining", BLOCK_TIME_S)


async def _start(
    stack: AsyncExitStack, market: Market, item: NodePlan, role: str, arguments: list[str]
) -> dict[str, Any]:
    data_dir = market.folder / item.name
    process = await stack.enter_async_context(
        node_process(
            item.name,
            data_dir,
            [
                *("--role", role),
                *("--data-dir", str(data_dir)),
                *("--network", str(market.network_folder)),
                *("--password-file", str(market.password_file)),
                *arguments,
                *item.arguments,
            ],
            item.module,
        )
    )
    market.nodes[item.name] = process
    return await process.ready()
