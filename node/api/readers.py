"""The readers of what an app sends and gets, in the same words for every dialect.

Is: the words, and where they differ by what the app asked for. Is not: a promise about a miner's machine; who
works on a prompt has it in clear.
"""

from __future__ import annotations

from typing import Any, Final

from protocol.audit import Audits
from protocol.receipt import Receipt, to_document

READERS: Final = {
    "prompt": "this coordinator; each miner that is given the task, to which it goes encrypted; and, if dice "
    "select the work when it is over, two other miners, which may ask its miner for it to audit the work. "
    "Gossip has a salted commitment to it alone",
    "picture": "the same, and an image that the app sent likewise",
}
"""Of work whose audits are public, as they are unless an app asks for another thing."""
READERS_BUYER: Final = {
    "prompt": "this coordinator, and each miner that is given the task, to which it goes encrypted; audits "
    "are this coordinator's alone. Gossip has a salted commitment to it alone",
    "picture": "the same, and an image that the app sent likewise",
}
"""Of work with `"audits": "buyer"`."""


def readers_of(audits: int) -> dict[str, str]:
    """The readers of a task's input and output. :param audits: an `Audits`, of its announcement."""
    return READERS_BUYER if audits == Audits.BUYER_ONLY else READERS


def receipt_document(receipt: Receipt) -> dict[str, Any]:
    """A receipt as the API gives it: what proves itself, and beside it who could read the prompt."""
    return to_document(receipt) | {"readers": readers_of(receipt.announcement.message.audits)}
