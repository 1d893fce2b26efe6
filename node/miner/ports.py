"""The ports of the miner's engine to its node, each with a twin in memory.

Is: narrow, synchronous protocols: signing, pay, and what this miner serves at which terms. The twins in
memory are no test doubles: a simulated miner runs on them.
Is not: anything that takes time; that is an action of the engine, and its answer another event.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from node.pay.meter import TaskAccount
from protocol.errors import InvalidMessage, LocalError
from protocol.guard import Decision, Memory, decide
from protocol.messages import DeclineKind, Message, TaskAnnouncement
from protocol.pay import SignedVoucher
from protocol.signature import sign_digest
from protocol.statement import Domain, Statement, Unsigned, open_statement, seal


class Decline(NamedTuple):
    """Why a task is not done. :ivar kind: what that says of others. :ivar reason: for the app."""

    kind: DeclineKind
    reason: str


class Seal(Protocol):
    """Signs as the miner, each slot once."""

    def __call__(self, message: Message, task: TaskAnnouncement) -> Statement[Any]:
        """Sign `message`, which is about `task`.

        :raises LocalError: it would contradict an earlier statement, or nobody can tell.
        """


class Pay(Protocol):
    """The miner's money."""

    def claimed_wei(self, task_id: bytes) -> int:
        """Wei that vouchers have paid for a task, also before a restart.

        :raises LocalError: nobody can tell at the moment.
        """

    def begin(self, task: Statement[TaskAnnouncement]) -> str | None:
        """Work begins: the task's price counts as credit from now on. Once a task.

        :returns: why, by what is known, no credit is given; None if it is.
        """

    def take(self, coordinator: bytes, task_id: bytes, voucher: SignedVoucher) -> None:
        """Check a voucher that pays for a task, and keep it.

        :raises SignatureError: it is somebody else's, or for another miner, contract or chain.
        :raises InvalidMessage: it is worth less than it says, or less than the one before.
        :raises LocalError: it cannot be kept.
        :raises Refusal: there are too many coordinators.
        """

    def end(self, account: TaskAccount) -> None:
        """A task for which `begin` gave credit is over. Never raises a `CuckooError`."""


class Terms(Protocol):
    """The work that the miner serves."""

    @property
    def capacity(self) -> int:
        """Tasks that it works on at a time, at least 1."""

    def why_not(self, task: TaskAnnouncement) -> Decline | None:
        """Why a task that names this miner is not for it; None if it is."""


class ContradictsItself(LocalError):
    """A signer in memory was asked for two statements in one slot."""


class MemorySeal:
    """Signs with a secret, and remembers what it has signed for as long as it lives."""

    def __init__(self, domain: Domain, secret: bytes) -> None:
        """:param secret: 32 bytes."""
        self._domain = domain
        self._secret = secret
        self._signed: dict[tuple[int, bytes], bytes] = {}

    def __call__(self, message: Message, task: TaskAnnouncement | None = None) -> Statement[Any]:
        """Sign `message`; a memory without bounds need not know its task.

        :raises ContradictsItself: it would contradict an earlier statement.
        """
        del task
        return open_statement(self._domain, seal(self._domain, message, self._sign), type(message))

    def _sign(self, statement: Unsigned) -> bytes:
        if statement.kind.slashable:
            slot = (int(statement.kind), statement.slot)
            if decide(self._signed.get(slot), statement.body, 0, Memory()) is Decision.REFUSE:
                raise ContradictsItself("another statement was signed in this slot")
            self._signed[slot] = statement.body
        return sign_digest(self._secret, statement.digest)


@dataclass(slots=True)
class MemoryPay:
    """Believes every voucher that does not fall, and gives credit to everybody.

    :ivar claimed: wei paid, by task id.
    :ivar accounts: of the tasks that are over.
    """

    claimed: dict[bytes, int] = field(default_factory=dict)
    accounts: list[TaskAccount] = field(default_factory=list)

    def claimed_wei(self, task_id: bytes) -> int:
        """Wei that vouchers have paid for a task."""
        return self.claimed.get(task_id, 0)

    def begin(self, task: Statement[TaskAnnouncement]) -> str | None:
        """Give credit."""
        del task
        return None

    def take(self, coordinator: bytes, task_id: bytes, voucher: SignedVoucher) -> None:
        """Keep a voucher. :raises InvalidMessage: it pays less than the one before."""
        del coordinator
        if voucher.task_wei < self.claimed_wei(task_id):
            raise InvalidMessage("voucher pays less for the task than the one before")
        self.claimed[task_id] = voucher.task_wei

    def end(self, account: TaskAccount) -> None:
        """Keep the account."""
        self.accounts.append(account)


@dataclass(slots=True)
class AnyTask:
    """Serves every task. :ivar capacity: tasks at a time."""

    capacity: int = 1

    def why_not(self, task: TaskAnnouncement) -> Decline | None:
        """Serve it."""
        del task
        return None
