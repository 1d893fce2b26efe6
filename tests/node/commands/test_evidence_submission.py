"""A report and its reward on a real chain: alone, against copiers, interrupted, and too late."""

import dataclasses
import re

import pytest
import trio

from contracts.errors import ContractReverted, TransactionInDoubt, TransactionNotMined
from contracts.records import Equivocation
from node.commands.evidence_reports import (
    Report,
    WrongNetwork,
    claim_reward,
    key_of,
    report_of,
    status_of,
    submit_evidence,
)
from node.commands.evidence_submission import RewardLost, Submission, submit_with_priority
from node.commands.report_file import begun_report, report_path
from protocol.amounts import format_cai
from protocol.errors import InvalidMessage
from protocol.evidence import BrokenSequence, Fault, Offence, verify_evidence
from protocol.evidence.makers import false_step
from protocol.messages import NO_TASK, Kind
from protocol.statement import Domain
from tests.contracts.conftest import chain_process, deployment, world
from tests.contracts.world import NODE, NODE_SECRET, SLOT
from tests.protocol import builders
from tests.protocol.builders import Key, sealed
from tests.protocol.traces import Lie, MadeTrace, Terms, trace_evidence

pytestmark = pytest.mark.process
__all__ = ["chain_process", "deployment", "world"]
POLL_S = 0.01
WAITS_FOR = re.compile(r"waiting for block (\d+), now (\d+)")


class Reporter:
    """A reporter of one equivocation, unless of another offence, and the lines that it was told."""

    def __init__(self, world, folder, sender=None, texts=(b"one", b"other"), report=None):
        one, other = (world.statement(text) for text in texts)
        self.world = world
        self.lines = []
        self.outcomes = []
        self.equivocation = Equivocation(
            kind=2,
            slot=SLOT,
            body_a=one.body,
            signature_a=one.signature,
            body_b=other.body,
            signature_b=other.signature,
        )
        self.submission = Submission(
            clients=world.clients,
            reporter=world.reporter if sender is None else sender,
            report=report
            or Report(Offence(Fault.EQUIVOCATION, NODE, Kind.TASK_ANNOUNCEMENT, SLOT), self.equivocation),
            file=folder / "evidence.json",
            tell=self.lines.append,
            poll_s=POLL_S,
        )

    async def submit(self, at=None):
        """Submit while the chain goes on; `at`, an async function, is called once a line has its word in it.

        :param at: (word, function).
        """
        word, function = at or ("", None)
        read = 0
        async with trio.open_nursery() as nursery:

            async def go_on():
                nonlocal read, function
                while True:
                    for line in self.lines[read:]:
                        read += 1
                        if function is not None and word in line:
                            await function()
                            function = None
                        elif match := WAITS_FOR.match(line):
                            await self.world.chain.mine(int(match[1]) - int(match[2]))
                    await trio.sleep(POLL_S)

            nursery.start_soon(go_on)
            reward_wei = await submit_with_priority(self.submission, self.outcomes.append)
            nursery.cancel_scope.cancel()
        return reward_wei


class Forgetful:
    """A sender whose first transactions are mined, each without its hearing of it."""

    def __init__(self, sender, faults):
        self.address, self._sender, self._faults = sender.address, sender, list(faults)

    async def send(self, *arguments, **options):
        receipt = await self._sender.send(*arguments, **options)
        if self._faults:
            raise self._faults.pop(0)
        return receipt


@pytest.fixture
async def reporter(world, tmp_path):
    await world.register()
    return Reporter(world, tmp_path)


async def test_a_report_is_committed_to_first_and_its_reward_claimed(reporter, world):
    before_wei = await world.token.balance(world.reporter.address)
    reward_wei = await reporter.submit()
    (outcome,) = reporter.outcomes
    assert reward_wei == outcome.reward_wei > 0
    assert await world.token.balance(world.reporter.address) == before_wei + reward_wei
    cost, committed, deep, shown = reporter.lines
    assert re.fullmatch(
        r"four transactions, about 350,000 gas at [\d.e-]+ gwei, and 256 blocks until "
        "the reward can be claimed, if somebody else is faster; if this is interrupted, the same "
        "command goes on",
        cost,
    )
    assert re.fullmatch(r"committed in block \d+: a copy of the report that follows gains nothing", committed)
    assert deep.endswith(": a commitment has to be deep before the report")
    assert shown == "showing that we had committed: then nobody takes the reward any more"
    assert not report_path(reporter.submission.file).exists()


