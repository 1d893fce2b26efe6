"""The card of a model: its family, licence and limits, under the `model_id` as every file is.

Is: the card, its bounds, and the proof that it belongs to a `model_id`, for whoever has only that.
Is not: the weights, or a check of a request (`node/inference/packages/limits`).

The card is the first leaf of the tree of the package's files. The leftmost path from a root ends in one leaf
only, however many there are, so a `model_id` has one card.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Self

from protocol.errors import DecodeError, InvalidMessage
from protocol.hashing import sha256
from protocol.merkle import merkle_proof, root_proved_by
from protocol.messages import PROMPT_BYTES_MAX, WORK_KINDS_MAX
from protocol.model_table import HEAD_BYTES, SCHEDULE_STEPS_MAX, ModelHead, model_id_of
from protocol.schema import Bytes, Encoded, Hash, Items, Text, Uint, Uint16, Uint32
from protocol.transfer import PATH_BYTES_MAX
from protocol.work import KIND_MAX

CARD_FORMAT: Final = 1
CARD_FILE: Final = "card.cbor"
"""Path of the card in its package."""
CARD_BYTES_MAX: Final = 64 * 1024
FILES_MAX: Final = 256
"""Most files of a package, the card among them."""
PROOF_HASHES_MAX: Final = (FILES_MAX - 1).bit_length()
NAME_BYTES_MAX: Final = 64
SIZES_MAX: Final = 64
PIXELS_MIN: Final = 8
PIXELS_MAX: Final = 2048
GUIDANCE_MILLI_MAX: Final = 30_000
REQUEST_FILES_MAX: Final = 32
REQUEST_BYTES_MAX: Final = 32 * 1024 * 1024
"""Most bytes of all request files together."""

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]*")
_WORD: Final = re.compile(r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?")
_PATH_PART: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class RequestFile(Encoded):
    """A text file that is needed to make or measure a request: a tokenizer, a chat template.

    :ivar path: in the package, with forward slashes.
    :ivar sha256: of its bytes.
    :ivar size_bytes: its length.
    """

    path: Annotated[str, Text(PATH_BYTES_MAX)]
    sha256: Hash
    size_bytes: Uint32


@dataclass(frozen=True, slots=True)
class ModelCard(Encoded):
    """A package of itself: what it is and what a request may ask of it.

    :ivar format: 1.
    :ivar name: its packager's word for it: lower-case letters, digits, `.`, `_` and `-`.
    :ivar family: pipeline class of diffusers that runs it.
    :ivar licence: SPDX expression.
    :ivar scheduler: class name of the scheduler.
    :ivar prng: rule that turns a seed into the first latent.
    :ivar precision_class: `A` (fp32) or `B` (fp16).
    :ivar work_kinds: each kind of work that it is for, ascending.
    :ivar sizes: width and height in pixels of each size that it draws, the default one first.
    :ivar default_steps: steps of a request that names no number.
    :ivar steps_max: most steps of a schedule.
    :ivar default_guidance_milli: guidance in thousandths of a request that names none.
    :ivar guidance_milli_max: strongest guidance in thousandths.
    :ivar prompt_characters_max: most characters (code points) of a prompt, and of a negative prompt.
    :ivar prompt_bytes_max: most bytes of each in UTF-8.
    :ivar prompt_tokens_max: tokens that the text model reads, not seeing the rest; 0 where that is not known.
    :ivar request_files: ascending by path; together at most 33,554,432 bytes.
    """

    format: Uint16
    name: Annotated[str, Text(NAME_BYTES_MAX)]
    family: Annotated[str, Text(NAME_BYTES_MAX)]
    licence: Annotated[str, Text(NAME_BYTES_MAX)]
    scheduler: Annotated[str, Text(NAME_BYTES_MAX)]
    prng: Annotated[str, Text(NAME_BYTES_MAX)]
    precision_class: Annotated[str, Text(1)]
    work_kinds: Annotated[tuple[int, ...], Items(Annotated[int, Uint(KIND_MAX)], 1, WORK_KINDS_MAX)]
    sizes: Annotated[
        tuple[tuple[int, int], ...], Items(Annotated[tuple[int, int], Items(Uint16, 2, 2)], 1, SIZES_MAX)
    ]
    default_steps: Uint16
    steps_max: Uint16
    default_guidance_milli: Uint32
    guidance_milli_max: Uint32
    prompt_characters_max: Uint16
    prompt_bytes_max: Uint16
    prompt_tokens_max: Uint32
    request_files: Annotated[tuple[RequestFile, ...], Items(RequestFile, 0, REQUEST_FILES_MAX)]

    @classmethod
    def read(cls, data: bytes) -> Self:
        """The card that `data` canonically encodes, its bounds checked.

        :raises DecodeError: not canonical, too long, or of another shape.
        :raises InvalidMessage: a value that no card may have.
        """
        if len(data) > CARD_BYTES_MAX:
            message = f"a card has at most {CARD_BYTES_MAX} bytes"
            raise DecodeError(message)
        card = cls.decode(data)
        card.require_valid()
        return card

    def require_valid(self) -> None:
        """:raises InvalidMessage: a value that no card may have; names the field."""
        words = (self.family, self.licence, self.scheduler, self.prng, self.precision_class)
        for fits, reason in (
            (self.format == CARD_FORMAT, "card: format is not known"),
            (is_model_name(self.name), "card: name is not allowed"),
            (all(map(_WORD.fullmatch, words)), "card: a word of it is empty or not printable ASCII"),
            (_ascending(self.work_kinds), "card: work_kinds do not ascend"),
            (len(set(self.sizes)) == len(self.sizes), "card: sizes name one twice"),
            (all(PIXELS_MIN <= side <= PIXELS_MAX for size in self.sizes for side in size), "card: sizes"),
            (
                1 <= self.default_steps <= self.steps_max <= SCHEDULE_STEPS_MAX,
                "card: default_steps or steps_max",
            ),
            (
                self.default_guidance_milli <= self.guidance_milli_max <= GUIDANCE_MILLI_MAX,
                "card: default_guidance_milli or guidance_milli_max",
            ),
            (
                1 <= self.prompt_characters_max <= self.prompt_bytes_max <= PROMPT_BYTES_MAX,
                "card: prompt_characters_max or prompt_bytes_max",
            ),
            (_ascending([file.path for file in self.request_files]), "card: request_files do not ascend"),
            (all(is_package_path(file.path) for file in self.request_files), "card: path of a request file"),
            (
                sum(file.size_bytes for file in self.request_files) <= REQUEST_BYTES_MAX,
                "card: request_files are too long",
            ),
        ):
            if not fits:
                raise InvalidMessage(reason)


@dataclass(frozen=True, slots=True)
class ProvedCard(Encoded):
    """A peer that serves a model: "this is its card, and so it belongs to the model_id".

    :ivar card: canonical encoding of its `ModelCard`.
    :ivar proof: siblings from its leaf, which is the first, to the root of the files.
    :ivar head: encoded `ModelHead`.
    :ivar rows_root: Merkle root of the table of steps.
    """

    card: Annotated[bytes, Bytes(1, CARD_BYTES_MAX)]
    proof: Annotated[tuple[bytes, ...], Items(Hash, 0, PROOF_HASHES_MAX)]
    head: Annotated[bytes, Bytes(HEAD_BYTES, HEAD_BYTES)]
    rows_root: Hash

    @classmethod
    def of(cls, card: bytes, leaves: Sequence[bytes], head: bytes, rows_root: bytes) -> ProvedCard:
        """The card's bytes and their proof. :param leaves: of the package, in order; see `file_leaf`."""
        return cls(card, merkle_proof(leaves, 0), head, rows_root)

    def open(self, model_id: bytes) -> ModelCard:
        """The card, if it is that of `model_id`.

        :raises InvalidMessage: the proof does not lead there, a value that no card may have, or a head whose
            rules are not known here or that is not the card's.
        :raises DecodeError: no card.
        """
        leaf = file_leaf(CARD_FILE, sha256(self.card), len(self.card))
        # How many leaves there are does not matter to the first, beyond the number of levels.
        files_root = root_proved_by(leaf, 0, 1 << len(self.proof), self.proof)
        if files_root is None or model_id_of(files_root, self.head, self.rows_root) != model_id:
            raise InvalidMessage("card is not that of the model")
        card = ModelCard.read(self.card)
        require_head(card, ModelHead.decode(self.head))
        return card


