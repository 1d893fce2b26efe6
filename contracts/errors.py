"""Errors between this program and the chain: a part of the tree of `protocol.errors`.

Is: who failed us, the chain's RPC or a contract that says no.
Is not: anything that a peer did.

    CuckooError
    ├── LocalError
    │   ├── ChainError                the chain's RPC, or our use of it: no peer is to blame
    │   │   ├── ChainUnreachable      no answer in time; it may pass
    │   │   ├── BadChainAnswer        an answer, but not one that the method can have
    │   │   │   └── AnswerTooLarge    more bytes than we take at once
    │   │   ├── WrongChain            the RPC serves another chain than the configuration says
    │   │   ├── EndpointUnfit         one of several endpoints lags, or contradicts the others
    │   │   ├── RpcError              the RPC refused the request, and no contract was the reason
    │   │   ├── CostTooHigh           gas or fee above our own bound; nothing was sent
    │   │   ├── TransactionNotMined   sent, and not in a block after the time to wait
    │   │   └── TransactionInDoubt    nobody can say whether it has arrived
    │   ├── ArtifactMissing, BadArguments, BadDeployment, BadEndpoint, BadSecret     beside what raises them
    │   ├── ToolMissing, BuildFailed, AnvilFailed                       likewise
    └── Refusal
        └── ContractReverted          a contract said no, and which of its errors says why
"""

from __future__ import annotations

from typing import Any

from protocol.errors import LocalError, Refusal


class ChainError(LocalError):
    """The chain's RPC failed us, or we it; never a reason to blame a peer."""


class ChainUnreachable(ChainError):
    """No answer in time, or none at all. Whether a transaction in flight was accepted is unknown.

    :ivar endpoint: host and port only, since the rest of an RPC's address is often a secret.
    :ivar reason: what failed, for a log.
    """

    def __init__(self, endpoint: str, reason: str) -> None:
        super().__init__(f"the chain's RPC at {endpoint} cannot be reached: {reason}")
        self.endpoint = endpoint
        self.reason = reason


class BadChainAnswer(ChainError):
    """The RPC answered something that the method cannot answer. :ivar method: :ivar reason: for a log."""

    def __init__(self, method: str, reason: str) -> None:
        super().__init__(f"bad answer to {method}: {reason}")
        self.method = method
        self.reason = reason


class AnswerTooLarge(BadChainAnswer):
    """:ivar bytes_max: what we would have taken."""

    def __init__(self, method: str, bytes_max: int) -> None:
        super().__init__(method, f"more than {bytes_max} bytes")
        self.bytes_max = bytes_max


class WrongChain(ChainError):
    """:ivar expected: chain id of the configuration. :ivar actual: chain id that the RPC serves."""

    def __init__(self, expected: int, actual: int) -> None:
        super().__init__(f"the RPC serves chain {actual}, the configuration says {expected}")
        self.expected = expected
        self.actual = actual


class EndpointUnfit(ChainError):
    """An endpoint answers, but not as the others do; the text says how."""


class RpcError(ChainError):
    """The RPC's own refusal (JSON-RPC error object).

    :ivar method: that was called.
    :ivar code: of JSON-RPC, for example -32000.
    :ivar rpc_message: its text; differs between implementations.
    :ivar data: what a contract reverted with, if there was one.
    :ivar is_second_hand: whether another endpoint was asked before and failed, which may have taken a
        transaction that this one refuses.
    """

    def __init__(self, method: str, code: int, rpc_message: str, data: bytes | None) -> None:
        super().__init__(f"{method} was refused: {rpc_message} ({code})")
        self.method = method
        self.code = code
        self.rpc_message = rpc_message
        self.data = data
        self.is_second_hand = False


class CostTooHigh(ChainError):
    """:ivar what: ``gas`` or ``fee per gas in wei``. :ivar needed: now. :ivar limit: our bound."""

    def __init__(self, what: str, needed: int, limit: int) -> None:
        super().__init__(f"{what}: {needed} is needed, the limit is {limit}")
        self.what = what
        self.needed = needed
        self.limit = limit


class TransactionNotMined(ChainError):
    """It may still be mined. :ivar transaction_hash: 32 bytes. :ivar waited_s: so long."""

    def __init__(self, transaction_hash: bytes, waited_s: float) -> None:
        super().__init__(
            f"transaction 0x{transaction_hash.hex()} is in no block after {waited_s:g} s; it may still come, "
            "so look for it before you send it again"
        )
        self.transaction_hash = transaction_hash
        self.waited_s = waited_s


class TransactionInDoubt(ChainError):
    """It may have arrived, and then it will be mined. :ivar transaction_hash: 32 bytes."""

    def __init__(self, transaction_hash: bytes, reason: str) -> None:
        super().__init__(
            f"transaction 0x{transaction_hash.hex()} may have arrived, so look for it before you send it "
            f"again: {reason}"
        )
        self.transaction_hash = transaction_hash


class ContractReverted(Refusal):
    """A contract refused a call or a transaction; nothing has changed but the gas that was paid.

    :ivar name: of the contract's custom error; ``Error`` or ``Panic`` for Solidity's own, ``unknown``
        if the data fit no error that we know.
    :ivar arguments: of the custom error, decoded; addresses as 20 bytes.
    :ivar data: the raw revert data.
    """

    def __init__(self, name: str, arguments: dict[str, Any], data: bytes) -> None:
        super().__init__(name)
        self.name = name
        self.arguments = arguments
        self.data = data

    def __str__(self) -> str:
        """The error as in Solidity, with its arguments."""
        shown = (
            f"{k}=0x{v.hex()}" if isinstance(v, bytes) else f"{k}={v}" for k, v in self.arguments.items()
        )
        return f"{self.name}({', '.join(shown)})"
