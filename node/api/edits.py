"""`POST /v1/images/edits` in the OpenAI shape: the form with an image, made into what `images` takes.

Is: the form. Its fields are those of a generation, and besides `image` (PNG, JPEG or WebP, one) and an extra
of ours, `strength`: how much of the schedule is run, 0.001 to 1; the less, the more of the image is kept.
Is not: masks; a model here draws whole images.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any

import trio
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from node.api import images
from node.coordinator.catalogue import Catalogue
from node.coordinator.requests import STRENGTH_MILLI_MAX, BadRequest
from node.inference.diffusion.source_image import UnreadableImage, plain_png
from node.inference.packages.limits import check_shape
from protocol.work import WorkKind

UPLOAD_BYTES_MAX = 16 * 1024 * 1024
"""Longest file of an upload."""
FIELD_BYTES_MAX = 64 * 1024
FIELDS_MAX = 32
FORM_BYTES_MAX = UPLOAD_BYTES_MAX + FIELDS_MAX * 4096
"""Longest body of a request: the file, and what fields and boundaries honestly need."""
DEFAULT_STRENGTH = 0.6

_WHOLE_NUMBERS = frozenset({"n", "partial_images", "seed", "steps"})
_NUMBERS = frozenset({"guidance", "strength"})
_IMAGE_FIELDS = frozenset({"image", "image[]"})
_IGNORED = frozenset({"input_fidelity", "safety_identifier"})
"""Fields of OpenAI's that have no meaning here, besides those of a generation."""


class BadForm(BadRequest):
    """The body is no form as `multipart/form-data` says."""

    def __init__(self, reason: str) -> None:
        super().__init__("image", reason)


@dataclass(frozen=True, slots=True)
class Form:
    """A form that was read. :ivar fields: text, by name. :ivar upload: the one file."""

    fields: Mapping[str, str]
    upload: bytes


class _InMemory(MultiPartParser):
    """Keeps files in memory, where the whole body is already; an app's images are not written to a disk."""

    spool_max_size = FORM_BYTES_MAX + 1


async def read_form(headers: Headers, body: bytes) -> Form:
    """Read the body of a request. :raises BadForm: it is not a form, or has no image or several.
    :raises BadRequest: a field comes twice, or a file where none belongs; names it.
    """
    if not headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise BadForm("the body is not multipart/form-data with a file named image")

    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    async with aclosing(stream()) as parts:
        limits = {"max_files": 2, "max_fields": FIELDS_MAX, "max_part_size": FIELD_BYTES_MAX}
        try:
            form = await _InMemory(headers, parts, **limits).parse()
        except MultiPartException as error:
            raise BadForm(f"the form cannot be read: {error.message}") from error
    try:
        fields, files = await _sorted(form)
    finally:
        await form.close()
    return Form(fields, _only_image(files))


async def _sorted(form: FormData) -> tuple[dict[str, str], dict[str, bytes]]:
    """Text and files by name. :raises BadRequest: a name comes twice."""
    fields: dict[str, str] = {}
    files: dict[str, bytes] = {}
    for name, value in form.multi_items():
        if name in fields or name in files:
            raise BadRequest(name, f"the field {name!r} comes twice")
        if isinstance(value, UploadFile):
            files[name] = await value.read()
        else:
            fields[name] = value
    return fields, files


def _only_image(files: Mapping[str, bytes]) -> bytes:
    """:raises BadRequest: there is no image, or something else."""
    for name in files.keys() - _IMAGE_FIELDS:
        if name == "mask":
            raise BadRequest("mask", "masks are not served; models here draw whole images")
        raise BadRequest(name, f"{name!r} is no file that belongs here")
    if len(files) != 1:
        raise BadForm("the form has no file named image, or several; send one")
    (upload,) = files.values()
    if len(upload) > UPLOAD_BYTES_MAX:
        raise BadForm(f"the image has more than {UPLOAD_BYTES_MAX:,} bytes; scale it down")
    return upload


async def parse(form: Form, catalogue: Catalogue) -> images.Generation:
    """An app's request to edit an image. The image is decoded and scaled in a thread of its own.

    :raises BadRequest: a field or the image is wrong; names it.
    :raises UnknownModel: no such model.
    """
    body = {name: _typed(name, text) for name, text in form.fields.items() if name not in _IGNORED}
    strength = body.pop("strength", DEFAULT_STRENGTH)
    # Not 0, which would ask for nothing; and what is no number is out of every range.
    fits = isinstance(strength, float) and 0 < strength <= 1
    milli = max(1, round(strength * STRENGTH_MILLI_MAX)) if fits else 0
    model = images.model_of(body, catalogue, WorkKind.IMAGE_TO_IMAGE)
    width, height = images.size_of(body, model)
    # Before anything is scaled to it.
    check_shape(model, WorkKind.IMAGE_TO_IMAGE, width, height, 1)
    try:
        source = await trio.to_thread.run_sync(plain_png, form.upload, width, height)
    except UnreadableImage as refusal:
        raise BadRequest("image", refusal.reason) from refusal
    return images.parse(body, model, source, milli)


def _typed(name: str, text: str) -> Any:
    """A field's text as JSON would have it; anything else stays text, and is refused by name later."""
    with suppress(ValueError):
        # JSON's numbers are ASCII, and have no underscores.
        if name in _WHOLE_NUMBERS | _NUMBERS and text.isascii() and "_" not in text:
            return int(text) if name in _WHOLE_NUMBERS else float(text)
    return {"true": True, "false": False}.get(text, text) if name == "stream" else text
