"""The bytes between the pool and its workers.

Is: a length, a kind, a canonical CBOR body; the same both ways. Is not: a protocol between peers; both ends
are one operator's, joined by a pipe, or by Ray between a node and its other hosts (`ray_bridge`, `ray_host`).

A frame is a 4-byte big-endian length, counted without itself, one byte of kind and the body. A frame
that is too long, of an unknown kind or ill-formed means that the other end is broken; nothing after
it can be trusted, so the reader gives up on the process.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, TypeAlias

from node.inference.jobs.audit_job import AUDIT_BYTES_MAX, Audited, AuditJob
from node.inference.jobs.job import (
    BATCH_MAX,
    JOB_ID_BYTES_MAX,
    PNG_BYTES_MAX,
    REASON_BYTES_MAX,
    Failed,
    Finished,
    ImageJob,
    Preview,
    Progress,
)
from protocol import cbor
from protocol.errors import DecodeError
from protocol.messages import SOURCE_BYTES_MAX
from protocol.schema import Bytes, Encoded, Hash, Items, Text, Uint32, Uint64, from_items, to_items
from protocol.transfer import PATH_BYTES_MAX

LENGTH_BYTES: Final = 4
FRAME_BYTES_MIN: Final = 2
JOB_TEXT_BYTES_MAX: Final = 16 * 1024
"""More than all of a job but its source image."""
FRAME_BYTES_MAX: Final = max(
    PNG_BYTES_MAX + 64 * 1024,
    BATCH_MAX * (SOURCE_BYTES_MAX + JOB_TEXT_BYTES_MAX),
    AUDIT_BYTES_MAX + SOURCE_BYTES_MAX,
)
PART_BYTES_MAX: Final = 4 * 1024 * 1024
"""Of a file between hosts; a longer one comes in several."""


@dataclass(frozen=True, slots=True)
class Ready(Encoded):
    """Worker to pool: every model is loaded. :ivar load_ms: how long that took after the start."""

    load_ms: Uint32


@dataclass(frozen=True, slots=True)
class Broken(Encoded):
    """Worker to pool: it cannot work and ends. :ivar reason: English phrase for the operator."""

    reason: Annotated[str, Text(REASON_BYTES_MAX)]


@dataclass(frozen=True, slots=True)
class Unplaced(Encoded):
    """Bridge to pool, again and again: no host has had room for the worker so far; it waits for one.

    :ivar reason: English phrase for the operator.
    """

    reason: Annotated[str, Text(REASON_BYTES_MAX)]


@dataclass(frozen=True, slots=True)
class Batch(Encoded):
    """Pool to worker: compute these jobs as one. :ivar jobs: of one shape (`ImageJob.shape`)."""

    jobs: Annotated[tuple[ImageJob, ...], Items(ImageJob, 1, BATCH_MAX)]


@dataclass(frozen=True, slots=True)
class Cancel(Encoded):
    """Pool to worker: stop this job of the batch at the next step. The worker still answers with `Failed`."""

    job_id: Annotated[str, Text(JOB_ID_BYTES_MAX)]


@dataclass(frozen=True, slots=True)
class FileWanted(Encoded):
    """Host to node: send a part of a model's file. :ivar offset: of its first byte."""

    model_id: Hash
    path: Annotated[str, Text(PATH_BYTES_MAX)]
    offset: Uint64


@dataclass(frozen=True, slots=True)
class FilePart(Encoded):
    """Node to host: what was wanted. :ivar data: empty at the end of the file."""

    data: Annotated[bytes, Bytes(0, PART_BYTES_MAX)]


@dataclass(frozen=True, slots=True)
class TracePart(Encoded):
    """Host to node: the next bytes of the trace of a job that will be `Finished`."""

    job_id: Annotated[str, Text(JOB_ID_BYTES_MAX)]
    data: Annotated[bytes, Bytes(1, PART_BYTES_MAX)]


Frame: TypeAlias = (
    Batch
    | Cancel
    | AuditJob
    | Ready
    | Broken
    | Progress
    | Preview
    | Finished
    | Failed
    | Audited
    | FileWanted
    | FilePart
    | TracePart
    | Unplaced
)

_KINDS: Final[dict[int, type[Frame]]] = {
    1: Batch,
    2: Cancel,
    3: AuditJob,
    16: Ready,
    17: Broken,
    18: Progress,
    19: Preview,
    20: Finished,
    21: Failed,
    22: Audited,
    32: FileWanted,
    33: FilePart,
    34: TracePart,
    35: Unplaced,
}
_NUMBERS: Final = {struct: number for number, struct in _KINDS.items()}


def encode_frame(frame: Frame) -> bytes:
    """Return the bytes of a frame, its length included. :raises ValueError: it is too long."""
    body = cbor.encode(to_items(frame))
    if len(body) + 1 > FRAME_BYTES_MAX:
        raise ValueError("the frame is too long")
    return (len(body) + 1).to_bytes(LENGTH_BYTES, "big") + bytes([_NUMBERS[type(frame)]]) + body


def frame_length(head: bytes) -> int:
    """Return how many bytes follow these `LENGTH_BYTES`. :raises DecodeError: none or too many."""
    length = int.from_bytes(head, "big")
    if len(head) != LENGTH_BYTES or not FRAME_BYTES_MIN <= length <= FRAME_BYTES_MAX:
        raise DecodeError("a frame of this length is not allowed")
    return length


def decode_frame(data: bytes) -> Frame:
    """Return the frame from its kind and body. :raises DecodeError: it is neither."""
    struct = _KINDS.get(data[0]) if data else None
    if struct is None:
        raise DecodeError("a frame of this kind is not known")
    return from_items(struct, cbor.decode(data[1:], FRAME_BYTES_MAX))
