"""The envelope: `[version, kind, body, signature]`, and the one digest behind every signature.

Is: encoding, EIP-712 digest, sealing and opening of signed statements.
Is not: a decision to sign; `seal` takes a signature function, in a node that of the equivocation guard.

All kinds share one EIP-712 struct, ``Statement(uint8 kind,bytes32 slot,bytes32 body)``. `body` is the hash
of the body's bytes and `slot` names the one thing about which a signer may say only one thing. So two
statements of one signer with equal (kind, slot) and different bodies prove equivocation, and the contract
checks that without reading CBOR. The slot is not in the envelope: it follows from the body.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Generic, TypeAlias, TypeVar

from protocol.errors import DecodeError
from protocol.hashing import keccak256
from protocol.messages import KIND_OF, MESSAGE_OF, Kind, Message
from protocol.schema import Bytes, Encoded, Uint, Uint8
from protocol.signature import ADDRESS_BYTES, SIGNATURE_BYTES, Signer, recover

VERSION = 1
BODY_BYTES_MAX = 320 * 1024
"""Longest body: a chunk of an image with its fields."""
CHAIN_ID_MAX = (1 << 256) - 1

_DOMAIN_TYPE = keccak256(
    b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)
_STATEMENT_TYPE = keccak256(b"Statement(uint8 kind,bytes32 slot,bytes32 body)")
_STATEMENT_HEADS = tuple(_STATEMENT_TYPE + kind.to_bytes(32, "big") for kind in range(256))
"""Type hashes: the begin of the hash of a statement's struct, by kind."""
_NAME_HASH = keccak256(b"Cuckoo")
_VERSION_HASH = keccak256(b"1")

_STRUCT_OF = {kind.value: struct for kind, struct in MESSAGE_OF.items()}

MessageT = TypeVar("MessageT", bound=Message)
MessageT_co = TypeVar("MessageT_co", bound=Message, covariant=True)


@dataclass(frozen=True, slots=True)
class Domain:
    """The network that a signature is valid on (EIP-712 domain separator).

    :ivar chain_id: of the chain with the contracts, below 2^256.
    :ivar verifying_contract: 20 bytes, address of the Slashing contract, which verifies statements.
    :ivar separator: 32 bytes, computed once from the two.
    :ivar prefix: what every digest begins with: 19 01 and the separator.
    """

    chain_id: int
    verifying_contract: bytes
    separator: bytes = field(init=False, repr=False, compare=False)
    prefix: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """:raises ValueError: the chain's number or the contract's address is out of bounds."""
        if not 0 <= self.chain_id <= CHAIN_ID_MAX:
            message = f"{self.chain_id} is not a chain's number"
            raise ValueError(message)
        if len(self.verifying_contract) != ADDRESS_BYTES:
            message = f"a contract's address has {ADDRESS_BYTES} bytes"
            raise ValueError(message)
        separator = keccak256(
            _DOMAIN_TYPE
            + _NAME_HASH
            + _VERSION_HASH
            + self.chain_id.to_bytes(32, "big")
            + bytes(12)
            + self.verifying_contract
        )
        object.__setattr__(self, "separator", separator)
        object.__setattr__(self, "prefix", b"\x19\x01" + separator)

    def digest(self, kind: int, slot: bytes, body_hash: bytes) -> bytes:
        """32 bytes to be signed (EIP-712): what the contract re-computes from its arguments."""
        struct_hash = keccak256(_STATEMENT_HEADS[kind] + slot + body_hash)
        return keccak256(self.prefix + struct_hash)


@dataclass(frozen=True, slots=True)
class Envelope(Encoded):
    """The wire form of a signed statement; see the module.

    :ivar version: 1.
    :ivar kind: what the body is.
    :ivar body: an encoded message.
    :ivar signature: r, s and v over the statement's digest.
    """

    version: Annotated[int, Uint(VERSION)]
    kind: Uint8
    body: Annotated[bytes, Bytes(1, BODY_BYTES_MAX)]
    signature: Annotated[bytes, Bytes(SIGNATURE_BYTES, SIGNATURE_BYTES)]


@dataclass(frozen=True, slots=True)
class Unsigned:
    """A statement about to be signed: all that an equivocation guard needs to decide.

    :ivar kind: of the message.
    :ivar slot: 32 bytes.
    :ivar body: encoded message.
    :ivar digest: 32 bytes to sign.
    """

    kind: Kind
    slot: bytes
    body: bytes
    digest: bytes


@dataclass(frozen=True, slots=True)
class Statement(Generic[MessageT_co]):
    """A signed statement that was opened: the message, and by whom it is.

    :ivar message: the decoded body.
    :ivar signer: recovered from the signature.
    :ivar digest: 32 bytes; that of an announcement is the task's id.
    :ivar encoded: the envelope's bytes, for storing and forwarding.
    """

    message: MessageT_co
    signer: Signer
    digest: bytes
    encoded: bytes

    @property
    def kind(self) -> Kind:
        """Kind of the message."""
        message: Message = self.message
        return KIND_OF[type(message)]


Sign: TypeAlias = Callable[[Unsigned], bytes]
"""Gives the 65-byte signature of a statement, or raises because it must not be signed."""


def unsigned(domain: Domain, message: Message) -> Unsigned:
    """`message` prepared for signing.

    :raises ValueError: a field outside its bounds.
    """
    kind, body, slot = KIND_OF[type(message)], message.encode(), message.slot()
    return Unsigned(kind, slot, body, domain.digest(kind, slot, keccak256(body)))


def seal(domain: Domain, message: Message, sign: Sign) -> bytes:
    """Envelope of `message`, signed by `sign`.

    :raises ValueError: a field outside its bounds.
    """
    statement = unsigned(domain, message)
    return Envelope(VERSION, statement.kind, statement.body, sign(statement)).encode()


def read_envelope(data: bytes) -> tuple[Envelope, Message]:
    """Envelope and message in `data`; the cheap half of `open_statement`, without the signature.

    :raises DecodeError: not canonical, unknown version or kind, or a body out of its bounds.
    """
    envelope = Envelope.decode(data)
    if envelope.version != VERSION:
        message = f"version {envelope.version} where {VERSION} is spoken"
        raise DecodeError(message)
    struct = _STRUCT_OF.get(envelope.kind)
    if struct is None:
        message = f"unknown kind {envelope.kind}"
        raise DecodeError(message)
    return envelope, struct.decode(envelope.body)


def verify(domain: Domain, envelope: Envelope, message: MessageT, encoded: bytes) -> Statement[MessageT]:
    """The dear half of `open_statement`: recover the signer.

    :raises SignatureError: malformed signature.
    """
    digest = domain.digest(envelope.kind, message.slot(), keccak256(envelope.body))
    return Statement(message, recover(digest, envelope.signature), digest, encoded)


def open_statement(domain: Domain, data: bytes, expected: type[MessageT]) -> Statement[MessageT]:
    """The signed statement in `data`, which must hold an `expected` message.

    Whether the signer *may* say this is not decided here.

    :raises DecodeError: not canonical, or another kind of message.
    :raises SignatureError: malformed signature.
    """
    envelope, message = read_envelope(data)
    if not isinstance(message, expected):
        text = f"{type(message).__name__} where {expected.__name__} was expected"
        raise DecodeError(text)
    return verify(domain, envelope, message, data)
