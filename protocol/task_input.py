"""The input of a task: made, held against its announcement, and what a source shows without being decoded.

Is: checks over bytes alone, for the miner that gets the input and for whoever audits it.
Is not: the pixels; they are read where the model is (`node/inference/source_image`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from protocol.errors import DecodeError, InvalidMessage
from protocol.hashing import sha256
from protocol.merkle import merkle_proof, proves
from protocol.messages import PublicInput, SealedInput, Source, TaskAnnouncement, TaskInput
from protocol.png import is_plain_png
from protocol.work import ImageNumbers, SourceRole, spec_of


def image_input(
    numbers: ImageNumbers,
    prompts: tuple[str, ...],
    salt: bytes,
    preview_every_units: int,
    source: bytes = b"",
) -> TaskInput:
    """The input of an image kind. :raises ValueError: a value out of its field's bounds.

    :param source: the image to start from; empty for none.
    """
    sources = (Source(SourceRole.IMAGE, len(source), sha256(source)),) if source else ()
    return TaskInput(PublicInput(numbers.encode(), sources), SealedInput(salt, prompts, preview_every_units))


def require_input(task: TaskAnnouncement, task_input: TaskInput) -> Any:
    """Hold an input against its announcement; returns the kind's public numbers.

    :raises UnknownKind: this peer does not know the task's kind.
    :raises InvalidMessage: another input, or one not of this task's kind; the coordinator's fault.
    """
    if task_input.commitment() != task.input_commitment:
        raise InvalidMessage("input is not the one that was announced")
    spec = spec_of(task.work.kind)
    try:
        numbers = spec.numbers.decode(task_input.public.numbers)
    except DecodeError as error:
        raise InvalidMessage("input is not of the task's kind") from error
    roles = tuple(source.role for source in task_input.public.sources)
    if roles != spec.roles or not all(source.size_bytes for source in task_input.public.sources):
        raise InvalidMessage("input is not of the task's kind")
    if isinstance(numbers, ImageNumbers):
        steps, units = numbers.schedule_steps, task.work.units
        if steps < units or (steps != units and not roles):
            raise InvalidMessage("input is not of the task's kind")
    return numbers


def prove_public(task_input: TaskInput) -> tuple[bytes, ...]:
    """A proof of the public half of an input against its commitment, which shows nothing of the sealed
    one.
    """
    return merkle_proof((task_input.public.encode(), task_input.sealed.encode()), 0)


def verify_public(commitment: bytes, public: bytes, proof: Sequence[bytes]) -> PublicInput:
    """The public half of an input that was announced.

    :param commitment: of the announcement.
    :param public: the encoded half.
    :param proof: of `prove_public`.
    :raises InvalidMessage: it is not the half that was committed to.
    :raises DecodeError: it is, and does not decode.
    """
    if not proves(commitment, public, 0, 2, proof):
        raise InvalidMessage("this is not the public half of the announced input")
    return PublicInput.decode(public)


def require_source(task: TaskAnnouncement, source: Source, data: bytes) -> None:
    """Hold a whole source against its input and its announcement, before anybody decodes it.

    :raises InvalidMessage: another file, another size, or a form of PNG that is not allowed.
    """
    if len(data) != source.size_bytes or sha256(data) != source.hash:
        raise InvalidMessage("source is not the one of the input")
    if source.role == SourceRole.IMAGE and not is_plain_png(data, *task.work.image_size()):
        raise InvalidMessage("source image is not a plain PNG of the announced size")
