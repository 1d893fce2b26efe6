"""How a model package is asked for, file by file, from a peer that has it.

Is: the request on a stream of `/cuckoo/models/1`, and how much one answer may hold.
Is not: the package; its files are held against the Merkle root that names it (`README.md`, Model packages).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from protocol.schema import Encoded, Hash, Text, Uint64

PATH_BYTES_MAX: Final = 200
CARD_WITH_PROOF: Final = "card"
"""Asked for as a path: the model's card with its proof (`model_card.ProvedCard`). No file is called so."""
RANGE_BYTES_MAX: Final = 32 * 1024 * 1024
"""Most bytes of one answer; a longer file is asked for in several. Fewer are the end of the file."""


@dataclass(frozen=True, slots=True)
class ModelRequest(Encoded):
    """Anybody: "give me this file of that model, from here on".

    :ivar model_id: Merkle root of the package.
    :ivar path: of one of its files, ``manifest.json``, or ``card``.
    :ivar offset: first byte wanted, from 0.
    """

    model_id: Hash
    path: Annotated[str, Text(PATH_BYTES_MAX)]
    offset: Uint64