def require_head(card: ModelCard, head: ModelHead) -> None:
    """:raises InvalidMessage: with this head, a step that the card allows could not be judged."""
    if card.steps_max > head.steps_max:
        raise InvalidMessage("card: more steps than the table has rows for")
    for width, height in card.sizes:
        head.tensor_numbers(width, height)


PROVED_CARD_BYTES_MAX: Final = CARD_BYTES_MAX + 1024
"""More than the longest `ProvedCard` takes."""


def file_leaf(path: str, digest: bytes, size_bytes: int) -> bytes:
    """Leaf of a file in its package's tree. :param digest: SHA-256 of its bytes."""
    return path.encode() + b"\x00" + digest + size_bytes.to_bytes(8, "big")


def is_model_name(text: str) -> bool:
    """Whether a card may have this name."""
    return len(text) <= NAME_BYTES_MAX and _NAME.fullmatch(text) is not None


def is_package_path(path: str) -> bool:
    """Whether a file of a package may have this path: plain relative ASCII, nothing hidden or upwards."""
    return len(path) <= PATH_BYTES_MAX and all(_PATH_PART.fullmatch(part) for part in path.split("/"))


def _ascending(values: Sequence[int] | Sequence[str]) -> bool:
    """Whether each value is above the one before it."""
    return all(before < after for before, after in itertools.pairwise(values))  # type: ignore[operator]