async def test_a_step_whose_transaction_is_not_heard_of_again_is_looked_for_on_the_chain(
    reporter, world, tmp_path
):
    faults = [TransactionNotMined(b"\x07" * 32, 120), TransactionInDoubt(b"\x07" * 32, "gone")]
    forgetful = Reporter(world, tmp_path, Forgetful(world.reporter, faults))
    before_wei = await world.token.balance(world.reporter.address)
    assert await forgetful.submit() > 0
    assert await world.token.balance(world.reporter.address) > before_wei
    said = [line for line in forgetful.lines if line.startswith("looking again: ")]
    assert said == [f"looking again: {fault}" for fault in faults]


async def test_attack_a_copier_whose_report_is_mined_first_by_another_pair_gets_nothing(
    reporter, world, tmp_path
):
    copier = Reporter(world, tmp_path, world.ben, texts=(b"one", b"a third"))
    before_wei = [await world.token.balance(who.address) for who in (world.reporter, world.ben)]

    async def copy():
        await world.slashing.submit_equivocation(world.ben, copier.equivocation)

    reward_wei = await reporter.submit(at=("committed in block", copy))
    assert reporter.outcomes == []
    taken = f"0x{world.ben.address.hex()} has reported it, after our commitment; taking it over"
    assert taken in reporter.lines
    after_wei = [await world.token.balance(who.address) for who in (world.reporter, world.ben)]
    assert [now - then for now, then in zip(after_wei, before_wei, strict=True)] == [reward_wei, 0]


async def test_attack_a_copier_with_a_commitment_of_its_own_after_ours_gets_nothing(
    reporter, world, tmp_path
):
    copier = Reporter(world, tmp_path, world.ben)
    salt = b"\x05" * 32

    async def commit():
        await world.slashing.commit(world.ben, copier.equivocation, salt)

    async def refused():
        with pytest.raises(ContractReverted) as caught:
            await world.slashing.take_priority(world.ben, copier.equivocation, salt)
        assert caught.value.name in {"PriorityOpen", "NoPriority"}

    reporter.submission = dataclasses.replace(reporter.submission, tell=reporter.lines.append)
    with trio.CancelScope() as scope:

        async def interrupt():
            await commit()
            scope.cancel()

        await reporter.submit(at=("committed in block", interrupt))
    reporter.lines.clear()
    reward_wei = await reporter.submit(at=("showing that we had committed", refused))
    assert reward_wei == reporter.outcomes[0].reward_wei


async def test_an_interrupted_report_goes_on_with_its_commitment(reporter, world):
    with trio.CancelScope() as scope:

        async def interrupt():
            scope.cancel()

        await reporter.submit(at=("committed in block", interrupt))
    begun = begun_report(reporter.submission.file, world.reporter.address)
    assert await world.slashing.committed_at(world.reporter.address, reporter.equivocation, begun.salt)
    reporter.lines.clear()
    assert await reporter.submit() > 0
    assert reporter.lines[0] == "going on with the report that was begun"
    assert not any(line.startswith("committed") for line in reporter.lines)


async def test_a_commitment_that_has_aged_is_made_anew(reporter, world):
    with trio.CancelScope() as scope:

        async def interrupt():
            scope.cancel()

        await reporter.submit(at=("committed in block", interrupt))
    await world.chain.mine(200)
    reporter.lines.clear()
    assert await reporter.submit() > 0
    assert any(line.startswith("committed") for line in reporter.lines)


async def test_a_report_that_somebody_has_made_before_is_lost_and_said_so(reporter, world):
    await world.slashing.submit_equivocation(world.ben, reporter.equivocation)
    with pytest.raises(BaseExceptionGroup) as caught:
        await reporter.submit()
    (lost,) = caught.value.exceptions
    assert isinstance(lost, RewardLost)
    assert str(lost) == f"0x{world.ben.address.hex()} was there before our commitment: the reward is theirs"
    assert not report_path(reporter.submission.file).exists()


async def test_a_reward_that_is_paid_is_not_waited_for_again(reporter):
    await reporter.submit()
    assert await reporter.submit() == 0


