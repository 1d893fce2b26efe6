"""All nodes that were ever registered, rebuilt from events: the contract itself keeps no list of them.

Is: a list that follows the chain, also backwards, and can be kept in a file from one run to the next.
Is not: weights; those are asked of the contract for an epoch, since they count only at its first block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from contracts.contract import Contract, Event
from contracts.events import BadCursor, Cursor, EventFeed
from contracts.records import METADATA_BYTES_MAX, Role
from protocol.errors import LocalError
from protocol.signature import ADDRESS_BYTES

if TYPE_CHECKING:
    from contracts.rpc import Rpc

ENTRIES_MAX: Final = 1 << 20
"""Most registrations and changes of metadata together; each costs its owner a transaction."""
METADATA_READ_BYTES_MAX: Final = 3 * METADATA_BYTES_MAX
"""Bytes that are no UTF-8 are read as replacement characters, three bytes each."""
EVENT_NAMES: Final = ("NodeRegistered", "MetadataChanged")
DOCUMENT_FORMAT: Final = "cuckoo-registry/1"


class RegistryFull(LocalError):
    """More than `ENTRIES_MAX` registrations and changes."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node as it was registered, with its latest metadata.

    :ivar address: of its key, 20 bytes.
    :ivar owner: 20 bytes.
    :ivar metadata: what its owner says of it; at most `METADATA_BYTES_MAX` bytes, otherwise anything.
    """

    address: bytes
    owner: bytes
    role: Role
    metadata: str


@dataclass(frozen=True, slots=True)
class _Entry:
    """One event: a registration, or with `owner` and `role` of None a change of metadata."""

    block_number: int
    address: bytes
    metadata: str
    owner: bytes | None
    role: Role | None


class Registry:
    """The nodes of one staking contract."""

    def __init__(self, rpc: Rpc, staking: bytes, cursor: Cursor, *, confirmations: int = 0) -> None:
        """:param cursor: a fresh one, at the block of the deployment; for others see `restore`.

        :param confirmations: see `EventFeed`.
        """
        contract = Contract(rpc, staking, "Staking")
        self._feed = EventFeed(rpc, contract, EVENT_NAMES, cursor, confirmations=confirmations)
        self._staking = staking
        self._entries: list[_Entry] = []
        self._nodes: dict[bytes, Node] = {}

    def __len__(self) -> int:
        """How many nodes there are."""
        return len(self._nodes)

    def nodes(self, role: Role | None = None) -> tuple[Node, ...]:
        """Nodes of a role, or all, in the order of their registration."""
        return tuple(node for node in self._nodes.values() if role in (None, node.role))

    async def sync(self) -> None:
        """Read all that has happened since; what was read stays read if it raises half-way.

        Not to be called by two tasks at once.

        :raises ChainError: the chain fails us.
        :raises RegistryFull: there is too much.
        """
        while True:
            batch = await self._feed.read()
            if batch.undone_after is not None:
                self._take_back(batch.undone_after)
            for event in batch.events:
                self._append(_entry_of(event))
            if batch.is_caught_up:
                return

    def _take_back(self, last_block: int) -> None:
        kept = [entry for entry in self._entries if entry.block_number <= last_block]
        self._entries, self._nodes = [], {}
        for entry in kept:
            self._append(entry)

    def _append(self, entry: _Entry) -> None:
        if len(self._entries) >= ENTRIES_MAX:
            message = f"more than {ENTRIES_MAX} registrations and changes of metadata"
            raise RegistryFull(message)
        known = self._nodes.get(entry.address)
        if entry.owner is not None and entry.role is not None:
            self._nodes[entry.address] = Node(entry.address, entry.owner, entry.role, entry.metadata)
        elif known is not None:
            self._nodes[entry.address] = Node(known.address, known.owner, known.role, entry.metadata)
        self._entries.append(entry)

    # From one run to the next

    def to_document(self) -> dict[str, Any]:
        """JSON object of everything, with the cursor."""
        entries = [
            [
                entry.block_number,
                entry.address.hex(),
                entry.metadata,
                *([] if entry.owner is None or entry.role is None else [entry.owner.hex(), int(entry.role)]),
            ]
            for entry in self._entries
        ]
        return {
            "format": DOCUMENT_FORMAT,
            "staking": self._staking.hex(),
            "cursor": self._feed.cursor.to_document(),
            "entries": entries,
        }

    def restore(self, document: Any) -> None:
        """Go on from a document of this contract's registry.

        :raises BadCursor: it is none; then nothing has changed, and reading begins anew.
        """
        try:
            if document["format"] != DOCUMENT_FORMAT or document["staking"] != self._staking.hex():
                message = "a registry of another contract or format"
                raise BadCursor(message)
            cursor = Cursor.from_document(document["cursor"])
            entries = [_entry_from(item) for item in document["entries"]]
        except (KeyError, TypeError, ValueError) as error:
            message = f"not a registry: {type(error).__name__}: {error}"
            raise BadCursor(message) from error
        if any(entry.block_number >= cursor.next_block for entry in entries) or len(entries) > ENTRIES_MAX:
            message = "not a registry: it knows more than it has read"
            raise BadCursor(message)
        self._feed.cursor = cursor
        self._entries, self._nodes = [], {}
        for entry in entries:
            self._append(entry)


def _entry_of(event: Event) -> _Entry:
    arguments = event.arguments
    registered = event.name == "NodeRegistered"
    return _Entry(
        block_number=event.block_number,
        address=arguments["node"],
        metadata=arguments["metadata"],
        owner=arguments["owner"] if registered else None,
        role=Role(arguments["role"]) if registered else None,
    )


def _entry_from(item: Any) -> _Entry:
    """:raises TypeError, ValueError: it is none."""
    block_number, address, metadata, *registration = item
    if type(block_number) is not int or not isinstance(metadata, str):
        message = "not an entry"
        raise TypeError(message)
    if len(metadata.encode("utf-8", "surrogatepass")) > METADATA_READ_BYTES_MAX:
        message = "metadata is too long"
        raise ValueError(message)
    owner, role = registration or (None, None)
    return _Entry(
        block_number,
        _address(address),
        metadata,
        None if owner is None else _address(owner),
        None if role is None else Role(role),
    )


def _address(text: str) -> bytes:
    address = bytes.fromhex(text)
    if len(address) != ADDRESS_BYTES:
        message = "not an address"
        raise ValueError(message)
    return address
