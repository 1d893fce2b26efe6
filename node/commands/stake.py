"""`cuckoo-peer chain`: what owners and voters do.

Is: stake, votes, rewards and the life of a node on the chain, one command a step.
Is not: a wallet for stakes of value: there, let your own wallet sign.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from node.commands.chain_access import (
    Chain,
    ChainOptions,
    SignerOptions,
    parse_address,
    run_on_chain,
)
from node.commands.confirmation import confirm
from node.system.clock import format_time
from protocol.amounts import format_cai, parse_cai
from protocol.errors import LocalError

CONSENT_LIFE_S = 3600
"""How long a node key's consent may take to be used."""
CONSENT_DAYS, CONSENT_DAYS_MAX = 7, 365
"""Likewise of one that goes to somebody else."""
SECONDS_PER_DAY = 86_400
BASIS_POINTS_PER_PERCENT = 100


def register(
    *,
    signer: SignerOptions,
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

    amount_wei = parse_cai(stake)
    key = open_keystore(node_key, read_password(node_password_file or signer.password_file))

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
        print(f"registered: {role} 0x{key.address.hex()} with {format_cai(amount_wei)}")
        print("it takes part from the next epoch on")

    run_on_chain(signer, work)


def consent(
    node_key: Path,
    /,
    *,
    role: Literal["miner", "coordinator"],
    owner: str,
    network: str = "devnet",
    password_file: Path | None = None,
    days: int = CONSENT_DAYS,
) -> None:
    """Have a node's key consent to be registered by an owner, and print what the owner pastes into the
    portal.

    Example:

    cuckoo-peer chain consent miner/node-key.json --role miner --owner
    0xffcf8fdee72ac11b5c542428b35eef5769c409f0

    Parameters
    ----------
    node_key
        Keystore of the node.
    owner
        Address of the account that will stake for it and register it, and of no other.
    network
        Folder of the network, or the name of one that comes with the package.
    password_file
        File (mode 0600) with the key's password in its first line; without it, the password is asked for.
    days
        So long the consent can be used.
    """
    import json  # noqa: PLC0415
    import time  # noqa: PLC0415

    from contracts.consent import sign_consent  # noqa: PLC0415
    from contracts.records import Consent, Role  # noqa: PLC0415
    from node.peer.network import load_network  # noqa: PLC0415
    from node.signing.keys import open_keystore, read_password  # noqa: PLC0415

    if not 0 < days <= CONSENT_DAYS_MAX:
        raise LocalError(f"a consent lasts 1 to {CONSENT_DAYS_MAX} days, not {days}")
    deployment = load_network(network).deployment
    key = open_keystore(node_key, read_password(password_file))
    agreed = Consent(
        owner=parse_address(owner),
        node=key.address,
        role=Role[role.upper()],
        deadline_s=int(time.time()) + days * SECONDS_PER_DAY,
    )
    signature = sign_consent(key.secret, agreed, deployment.chain_id, deployment.staking)
    document = {
        "owner": "0x" + agreed.owner.hex(),
        "node": "0x" + agreed.node.hex(),
        "role": role,
        "deadline_s": agreed.deadline_s,
        "signature": "0x" + signature.hex(),
    }
    print(json.dumps(document, indent=1))


async def _stake(opened: Chain, node: bytes, amount_wei: int) -> int:
    await opened.clients.token.approve(opened.sender, opened.deployment.staking, amount_wei)
    return await opened.clients.staking.stake(opened.sender, node, amount_wei)


def stake(node: str, amount: str, /, *, signer: SignerOptions) -> None:
    """Add to the own stake behind a node of one's own."""

    async def work(opened: Chain) -> None:
        amount_wei = parse_cai(amount)
        shares = await _stake(opened, parse_address(node), amount_wei)
        print(f"staked {format_cai(amount_wei)}; your new shares: {shares}")

    run_on_chain(signer, work)


def vote(node: str, amount: str, /, *, signer: SignerOptions) -> None:
    """Stake behind somebody else's node; it is slashed with the node's own."""

    async def work(opened: Chain) -> None:
        amount_wei = parse_cai(amount)
        await opened.clients.token.approve(opened.sender, opened.deployment.staking, amount_wei)
        shares = await opened.clients.staking.vote(opened.sender, parse_address(node), amount_wei)
        print(f"voted with {format_cai(amount_wei)}; your shares: {shares}")

    run_on_chain(signer, work)


def unvote(
    node: str,
    amount: str,
    /,
    *,
    signer: SignerOptions,
    yes: Annotated[bool, Parameter(negative=(), help="Do not ask first.")] = False,
) -> None:
    """Begin to take stake back from behind a node, one's own or a vote; it stays slashable until released.

    Example:

    cuckoo-peer chain unvote 0x90f8bf6a479f320ead074411a4b0e7944ea8c9c1 5000

    Parameters
    ----------
    node
        Address of its key.
    amount
        In CAI, or `all`.
    """
    wanted_wei = None if amount == "all" else parse_cai(amount)

    async def work(opened: Chain) -> None:
        address, staking = parse_address(node), opened.clients.staking
        shares = await staking.shares(address, opened.sender.address)
        staked_wei = await staking.stake_of(address, opened.sender.address)
        if not shares:
            raise LocalError(f"0x{opened.sender.address.hex()} has no stake behind {node}")
        if wanted_wei is not None and wanted_wei > staked_wei:
            raise LocalError(
                f"you have {format_cai(staked_wei)} behind it, and asked for {format_cai(wanted_wei)}"
            )
        if wanted_wei is not None:
            # Rounded up, as far as there are shares: what leaves is not less than what was asked for.
            shares = min(shares, -(-shares * wanted_wei // staked_wei))
        shown = format_cai(staked_wei if wanted_wei is None else wanted_wei)
        confirm(
            f"{shown} of your {format_cai(staked_wei)} begin to leave {node}, and earn nothing more", yes=yes
        )
        request = await staking.unvote(opened.sender, address, shares)
        print(
            f"request {request.request_id}: {format_cai(request.amount_wei)}, "
            f"released at {format_time(request.release_time_s)}\n"
            f"then take it with: cuckoo-peer chain withdraw {node} {request.request_id}"
        )

    run_on_chain(signer, work)


def withdraw(node: str, request_id: int, /, *, signer: SignerOptions) -> None:
    """Take stake whose time of unbonding is over."""

    async def work(opened: Chain) -> None:
        amount_wei = await opened.clients.staking.withdraw(opened.sender, parse_address(node), request_id)
        print(f"withdrawn: {format_cai(amount_wei)}")

    run_on_chain(signer, work)


def claim(node: str, /, *, signer: SignerOptions) -> None:
    """Take what was earned behind a node, as its owner or as a voter."""

    async def work(opened: Chain) -> None:
        print(
            f"claimed: {format_cai(await opened.clients.rewards.claim(opened.sender, parse_address(node)))}"
        )

    run_on_chain(signer, work)


def claimable(node: str, account: str, /, *, options: ChainOptions = ChainOptions()) -> None:
    """Show what an account has staked behind a node, and what it can claim now.

    Example:

    cuckoo-peer chain claimable 0x90f8bf6a479f320ead074411a4b0e7944ea8c9c1
    0xffcf8fdee72ac11b5c542428b35eef5769c409f0

    Parameters
    ----------
    node
        Address of its key.
    account
        Address of the owner or voter.
    """

    async def work(opened: Chain) -> None:
        address, staker = parse_address(node), parse_address(account)
        if await opened.clients.staking.node_info(address) is None:
            raise LocalError(f"{node} is not registered")
        print(f"staked     {format_cai(await opened.clients.staking.stake_of(address, staker))}")
        print(f"claimable  {format_cai(await opened.clients.rewards.claimable(address, staker))}")

    run_on_chain(options, work)


def rewards(*, options: ChainOptions = ChainOptions()) -> None:
    """Show the stream of rewards that flows to all active stake."""

    async def work(opened: Chain) -> None:
        stream = await opened.clients.rewards.stream()
        print(f"flows      {format_cai(stream.wei_per_s)} per second, until {format_time(stream.end_time_s)}")
        print(f"remaining  {format_cai(stream.remaining_wei)}")
        print(f"carried    {format_cai(stream.carried_wei)}")

    run_on_chain(options, work)


def fund(amount: str, /, *, signer: SignerOptions) -> None:
    """Add to the stream of rewards."""

    async def work(opened: Chain) -> None:
        amount_wei = parse_cai(amount)
        await opened.clients.token.approve(opened.sender, opened.deployment.staking, amount_wei)
        stream = await opened.clients.rewards.fund(opened.sender, amount_wei)
        print(f"flows: {format_cai(stream.wei_per_s)} per second, until {format_time(stream.end_time_s)}")

    run_on_chain(signer, work)


def commission(node: str, percent: float, /, *, signer: SignerOptions) -> None:
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
            print(f"it rises to {later:g} % from {format_time(found.next_from_s)} on")

    run_on_chain(signer, work)


def metadata(node: str, text: str, /, *, signer: SignerOptions) -> None:
    """Replace what introduces a node of one's own: a name, a URL, its models.

    Example:

    cuckoo-peer chain metadata 0x90f8bf6a479f320ead074411a4b0e7944ea8c9c1 'icons, day and night'

    Parameters
    ----------
    node
        Address of its key.
    text
        At most 512 bytes.
    """

    async def work(opened: Chain) -> None:
        await opened.clients.staking.set_metadata(opened.sender, parse_address(node), text)
        print(f"metadata: {text!r}")

    run_on_chain(signer, work)


def burn_slashed(*, signer: SignerOptions) -> None:
    """Burn what slashes have taken and nobody is owed; anybody may, and pays the gas.

    Example:
    cuckoo-peer chain burn-slashed --owner-key staker.json
    """

    async def work(opened: Chain) -> None:
        print(f"burned: {format_cai(await opened.clients.staking.burn_slashed(opened.sender))}")

    run_on_chain(signer, work)


def unjail(node: str, /, *, signer: SignerOptions) -> None:
    """Take a node of one's own out of jail when its time is over."""

    async def work(opened: Chain) -> None:
        await opened.clients.staking.unjail(opened.sender, parse_address(node))
        print("out of jail; it takes part again from the next epoch on, if its own stake is enough")

    run_on_chain(signer, work)


def deregister(node: str, /, *, signer: SignerOptions) -> None:
    """Take a node of one's own off the network, for good; then `unvote` to take its stake."""

    async def work(opened: Chain) -> None:
        await opened.clients.staking.deregister(opened.sender, parse_address(node))
        print("it has left; its key never registers again")

    run_on_chain(signer, work)


COMMANDS = (
    register,
    consent,
    stake,
    vote,
    unvote,
    withdraw,
    claimable,
    claim,
    rewards,
    fund,
    commission,
    metadata,
    burn_slashed,
    unjail,
    deregister,
)
"""All of them, for `cli` to add."""
