"""Logs of one contract, as an RPC gives them, to events by the contract's ABI.

Is: pure; any JSON gives an event or a `BadChainAnswer`.
Is not: web3's ``process_log``, which takes most of a millisecond for each, ten times as long.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from contracts.errors import BadChainAnswer
from contracts.libraries import ABICodec, ABIEvent, event_abi_to_log_topic
from contracts.provider import quantity, reading
from contracts.reverts import canonical

_METHOD: Final = "eth_getLogs"
_HASH_BYTES: Final = 32
_NUMBER_MAX: Final = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Event:
    """One decoded event of a contract."""

    name: str
    arguments: dict[str, Any]
    """By parameter name; addresses as 20 bytes."""
    block_number: int
    """In the RPC's numbers."""
    log_index: int
    """Its place in its block."""
    transaction_hash: bytes


class LogDecoder:
    """Decodes the events of some names.

    :ivar topics: what their logs begin with: the hashes of their signatures, as text.
    """

    def __init__(self, codec: ABICodec, events: Sequence[ABIEvent]) -> None:
        self._codec = codec
        self._kinds = {bytes(event_abi_to_log_topic(event)): event for event in events}
        self.topics = ["0x" + topic.hex() for topic in self._kinds]

    def decode(self, log: Any) -> Event:
        """The event in one log of the contract.

        :raises BadChainAnswer: it has none of these names, not as the ABI has it, or of no block.
        """
        with reading(_METHOD):
            signature, *topics = [_data(topic) for topic in log["topics"]]
            kind = self._kinds[signature]
            arguments: dict[str, Any] = {}
            inputs = kind["inputs"]
            indexed = [part for part in inputs if part["indexed"]]
            for part, topic in zip(indexed, topics, strict=True):
                (value,) = self._codec.decode([part["type"]], topic)
                arguments[part["name"]] = canonical(part, value)
            others = [part for part in inputs if not part["indexed"]]
            values = self._codec.decode([part["type"] for part in others], _data(log["data"]))
            for part, value in zip(others, values, strict=True):
                arguments[part["name"]] = canonical(part, value)
            transaction_hash = _data(log["transactionHash"])
            if len(transaction_hash) != _HASH_BYTES or log.get("removed"):
                raise BadChainAnswer(_METHOD, "not a log of a transaction that stands")
            return Event(
                name=kind["name"],
                arguments=arguments,
                block_number=quantity(_METHOD, log["blockNumber"], _NUMBER_MAX),
                log_index=quantity(_METHOD, log["logIndex"], _NUMBER_MAX),
                transaction_hash=transaction_hash,
            )


def _data(text: str) -> bytes:
    if text[:2] != "0x":
        raise BadChainAnswer(_METHOD, "not hexadecimal")
    return bytes.fromhex(text[2:])