async def test_any_other_refusal_ends_it(world, tmp_path):
    with pytest.raises(BaseExceptionGroup) as caught:
        await Reporter(world, tmp_path).submit()
    (refusal,) = caught.value.exceptions
    assert isinstance(refusal, ContractReverted)
    assert refusal.name == "NotRegistered"


CHEAT = Key("node", NODE_SECRET, NODE)


def faults(world):
    """Evidence of each fault that the contract reads as bytes, all of one signer."""
    domain = Domain(world.staking.chain_id, world.slashing.address)
    one, other = (builders.announcement(number, coordinator=NODE, previous=NO_TASK) for number in (11, 12))
    broken = BrokenSequence(sealed(CHEAT, one, domain), sealed(CHEAT, other, domain))
    return domain, (*trace_evidence(domain, CHEAT), broken)


@pytest.mark.parametrize("at", range(6))
async def test_each_fault_that_is_computed_takes_the_stake_and_pays_its_reporter(world, tmp_path, at):
    await world.register()
    domain, pieces = faults(world)
    report = report_of(world.deployment, domain, pieces[at])
    before_wei = await world.token.balance(world.reporter.address)
    reporter = Reporter(world, tmp_path, report=report)
    reward_wei = await reporter.submit()
    (outcome,) = reporter.outcomes
    assert (outcome.signer, reward_wei) == (NODE, outcome.reward_wei)
    assert outcome.stake_taken_wei > 0 < reward_wei
    assert await world.token.balance(world.reporter.address) == before_wei + reward_wei
    assert (await world.staking.node_info(NODE)).own_stake_wei == 0
    assert reporter.lines[0].startswith("four transactions, about 800,000 gas at ")
    assert await reporter.submit() == 0


async def test_attack_a_copier_of_a_false_step_gets_nothing(world, tmp_path):
    """Not even by another number of the same trace: what counts is the offence."""
    await world.register()
    domain, (false_one, *_) = faults(world)
    made = MadeTrace(Terms(), Lie(guidance_milli=3_990, seed=8), domain, CHEAT)
    before_wei = await world.token.balance(world.ben.address)
    reporter = Reporter(world, tmp_path, report=report_of(world.deployment, domain, false_one))

    async def copy():
        await world.slashing.prove_fault(world.ben, false_step(made.held, 2, 9).encode())

    assert await reporter.submit(at=("committed in block", copy)) > 0
    assert reporter.outcomes == []
    taken = f"0x{world.ben.address.hex()} has reported it, after our commitment; taking it over"
    assert taken in reporter.lines
    assert await world.token.balance(world.ben.address) == before_wei


async def test_a_false_step_in_the_clear_is_claimed_by_its_own_key(world):
    await world.register()
    domain, (evidence, *_) = faults(world)
    offence = verify_evidence(domain, evidence, {})
    assert await status_of(world.clients, offence) == "not reported yet"
    outcome = await submit_evidence(world.clients, world.reporter, domain, evidence)
    reporter = f"reported by 0x{world.reporter.address.hex()}"
    last_block = await world.clients.epochs.clock() + await world.slashing.priority_blocks()
    assert await status_of(world.clients, offence) == (
        f"{reporter}; {format_cai(outcome.reward_wei)} can be claimed after block {last_block}"
    )
    assert outcome.evidence_key == await key_of(world.slashing, offence)
    with pytest.raises(ContractReverted) as caught:
        await submit_evidence(world.clients, world.ben, domain, evidence)
    assert caught.value.name == "OffenceSpent"
    await world.chain.mine(300)
    assert await claim_reward(world.clients, world.ben, offence, print) == outcome.reward_wei
    assert await status_of(world.clients, offence) == f"{reporter}; the reward is paid"


async def test_what_the_contract_does_not_judge_is_not_sent(world):
    domain = Domain(world.staking.chain_id, world.slashing.address)
    with pytest.raises(InvalidMessage, match="the contract cannot judge this offence"):
        report_of(world.deployment, domain, builders.wrong_ranking())
    with pytest.raises(WrongNetwork, match="the evidence is for chain 31337, contract 0xc0ffee"):
        report_of(world.deployment, builders.DOMAIN, trace_evidence()[0])
