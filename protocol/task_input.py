"""Whether an input is the one that its task announced, and what of a source image shows without decoding it.

Is: checks over bytes alone, for the miner that gets the input and for whoever audits it.
Is not: the pixels; they are read where the model is (`node/inference/source_image`).
"""

from __future__ import annotations

from typing import Final

from protocol.errors import InvalidMessage
from protocol.hashing import sha256
from protocol.messages import TaskAnnouncement, TaskInput, TaskKind

NO_SOURCE: Final = sha256(b"")
"""`TaskInput.source_hash` where there is no source image."""
PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_HEADER_LENGTH_AND_NAME: Final = b"\x00\x00\x00\x0dIHDR"
_EIGHT_BIT_RGB: Final = bytes([8, 2, 0, 0, 0])
"""Bit depth 8, colour type 2, deflate, adaptive filters, not interlaced (PNG, 11.2.1)."""
PNG_HEADER_BYTES: Final = 29


def require_input(task: TaskAnnouncement, task_input: TaskInput) -> None:
    """Hold an input against its announcement.

    :raises InvalidMessage: another input, or one not of this task's kind; the coordinator's fault.
    """
    if task_input.commitment() != task.input_commitment:
        raise InvalidMessage("input is not the one that was announced")
    if task.task_kind == TaskKind.IMAGE_TO_IMAGE:
        fits = task_input.schedule_steps >= task.steps and task_input.source_bytes > 0
    else:
        has_none = task_input.source_bytes == 0 and task_input.source_hash == NO_SOURCE
        fits = task_input.schedule_steps == task.steps and has_none
    if not fits:
        raise InvalidMessage("input is not of the task's kind")


def require_source(task: TaskAnnouncement, task_input: TaskInput, source: bytes) -> None:
    """Hold a whole source image against its input and its announcement, before anybody decodes it.

    :raises InvalidMessage: another image, another size, or a form of PNG that is not allowed.
    """
    if len(source) != task_input.source_bytes or sha256(source) != task_input.source_hash:
        raise InvalidMessage("source image is not the one of the input")
    if source and not is_plain_png(source, task.width, task.height):
        raise InvalidMessage("source image is not a plain PNG of the announced size")


def is_plain_png(data: bytes, width: int, height: int) -> bool:
    """Whether `data` begins as a PNG of so many pixels, 8-bit RGB, not interlaced.

    So whoever decodes it knows beforehand how much memory that takes, whatever its compressed bytes promise.
    """
    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    expected = PNG_SIGNATURE + _HEADER_LENGTH_AND_NAME + size + _EIGHT_BIT_RGB
    return data[:PNG_HEADER_BYTES] == expected
