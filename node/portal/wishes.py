"""The wish of a visitor for what a wallet shall do, as the page sends it, checked.

Is: a flat JSON object to a frozen value, field by field.
Is not: whether the contracts will agree (`plan`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from contracts.records import METADATA_BYTES_MAX, Consent, Role
from node.portal.errors import PortalRefusal
from protocol.amounts import parse_cai
from protocol.errors import LocalError

ACTIONS: Final = (
    "faucet", "stake", "vote", "unvote", "withdraw", "claim", "register", "introduce", "commission",
)  # fmt: skip
OF_A_NODE: Final = frozenset({"stake", "vote", "unvote", "withdraw", "claim", "introduce", "commission"})
OF_AN_AMOUNT: Final = frozenset({"faucet", "stake", "vote", "register"})
ALL: Final = "all"
"""As the amount of an `unvote`: whatever is there."""
REQUEST_ID_MAX: Final = 65_535
FIELDS_MAX: Final = 16
CONSENT_BYTES_MAX: Final = 2_048
DEADLINE_S_MAX: Final = 2**64 - 1
_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{40}")
_SIGNATURE: Final = re.compile(r"0x[0-9a-fA-F]{130}")
_PERCENT: Final = re.compile(r"(?P<whole>[0-9]{1,2})(\.(?P<part>[0-9]{1,2}))?")
_NUMBER: Final = re.compile(r"[0-9]{1,5}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """:ivar account: who will sign, 20 bytes. :ivar node: behind which node; empty for the faucet.

    :ivar amount_wei: ``None`` for all, or where no amount belongs. For a registration the own stake that is
        to stand behind the node in the end.
    :ivar consent: of a registration, with its signature (65 bytes) and introduction.
    :ivar basis_points: of a commission.
    """

    action: str
    account: bytes
    node: bytes = b""
    amount_wei: int | None = None
    request_id: int = 0
    consent: Consent | None = None
    signature: bytes = b""
    introduction: str = ""
    basis_points: int = 0


def parse_wish(body: bytes) -> Wish:
    """A wish from its JSON. :raises PortalRefusal: a field is missing or not of its form; the code says
    which.
    """
    document = _object(body)
    action, account = document.get("action"), parse_address(document.get("account"), "bad_account")
    if action not in ACTIONS:
        raise PortalRefusal("bad_action")
    wish = {"action": action, "account": account}
    if action in OF_A_NODE:
        wish["node"] = parse_address(document.get("node"), "bad_node")
    if action in OF_AN_AMOUNT or action == "unvote":
        wish["amount_wei"] = _amount(document.get("amount"), takes_all=action == "unvote")
    if action == "withdraw":
        number = str(document.get("request_id"))
        if not _NUMBER.fullmatch(number) or int(number) > REQUEST_ID_MAX:
            raise PortalRefusal("bad_request_id")
        wish["request_id"] = int(number)
    if action == "introduce":
        wish["introduction"] = _introduction(document.get("introduction", ""))
    if action == "commission":
        wish["basis_points"] = _basis_points(document.get("percent"))
    if action == "register":
        consent, signature = parse_consent(document.get("consent"))
        wish |= {"consent": consent, "signature": signature, "node": consent.node}
        wish["introduction"] = _introduction(document.get("introduction", ""))
        if consent.owner != account:
            raise PortalRefusal("bad_consent", reason="owner", owner="0x" + consent.owner.hex())
    return Wish(**wish)


def parse_address(text: object, code: str) -> bytes:
    """20 bytes. :raises PortalRefusal: of that code; it is no address."""
    if not isinstance(text, str) or not _ADDRESS.fullmatch(text.strip()):
        raise PortalRefusal(code)
    return bytes.fromhex(text.strip()[2:])


def parse_consent(text: object) -> tuple[Consent, bytes]:
    """A consent as `cuckoo-peer chain consent` prints it. :raises PortalRefusal: it is not one."""
    if not isinstance(text, str) or len(text) > CONSENT_BYTES_MAX:
        raise PortalRefusal("bad_consent", reason="form")
    try:
        document = _object(text.encode())
        role, signature = Role[str(document["role"]).upper()], str(document["signature"])
        deadline_s = document["deadline_s"]
        owner, node = (parse_address(document[name], "bad_consent") for name in ("owner", "node"))
    except (KeyError, PortalRefusal, UnicodeEncodeError) as error:
        raise PortalRefusal("bad_consent", reason="form") from error
    if (
        not isinstance(deadline_s, int)
        or not 0 < deadline_s <= DEADLINE_S_MAX
        or not _SIGNATURE.fullmatch(signature)
    ):
        raise PortalRefusal("bad_consent", reason="form")
    consent = Consent(owner=owner, node=node, role=role, deadline_s=deadline_s)
    return consent, bytes.fromhex(signature[2:])


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise PortalRefusal("bad_json") from error
    if not isinstance(document, dict) or len(document) > FIELDS_MAX:
        raise PortalRefusal("bad_json")
    if not all(isinstance(value, str | int) for value in document.values()):
        raise PortalRefusal("bad_json")
    return document


def _amount(text: object, *, takes_all: bool) -> int | None:
    if takes_all and text == ALL:
        return None
    if not isinstance(text, str):
        raise PortalRefusal("bad_amount")
    try:
        return parse_cai(text.strip())
    except LocalError as error:
        raise PortalRefusal("bad_amount") from error


def _basis_points(text: object) -> int:
    found = _PERCENT.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None:
        raise PortalRefusal("bad_percent")
    return 100 * int(found["whole"]) + int((found["part"] or "").ljust(2, "0"))


def _introduction(text: object) -> str:
    try:
        length = len(text.encode()) if isinstance(text, str) else METADATA_BYTES_MAX + 1
    except UnicodeEncodeError:  # a lone surrogate, which no text of the ABI holds
        length = METADATA_BYTES_MAX + 1
    if length > METADATA_BYTES_MAX:
        raise PortalRefusal("bad_introduction", bytes_max=METADATA_BYTES_MAX)
    return str(text)
