from __future__ import annotations

import eth_abi
import pytest

from contracts.consent import consent_digest, sign_consent
from contracts.contract import Contract
from contracts.errors import ContractReverted
from contracts.records import METADATA_BYTES_MAX, Role
from protocol.amounts import WEI_PER_CAI
from protocol.hashing import keccak256
from tests.contracts.world import (
    MINER_STAKE_WEI,
    NODE,
    NODE_SECRET,
    OTHER_NODE,
    OTHER_NODE_SECRET,
    UNBONDING_DELAY_S,
)

pytestmark = pytest.mark.process


async def refused(name, call):
    with pytest.raises(ContractReverted) as caught:
        await call
    assert caught.value.name == name
    return caught.value.arguments


async def test_a_node_registers_with_its_consent(world):
    assert await world.staking.node_info(NODE) is None
    assert await world.register() == NODE
    info = await world.staking.node_info(NODE)
    assert info.owner == world.owner.address
    assert info.role is Role.MINER
    assert info.own_stake_wei == info.total_stake_wei == MINER_STAKE_WEI
    assert info.active
    assert not info.jailed
    assert not info.left
    assert await world.token.balance(world.staking.address) == MINER_STAKE_WEI


async def test_the_contract_s_consent_digest_is_ours(world):
    consent = await world.consent()
    contract = Contract(world.chain.rpc, world.staking.address, "Staking")
    theirs = await contract.read(
        "consentDigest", consent.owner, consent.node, consent.role, consent.deadline_s
    )
    assert theirs == consent_digest(consent, world.staking.chain_id, world.staking.address)


@pytest.mark.parametrize("role", list(Role))
async def test_exactly_the_minimum_is_not_enough(world, role):
    minimum = role.minimum_own_stake_wei
    arguments = await refused("OwnStakeTooSmall", world.register(role=role, amount_wei=minimum))
    assert arguments == {"amount": minimum, "minimum": minimum}
    await world.register(role=role, amount_wei=1)
    assert (await world.staking.node_info(NODE)).active


async def register_with(world, consent, signature, metadata=""):
    await world.staking.stake(world.owner, consent.node, MINER_STAKE_WEI)
    await world.staking.register(world.owner, consent, signature, metadata=metadata)


async def test_another_key_cannot_consent(world):
    consent = await world.consent()
    signature = world.sign(OTHER_NODE_SECRET, consent)
    arguments = await refused("ConsentNotByNode", register_with(world, consent, signature))
    assert arguments == {"node": NODE, "signer": OTHER_NODE}


async def test_a_consent_expires(world):
    consent = await world.consent()
    await world.chain.pass_time(601)
    arguments = await refused(
        "ConsentExpired", register_with(world, consent, world.sign(NODE_SECRET, consent))
    )
    assert arguments == {"deadline": consent.deadline_s}


async def test_a_consent_is_for_one_contract_and_chain(world):
    consent = await world.consent()
    for chain_id, address in ((1, world.staking.address), (world.staking.chain_id, world.slashing.address)):
        signature = sign_consent(NODE_SECRET, consent, chain_id, address)
        await refused("ConsentNotByNode", register_with(world, consent, signature))


async def test_a_malformed_signature_is_refused_by_its_length(world):
    consent = await world.consent()
    arguments = await refused("ECDSAInvalidSignatureLength", register_with(world, consent, b"short"))
    assert arguments == {"length": 5}


async def test_a_key_registers_once(world):
    await world.register()
    assert await refused("AlreadyRegistered", world.register(role=Role.COORDINATOR)) == {"node": NODE}
    await world.staking.deregister(world.owner, NODE)
    assert (await world.staking.node_info(NODE)).left
    await refused("NodeHasLeft", world.register())


async def test_metadata_has_a_limit_and_can_be_replaced(world):
    consent = await world.consent()
    signature = world.sign(NODE_SECRET, consent)
    too_long = "x" * (METADATA_BYTES_MAX + 1)
    await refused("MetadataTooLong", register_with(world, consent, signature, too_long))
    await register_with(world, consent, signature, "é" * (METADATA_BYTES_MAX // 2))
    await world.staking.set_metadata(world.owner, NODE, "new")
    assert await world.clients.metadata.read(NODE) == "new"
    await refused("NotOwner", world.staking.set_metadata(world.ann, NODE, "hers"))


async def test_metadata_that_is_no_text_hides_nobody(world):
    await world.register()
    selector = keccak256(b"setMetadata(address,string)")[:4]
    # The ABI's bytes and string have one form, and the contract does not look inside.
    arguments = eth_abi.encode(["address", "bytes"], [NODE, b"bad \xff\xfe"])
    await world.owner.send(world.staking.address, selector + arguments)
    assert await world.clients.metadata.read(NODE) == "bad \ufffd\ufffd"


async def test_votes_go_in_and_come_out_after_the_delay(world):
    await world.register()
    before = await world.token.balance(world.ann.address)
    shares = await world.staking.vote(world.ann, NODE, 1234)
    assert await world.staking.stake_of(NODE, world.ann.address) == 1234
    assert await world.staking.shares(NODE, world.ann.address) == shares
    assert (await world.staking.node_info(NODE)).total_stake_wei == MINER_STAKE_WEI + 1234

    request = await world.staking.unvote(world.ann, NODE, shares)
    assert request.amount_wei == 1234
    assert request == await world.staking.unbonding(NODE, world.ann.address, request.request_id)
    assert (await world.staking.node_info(NODE)).unbonding_stake_wei == 1234
    arguments = await refused("StillUnbonding", world.staking.withdraw(world.ann, NODE, request.request_id))
    assert arguments["releaseTime"] == request.release_time_s

    await world.chain.pass_time(UNBONDING_DELAY_S)
    await refused("NoSuchRequest", world.staking.withdraw(world.ben, NODE, request.request_id))
    assert await world.staking.withdraw(world.ann, NODE, request.request_id) == 1234
    assert await world.token.balance(world.ann.address) == before
    assert await world.staking.unbonding(NODE, world.ann.address, request.request_id) is None


async def test_votes_are_for_active_nodes_of_others(world):
    await refused("NotRegistered", world.staking.vote(world.ann, NODE, 1))
    await world.register()
    await refused("OwnerCannotVote", world.staking.vote(world.owner, NODE, 1))
    await refused("NothingToMove", world.staking.vote(world.ann, NODE, 0))
    await refused("NotEnoughShares", world.staking.unvote(world.ben, NODE, 1))


async def test_an_owner_below_the_minimum_is_inactive_until_it_adds_stake(world):
    await world.register()
    await world.staking.vote(world.ann, NODE, 50_000 * WEI_PER_CAI)
    shares = await world.staking.shares(NODE, world.owner.address)
    await world.staking.unvote(world.owner, NODE, shares // 20_001)
    info = await world.staking.node_info(NODE)
    assert info.own_stake_wei == 20_000 * WEI_PER_CAI
    assert not info.active
    await refused("NodeInactive", world.staking.vote(world.ann, NODE, 1))
    await world.staking.stake(world.owner, NODE, 1)
    assert (await world.staking.node_info(NODE)).active
    await refused("NotOwner", world.staking.stake(world.ann, NODE, 1))
