"""The demonstrations: one prompt through a whole market, and a cheat who is caught.

Is: a client of the coordinator's local API, as any app is one, that checks what it is given.
Is not: a privileged observer; it knows no more than the API, the receipt and the chain tell it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import trio
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from contracts.clients import Clients
from contracts.records import Role
from contracts.staking import StakingClient
from contracts.transactions import Sender
from node.commands.evidence_reports import read_evidence, submit_evidence
from node.devnet import report
from node.devnet.market import Market, NodePlan
from node.devnet.patience import Activity, Patience
from node.devnet.payday import show_pay
from protocol.amounts import WEI_PER_CAI
from protocol.errors import CuckooError
from protocol.receipt import Receipt, verify_document

PROMPT = "a red apple on a blue background"
SEED = 7
PREVIEWS = 3
TIMEOUT_S = 300
POLL_S = 0.1
EVIDENCE_TIMEOUT_S = 180
"""From a second result to its evidence: milliseconds, unless the machine is very busy."""
DRAWS_MAX = 20
"""Tasks until the cheat must have been drawn; at its share of stake, missing it so often is 1 in 10^17."""
VOTE_CAI, UNVOTE_CAI = 100_000, 40_000
CHEAT = NodePlan("cheat", Role.MINER, 500_000, module="node.devnet.cheat")
"""The dishonest miner; staked highest, so that it is drawn soon."""


class DemonstrationFailed(CuckooError):
    """The demonstration did not show what it should; the text says what was seen instead."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An app's answer. :ivar png: the image. :ivar receipt: verified, and for this very image."""

    png: bytes
    receipt: Receipt
    receipt_document: dict[str, Any]


async def wait_until_ready(market: Market) -> None:
    """Wait until the coordinator has heard an offer of each miner of the epoch that takes tasks.

    :raises DemonstrationFailed: the nodes have stopped getting on, as `Patience` sees it.
    """
    patience = Patience(trio.current_time(), _activity(market))
    async with _client(market) as client:
        while True:
            status = (await client.get("/v1/cuckoo/status")).json()
            live_offers = status["coordinator"]["live_offers"]
            miners = status["chain"]["miners"] - market.only_auditing
            if live_offers >= miners > 0:
                return
            if not patience.update(trio.current_time(), _activity(market)):
                raise DemonstrationFailed(
                    f"the coordinator has heard offers of {live_offers} of the epoch's {miners} miners, "
                    f"{patience.given_up}"
                )
            await trio.sleep(POLL_S)


def _activity(market: Market) -> Activity:
    """Of all nodes together."""
    found = [node.activity() for node in market.nodes.values()]
    return Activity(sum(each.log_bytes for each in found), sum(each.cpu_s for each in found))


async def ask(market: Market, console: Console, prompt: str, seed: int) -> Answer:
    """Send a prompt, show the progress, and verify the receipt.

    :raises DemonstrationFailed: the API answered with an error.
    :raises ProtocolError: the receipt does not hold.
    """
    body = {"prompt": prompt, "seed": seed, "stream": True, "partial_images": PREVIEWS}
    png, task_id = b"", ""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} steps"),
    )
    async with _client(market) as client:
        with Progress(*columns, console=console) as progress:
            bar = progress.add_task("announced, waiting for the drawn miner", total=None)
            async with client.stream("POST", "/v1/images/generations", json=body) as response:
                if response.status_code != httpx2.codes.OK:
                    raise DemonstrationFailed((await response.aread()).decode())
                async for name, data in _events(response):
                    if name == "comment" and data.startswith("step "):
                        _, step, _, steps, *_ = data.split()
                        miner = market.names.get(bytes.fromhex(data.rpartition("0x")[2]), "a miner")
                        progress.update(
                            bar, description=f"{miner} works", completed=int(step), total=int(steps)
                        )
                    elif name == "image_generation.partial_image":
                        progress.console.print(
                            f"  preview {json.loads(data)['partial_image_index'] + 1} arrived"
                        )
                    elif name == "image_generation.completed":
                        document = json.loads(data)
                        png, task_id = base64.b64decode(document["b64_json"]), document["cuckoo"]["tasks"][0]
                    elif name == "error":
                        raise DemonstrationFailed(data)
        document = (await client.get(f"/v1/cuckoo/tasks/{task_id}")).json()
    receipt = verify_document(document)
    if not receipt.matches(png):
        raise DemonstrationFailed("the picture is not the one that the miner has signed")
    return Answer(png, receipt, document)


def _client(market: Market) -> httpx2.AsyncClient:
    headers = {"Authorization": f"Bearer {market.token}"}
    return httpx2.AsyncClient(base_url=market.api_url, headers=headers, timeout=TIMEOUT_S, trust_env=False)


