"""A report whose reward nobody can take by copying it: commit, report, watch, claim.

Is: the steps that `report_priority` chooses, on a real contract, with words for who waits for them.
Is not: the report in the clear (`evidence_reports`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trio

from contracts.clients import Clients
from contracts.errors import ChainUnreachable, ContractReverted, TransactionInDoubt, TransactionNotMined
from contracts.records import SlashOutcome
from contracts.transactions import Sender
from node.commands.evidence_reports import Report, key_of
from node.commands.report_file import BegunReport, begin_report, begun_report, end_report
from node.commands.report_priority import SETTLING_PART, ReportFacts, Step, is_stale, next_step
from protocol.errors import Refusal

WATCH_POLL_S: Final = 1.0
"""Between two looks at the contract."""
WEI_PER_GWEI: Final = 10**9
GAS_OF_A_REPORT: Final = 350_000
"""Of commitment, report, `take_priority` and claim together, with some to spare."""
GAS_OF_A_FAULT: Final = 800_000
"""Likewise, of a fault that the contract has to compute: at most so much, whatever the model."""
RACES: Final = frozenset({"EvidenceSpent", "OffenceSpent", "NoPriority", "NothingToClaim", "PriorityOpen"})
"""Refusals that say that the chain has gone on since it was looked at."""


class RewardLost(Refusal):
    """Somebody else has the reward, by right of an earlier commitment or report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One report: the evidence, and its reporter.

    :ivar report: of the offence, with what the contract judges it by.
    :ivar file: of the evidence; the report's own file stands beside it.
    :ivar tell: hears what happens, line by line.
    :ivar poll_s: between two looks at the contract.
    """

    clients: Clients
    reporter: Sender
    report: Report
    file: Path
    tell: Callable[[str], None]
    poll_s: float = WATCH_POLL_S


async def submit_with_priority(submission: Submission, show: Callable[[SlashOutcome], None]) -> int:
    """Report so that copying gains nothing, and claim. May be interrupted, and called again.

    :param show: hears what the report has done, if it is ours that was first.
    :returns: the reward, wei; 0 if it was paid by an earlier call, or there was nothing to take.
    :raises RewardLost: somebody else was there before our commitment.
    :raises ContractReverted: the contract refused for a reason that waiting does not mend.
    :raises LocalError: the report's file, or the chain.
    """
    clients, address = submission.clients, submission.reporter.address
    begun = begun_report(submission.file, address)
    key = await key_of(clients.slashing, submission.report.offence)
    priority_blocks = await clients.slashing.priority_blocks()
    await _tell_of_cost(submission, priority_blocks, goes_on=begun is not None)
    waited_for: Step | None = None
    while True:
        try:
            facts = await _look(submission, begun, key, priority_blocks)
            step = next_step(facts)
            if step is not waited_for and step in (Step.AWAIT_DEPTH, Step.AWAIT_TURN, Step.AWAIT_CLAIM):
                submission.tell(_why_waiting(step, facts))
            waited_for = step
            if step is Step.COMMIT and (begun is None or is_stale(facts)):
                begun = begin_report(submission.file, address)
            reward_wei = await _do(step, submission, begun, facts, key, show)
            if reward_wei is not None:
                end_report(submission.file)
                return reward_wei
        except ContractReverted as refusal:
            if refusal.name not in RACES:
                raise
        except ChainUnreachable as fault:
            submission.tell(f"the chain does not answer; trying again: {fault}")
        except (TransactionNotMined, TransactionInDoubt) as fault:
            # Each step counts once, however often it is sent: the next look says what became of it.
            submission.tell(f"looking again: {fault}")
        await trio.sleep(submission.poll_s)


async def _do(
    step: Step,
    submission: Submission,
    begun: BegunReport | None,
    facts: ReportFacts,
    key: bytes,
    show: Callable[[SlashOutcome], None],
) -> int | None:
    """One step; the reward once it is paid, wei."""
    slashing, reporter, tell = submission.clients.slashing, submission.reporter, submission.tell
    match step:
        case Step.COMMIT if begun is not None:
            block = await slashing.commit(reporter, submission.report.evidence, begun.salt)
            tell(f"committed in block {block}: a copy of the report that follows gains nothing")
        case Step.REPORT:
            show(await submission.report.send(slashing, reporter))
        case Step.TAKE_PRIORITY if begun is not None and facts.reported is not None:
            if facts.reported.reporter == facts.reporter:
                tell("showing that we had committed: then nobody takes the reward any more")
            else:
                tell(
                    f"0x{facts.reported.reporter.hex()} has reported it, after our commitment; taking it over"
                )
            await slashing.take_priority(reporter, submission.report.evidence, begun.salt)
        case Step.CLAIM:
            return await slashing.claim_reward(reporter, key)
        case Step.LOST if facts.reported is not None:
            end_report(submission.file)
            message = (
                f"0x{facts.reported.reporter.hex()} was there before our commitment: the reward is theirs"
            )
            raise RewardLost(message)
        case Step.PAID if facts.reported is not None:
            end_report(submission.file)
            if facts.reported.reporter != facts.reporter:
                raise RewardLost("this offence was reported before, and its reward is paid")
            return 0
        case _:
            pass
    return None


async def _look(
    submission: Submission, begun: BegunReport | None, key: bytes, priority_blocks: int
) -> ReportFacts:
    slashing, address = submission.clients.slashing, submission.reporter.address
    # The block first: what is read after it is at least as new, so nothing looks deeper than it is.
    block = await submission.clients.epochs.clock()
    committed = None
    if begun is not None:
        committed = await slashing.committed_at(address, submission.report.evidence, begun.salt)
    return ReportFacts(
        block=block,
        priority_blocks=priority_blocks,
        reporter=address,
        committed_block=committed,
        reported=await slashing.reported(key),
    )


async def _tell_of_cost(submission: Submission, priority_blocks: int, *, goes_on: bool) -> None:
    gas = GAS_OF_A_FAULT if isinstance(submission.report.evidence, bytes) else GAS_OF_A_REPORT
    gas_price_gwei = await submission.clients.rpc.base_fee_wei() / WEI_PER_GWEI
    if goes_on:
        submission.tell("going on with the report that was begun")
    submission.tell(
        f"four transactions, about {gas:,} gas at {gas_price_gwei:.3g} gwei, and "
        f"{priority_blocks} blocks until the reward can be claimed, if somebody else is faster; "
        "if this is interrupted, the same command goes on"
    )


def _why_waiting(step: Step, facts: ReportFacts) -> str:
    if step is Step.AWAIT_DEPTH and facts.committed_block is not None:
        until = facts.committed_block + facts.depth_blocks
        return f"waiting for block {until}, now {facts.block}: a commitment has to be deep before the report"
    assert facts.reported is not None
    if step is Step.AWAIT_TURN:
        until = facts.reported.since_block + facts.priority_blocks // SETTLING_PART
        return (
            f"waiting for block {until}, now {facts.block}: until then who was faster can show a commitment"
        )
    until = facts.reported.since_block + facts.priority_blocks
    return (
        f"waiting for block {until}, now {facts.block}: until then an earlier commitment can be shown, "
        "and ours defended"
    )
