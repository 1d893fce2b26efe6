"""`cuckoo-peer chain`: what owners and voters do.

Is: stake, votes, rewards and the life of a node on the chain, one command a step.
Is not: a wallet for stakes of value: there, let your own wallet sign.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from node.commands.chain import Chain, Owner, Place, parse_address, parse_wei, run_command, show_cai
from protocol.errors import LocalError

CONSENT_LIFE_S = 3600
"""How long a node key's consent may take to be used."""
BASIS_POINTS_PER_PERCENT = 100


def register(
    *,
    owner: Owner,
    role: Literal["miner", "coordinator"],
    node_key: Path,
    stake: str,
    metadata: str = "",
    node_password_file: Annotated[
        Path | None, Parameter(help="Password of the node's key; default: --password-file.")
    ] = None,
) -> None:
    """Stake behind a node's key and register it; the key consents by a signature.

    Parameters
    ----------
    role
        A miner needs more than 20,000 CAI of own stake, a coordinator more than 2,000,000 CAI.
    node_key
        Keystore of the node.
    stake
        Own stake, in CAI.
    metadata
        What introduces the node: a name, a URL, its models; at most 512 bytes.
    """
    import time  # noqa: PLC0415

    from contracts.consent import sign_consent  # noqa: PLC0415
    from contracts.records import Consent, Role  # noqa: PLC0415
    from node.signing.keys import open_keystore, read_password  # noqa: PLC0415

    amount_wei = parse_wei(stake)
    key = open_keystore(node_key, read_password(node_password_file or owner.password_file))

    async def work(opened: Chain) -> None:
        consent = Consent(
            owner=opened.sender.address,
            node=key.address,
            role=Role[role.upper()],
            deadline_s=int(time.time()) + CONSENT_LIFE_S,
        )
        signature = sign_consent(key.secret, consent, opened.deployment.chain_id, opened.deployment.staking)
        await _stake(opened, key.address, amount_wei)
        await opened.clients.staking.register(opened.sender, consent, signature, metadata=metadata)
        print(f"registered: {role} 0x{key.address.hex()} with {show_cai(amount_wei)}")
        print("it takes part from the next epoch on")

    run_command(owner, work)


async def _stake(opened: Chain, node: bytes, amount_wei: int) -> int:
    await opened.clients.token.approve(opened.sender, opened.deployment.staking, amount_wei)
    return await opened.clients.staking.stake(opened.sender, node, amount_wei)


def stake(node: str, amount: str, /, *, owner: Owner) -> None:
    """Add to the own stake behind a node of one's own."""

    async def work(opened: Chain) -> None:
        amount_wei = parse_wei(amount)
        shares = await _stake(opened, parse_address(node), amount_wei)
        print(f"staked {show_cai(amount_wei)}; your new shares: {shares}")

    run_command(owner, work)


def vote(node: str, amount: str, /, *, owner: Owner) -> None:
    """Stake behind somebody else's node; it is slashed with the node's own."""

    async def work(opened: Chain) -> None:
        amount_wei = parse_wei(amount)
        await opened.clients.token.approve(opened.sender, opened.deployment.staking, amount_wei)
        shares = await opened.clients.staking.vote(opened.sender, parse_address(node), amount_wei)
        print(f"voted with {show_cai(amount_wei)}; your shares: {shares}")

    run_command(owner, work)


def unvote(node: str, /, *, owner: Owner) -> None:
    """Begin to take back all stake behind a node, one's own or a vote; it stays slashable until released."""

    async def work(opened: Chain) -> None:
        address = parse_address(node)
        shares = await opened.clients.staking.shares(address, opened.sender.address)
        request = await opened.clients.staking.unvote(opened.sender, address, shares)
        print(
            f"request {request.request_id}: {show_cai(request.amount_wei)}, "
            f"released at Unix time {request.release_time_s}"
        )

    run_command(owner, work)


def withdraw(node: str, request_id: int, /, *, owner: Owner) -> None:
    """Take stake whose time of unbonding is over."""

    async def work(opened: Chain) -> None:
        amount_wei = await opened.clients.staking.withdraw(opened.sender, parse_address(node), request_id)
        print(f"withdrawn: {show_cai(amount_wei)}")

    run_command(owner, work)


def claim(node: str, /, *, owner: Owner) -> None:
    """Take what was earned behind a node, as its owner or as a voter."""

    async def work(opened: Chain) -> None:
        print(f"claimed: {show_cai(await opened.clients.rewards.claim(opened.sender, parse_address(node)))}")

    run_command(owner, work)


def rewards(*, place: Place = Place()) -> None:
    """Show the stream of rewards that flows to all active stake."""

    async def work(opened: Chain) -> None:
        stream = await opened.clients.rewards.stream()
        print(f"flows      {show_cai(stream.wei_per_s)} per second, until Unix time {stream.end_time_s}")
        print(f"remaining  {show_cai(stream.remaining_wei)}")
        print(f"carried    {show_cai(stream.carried_wei)}")

    run_command(place, work)


def fund(amount: str, /, *, owner: Owner) -> None:
    """Add to the stream of rewards."""

    async def work(opened: Chain) -> None:
        amount_wei = parse_wei(amount)
        await opened.clients.token.approve(opened.sender, opened.deployment.staking, amount_wei)
        stream = await opened.clients.rewards.fund(opened.sender, amount_wei)
        print(f"flows: {show_cai(stream.wei_per_s)} per second, until Unix time {stream.end_time_s}")

    run_command(owner, work)


def commission(node: str, percent: float, /, *, owner: Owner) -> None:
    """Set the owner's part of what a node of one's own earns. It falls at once and rises after a notice."""
    basis_points = round(percent * BASIS_POINTS_PER_PERCENT)
    if basis_points < 0 or basis_points != percent * BASIS_POINTS_PER_PERCENT:
        raise LocalError(f"{percent} is not a percentage with at most two decimals")

    async def work(opened: Chain) -> None:
        address = parse_address(node)
        await opened.clients.rewards.announce_commission(opened.sender, address, basis_points)
        found = await opened.clients.rewards.commission(address)
        print(f"commission: {found.now / BASIS_POINTS_PER_PERCENT:g} %")
        if found.next_from_s:
            later = found.next / BASIS_POINTS_PER_PERCENT
            print(f"it rises to {later:g} % from Unix time {found.next_from_s} on")

    run_command(owner, work)


def unjail(node: str, /, *, owner: Owner) -> None:
    """Take a node of one's own out of jail when its time is over."""

    async def work(opened: Chain) -> None:
        await opened.clients.staking.unjail(opened.sender, parse_address(node))
        print("out of jail; it takes part again from the next epoch on, if its own stake is enough")

    run_command(owner, work)


def deregister(node: str, /, *, owner: Owner) -> None:
    """Take a node of one's own off the network, for good; then `unvote` to take its stake."""

    async def work(opened: Chain) -> None:
        await opened.clients.staking.deregister(opened.sender, parse_address(node))
        print("it has left; its key never registers again")

    run_command(owner, work)


COMMANDS = (
    register,
    stake,
    vote,
    unvote,
    withdraw,
    claim,
    rewards,
    fund,
    commission,
    unjail,
    deregister,
)
"""All of them, for `cli` to add."""
