"""The steps of a reporter: a table of what the contract says, and the law that a copier gains nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.records import ReportedOffence
from node.commands.report_priority import ReportFacts, Step, next_step

ME, OTHER = b"\x01" * 20, b"\x02" * 20
PRIORITY = 256


def facts(block, committed=None, reported=None, priority=PRIORITY):
    return ReportFacts(
        block=block,
        priority_blocks=priority,
        reporter=ME,
        committed_block=committed,
        reported=reported,
    )


def by(reporter, since, reward_wei=5):
    return ReportedOffence(reporter=reporter, since_block=since, reward_wei=reward_wei)


@pytest.mark.parametrize(
    ("found", "step"),
    [
        (facts(100), Step.COMMIT),
        (facts(100, committed=100), Step.AWAIT_DEPTH),
        (facts(107, committed=100), Step.AWAIT_DEPTH),
        (facts(108, committed=100), Step.REPORT),
        (facts(228, committed=100), Step.REPORT),
        # Half of its time is over: what follows could not be defended for long enough.
        (facts(229, committed=100), Step.COMMIT),
        (facts(101, committed=100, priority=4), Step.REPORT),
        # Our own report: we show that we had committed, and claim at once.
        (facts(109, committed=100, reported=by(ME, 108)), Step.TAKE_PRIORITY),
        (facts(110, committed=100, reported=by(ME, 0)), Step.CLAIM),
        # A report too soon after its commitment, as of somebody else's copy that we have taken over.
        (facts(109, committed=100, reported=by(ME, 107)), Step.AWAIT_CLAIM),
        (facts(109, committed=100, reported=by(ME, 100)), Step.AWAIT_CLAIM),
        (facts(356, committed=100, reported=by(ME, 109)), Step.AWAIT_CLAIM),
        (facts(364, committed=100, reported=by(ME, 109)), Step.AWAIT_CLAIM),
        (facts(365, committed=100, reported=by(ME, 109)), Step.CLAIM),
        # Somebody was faster; a quarter of the time it may show that it had committed.
        (facts(109, committed=100, reported=by(OTHER, 101)), Step.AWAIT_TURN),
        (facts(164, committed=100, reported=by(OTHER, 101)), Step.AWAIT_TURN),
        (facts(165, committed=100, reported=by(OTHER, 101)), Step.TAKE_PRIORITY),
        (facts(300, committed=100, reported=by(OTHER, 0)), Step.LOST),
        (facts(355, committed=100, reported=by(OTHER, 109)), Step.TAKE_PRIORITY),
        (facts(356, committed=100, reported=by(OTHER, 109)), Step.LOST),
        (facts(109, committed=100, reported=by(OTHER, 100)), Step.LOST),
        (facts(109, committed=None, reported=by(OTHER, 90)), Step.LOST),
        # An interrupted report goes on without a commitment, too, if it is there.
        (facts(400, committed=None, reported=by(ME, 109)), Step.CLAIM),
        (facts(400, committed=100, reported=by(ME, 109, reward_wei=0)), Step.PAID),
        (facts(400, committed=100, reported=by(OTHER, 109, reward_wei=0)), Step.PAID),
    ],
)
def test_the_next_step(found, step):
    assert next_step(found) is step


class ModelContract:
    """The contract's rules for one offence, and nothing else."""

    def __init__(self, block, priority):
        self.block, self.priority = block, priority
        self.commitments = {}
        self.reported = None
        self.paid_to = None

    def act(self, who, step):
        """Do a step in the next block; one that the contract refuses changes nothing."""
        self.block += 1
        committed = self.commitments.get(who)
        match step:
            case Step.COMMIT:
                self.commitments[who] = self.block
            case Step.REPORT if self.reported is None:
                self.reported = by(who, self.block)
            case Step.TAKE_PRIORITY if self.reported and committed is not None:
                self.take(who, committed)
            case Step.CLAIM if self.is_claimable:
                self.paid_to = self.reported.reporter

    @property
    def is_claimable(self):
        return self.reported.is_settled or self.block > self.reported.since_block + self.priority

    def take(self, who, committed):
        since = self.reported.since_block
        if not (committed < since and self.block <= committed + self.priority):
            return
        if who == self.reported.reporter:
            depth = max(1, min(8, self.priority // 8))
            self.reported = by(who, 0 if committed + depth <= since else committed)
        elif self.block > since + self.priority // 4:
            self.reported = by(who, committed)

    def facts(self):
        return facts(self.block, self.commitments.get(ME), self.reported, self.priority)


COPIES = st.lists(
    st.sampled_from([Step.COMMIT, Step.REPORT, Step.TAKE_PRIORITY, None]), min_size=1, max_size=4
)


@given(st.integers(16, 300), COPIES, st.lists(st.integers(0, 3), max_size=400))
def test_a_copier_who_acts_on_what_the_chain_shows_gains_nothing(priority, copies, pauses):
    """The copier knows the evidence from when the report is sent: it may have its copy mined first."""
    contract = ModelContract(block=1_000, priority=priority)
    copier = iter(copies)
    naps = iter(pauses)
    for _ in range(3 * priority):
        step = next_step(contract.facts())
        if step is Step.REPORT or contract.reported is not None:
            contract.act(OTHER, next(copier, None))
        contract.act(ME, step)
        contract.block += next(naps, 0)
        if contract.paid_to is not None:
            break
    assert contract.paid_to == ME


def test_attack_a_cheat_that_has_committed_before_gains_nothing_by_waiting_for_a_reporter():
    """It knows its own offence first: it commits, and takes the reward once somebody has reported it."""
    contract = ModelContract(block=1_000, priority=PRIORITY)
    while contract.paid_to is None:
        # Anew and anew, so that its commitment is always before the report and never too old.
        if contract.reported is None:
            contract.act(OTHER, Step.COMMIT)
        step = next_step(contract.facts())
        contract.act(ME, step)
        contract.act(OTHER, Step.TAKE_PRIORITY)
    assert contract.paid_to == ME
    assert contract.block < 1_000 + 100