async def _events(response: httpx2.Response) -> AsyncIterator[tuple[str, str]]:
    """Server-sent events as (name, data); comments under the name ``comment``."""
    name = ""
    async for line in response.aiter_lines():
        if line.startswith(":"):
            yield "comment", line[1:].strip()
        elif line.startswith("event:"):
            name = line.removeprefix("event:").strip()
        elif line.startswith("data:"):
            yield name, line.removeprefix("data:").strip()


async def show_market(
    market: Market, console: Console, image: Path, prompt: str = PROMPT, seed: int = SEED
) -> None:
    """The demonstration of `make demo`."""
    console.print(f'\nPrompt to {market.api_url}/v1/images/generations: [bold]"{prompt}"[/bold]')
    answer = await ask(market, console, prompt, seed)
    image.write_bytes(answer.png)
    receipt_file = image.with_suffix(".receipt.json")
    receipt_file.write_text(json.dumps(answer.receipt_document, indent=2) + "\n")
    report.print_draw(console, answer.receipt, market.names)
    report.print_signatures(console, answer.receipt, market.names)
    await show_pay(market, console, answer.receipt)
    report.print_picture(console, answer.png)
    report.print_files(console, image, receipt_file)


async def show_equivocation(market: Market, console: Console) -> None:
    """The demonstration of `make demo-equivocation`: draw the cheat, find the evidence, slash.

    :raises DemonstrationFailed: the cheat got away.
    """
    cheat = next(address for address, name in market.names.items() if name == CHEAT.name)
    staked = await _vote_and_unvote(market, cheat)
    console.print(
        f"\nA staker has voted for the cheat with {VOTE_CAI:,} CAI "
        f"and is taking {UNVOTE_CAI:,} CAI of it back."
    )
    for seed in range(DRAWS_MAX):
        answer = await ask(market, console, PROMPT, seed)
        worker = answer.receipt.commitment.signer.address
        console.print(f"  the work was done by {market.names[worker]}")
        if worker == cheat:
            break
    else:
        raise DemonstrationFailed(f"the cheat was not drawn in {DRAWS_MAX} tasks")
    console.print("\nThe cheat has told the network two different results for that task. Who noticed?")
    path = await find_evidence(market)
    console.print(f"  {path.parts[-3]} did, and wrote [bold]{path}[/bold]")
    domain, evidence, offence = read_evidence(path)
    console.print(
        f"  verified offline: 0x{offence.signer.hex()} signed two statements of kind "
        f"{offence.kind.name.lower()} in slot {report.short(offence.slot)}"
    )
    before = await staked.now()
    outcome = await submit_evidence(
        Clients(market.rpc, market.deployment), Sender(market.rpc, market.reporter), domain, evidence
    )
    after = await staked.now()
    if any(after.values()):
        raise DemonstrationFailed("the cheat or its voter still has stake")
    report.print_slash(console, before, after, outcome)


@dataclass(frozen=True, slots=True)
class StakeBehind:
    """The stake behind a node, as the chain has it."""

    staking: StakingClient
    node: bytes
    voter: bytes
    request_id: int

    async def now(self) -> dict[str, int]:
        """Wei by whose it is."""
        info = await self.staking.node_info(self.node)
        unbonding = await self.staking.unbonding(self.node, self.voter, self.request_id)
        if info is None or unbonding is None:
            raise DemonstrationFailed("the chain has forgotten the node or its voter")
        return {
            "the cheat's own stake": info.own_stake_wei,
            "its voter's stake": await self.staking.stake_of(self.node, self.voter),
            "its voter's stake on the way out": unbonding.amount_wei,
        }


async def _vote_and_unvote(market: Market, node: bytes) -> StakeBehind:
    """Let the market's staker vote for a node, and begin to take some of it back."""
    deployment, voter = market.deployment, Sender(market.rpc, market.staker)
    clients = Clients(market.rpc, deployment)
    token, staking = clients.token, clients.staking
    vote_wei = VOTE_CAI * WEI_PER_CAI
    await token.faucet(voter, vote_wei)
    await token.approve(voter, deployment.staking, vote_wei)
    shares = await staking.vote(voter, node, vote_wei)
    request = await staking.unvote(voter, node, shares * UNVOTE_CAI // VOTE_CAI)
    return StakeBehind(staking, node, voter.address, request.request_id)


async def find_evidence(market: Market) -> Path:
    """The first evidence file that any node of the market has written.

    :raises DemonstrationFailed: none does within `EVIDENCE_TIMEOUT_S`.
    """
    with trio.move_on_after(EVIDENCE_TIMEOUT_S):
        while True:
            for path in sorted(market.folder.glob("*/evidence/*.json")):
                return path
            await trio.sleep(POLL_S)
    raise DemonstrationFailed("nobody has noticed")
