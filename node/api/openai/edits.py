"""The form of `POST /v1/images/edits`, made into a request to a model.

Is: the form. Its fields are those of a generation, and besides `image` (PNG, JPEG or WebP, one) and an extra
of ours, `strength`: how much of the schedule is run, 0.001 to 1; the less, the more of the image is kept.
Is not: masks; a model here draws whole images.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any, Final

from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from node.api.aliases import Alias
from node.api.fields import Fields
from node.api.openai.generation import Generation, target_of
from node.api.openai.generation import parse as parse_generation
from node.api.openai.parameters import REFUSED
from node.api.picture_threads import in_picture_thread
from node.coordinator.catalogue import Catalogue
from node.coordinator.requests import STRENGTH_MILLI_MAX, BadRequest
from node.inference.diffusion.source_image import UnreadableImage, plain_png
from node.inference.packages.limits import check_shape
from protocol.work import WorkKind

UPLOAD_BYTES_MAX: Final = 16 * 1024 * 1024
"""Longest file of an upload."""
FIELD_BYTES_MAX: Final = 64 * 1024
FIELDS_MAX: Final = 32
FILES_MAX: Final = 16
"""As many as OpenAI's clients send; one is taken, and who sends more hears that."""
FORM_BYTES_MAX: Final = UPLOAD_BYTES_MAX + FIELDS_MAX * 4096
"""Longest body of a request: the file, and what fields and boundaries honestly need."""
DEFAULT_STRENGTH_MILLI: Final = 600

_WHOLE_NUMBERS: Final = frozenset(
    {"n", "output_compression", "partial_images", "price_max_micro_cai", "seed", "steps"}
)
_NUMBERS: Final = frozenset({"guidance", "strength"})
_FLAGS: Final = {"true": True, "false": False}
_FLAG_FIELDS: Final = frozenset({"dry_run", "stream"})
_TEXTS: Final = frozenset({"negative_prompt", "prompt"})
"""Fields in which every text is one; in all others an empty one, and `null`, is how clients send nothing."""
_IMAGE_FIELDS: Final = frozenset({"image", "image[]"})


class BadForm(BadRequest):
    """The body is no form as `multipart/form-data` says."""

    def __init__(self, reason: str) -> None:
        super().__init__("image", reason)


@dataclass(frozen=True, slots=True)
class Form:
    """A form that was read. :ivar fields: text, by name. :ivar upload: the one file."""

    fields: Mapping[str, str]
    upload: bytes

    @property
    def content(self) -> tuple[bytes, ...]:
        """The same for the same form, in parts, without boundaries, which clients make anew each time."""
        return json.dumps(sorted(self.fields.items())).encode(), b"\0", self.upload


class _InMemory(MultiPartParser):
    """Keeps files in memory, where the whole body is already; an app's images are not written to a disk."""

    spool_max_size = FORM_BYTES_MAX + 1


async def read_form(headers: Headers, body: bytes) -> Form:
    """Read the body of a request. :raises BadForm: it is not a form, or has no image or several.
    :raises BadRequest: a field comes twice, or a file where none belongs; names it.
    """

    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    async with aclosing(stream()) as parts:
        limits = {"max_files": FILES_MAX, "max_fields": FIELDS_MAX, "max_part_size": FIELD_BYTES_MAX}
        try:
            form = await _InMemory(headers, parts, **limits).parse()
        except MultiPartException as error:
            raise BadForm(f"the form cannot be read: {error.message}") from error
        except (KeyError, UnicodeError) as error:
            # No boundary; or a charset that Python knows and that is not made for this.
            raise BadForm("the form cannot be read: its Content-Type is not in order") from error
    try:
        fields, files = await _sorted(form)
    finally:
        await form.close()
    return Form(fields, _only_image(files))


async def _sorted(form: FormData) -> tuple[dict[str, str], list[tuple[str, bytes]]]:
    """Text by name, and files. :raises BadRequest: a text's name comes twice."""
    fields: dict[str, str] = {}
    files: list[tuple[str, bytes]] = []
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            files.append((name, await value.read()))
        elif name in fields:
            raise BadRequest(ascii(name)[1:-1], f"the field {name!a} comes twice")
        else:
            fields[name] = value
    return fields, files


def _only_image(files: list[tuple[str, bytes]]) -> bytes:
    """:raises BadRequest: there is no image, several, or something else."""
    for name, _ in files:
        if name in REFUSED:
            raise BadRequest(name, REFUSED[name])
        if name not in _IMAGE_FIELDS:
            raise BadRequest(ascii(name)[1:-1], f"{name!a} is no file that belongs here")
    if not files:
        raise BadForm("the form has no file named image")
    if len(files) > 1:
        raise BadForm(f"the form has {len(files)} images; one at a time is edited")
    ((_, upload),) = files
    if len(upload) > UPLOAD_BYTES_MAX:
        raise BadForm(f"the image has more than {UPLOAD_BYTES_MAX:,} bytes; scale it down")
    return upload


async def parse(form: Form, catalogue: Catalogue, aliases: Mapping[str, Alias]) -> Generation:
    """An app's request to edit an image. The image is decoded and scaled in a thread of its own.

    :raises BadRequest: a field or the image is wrong; names it.
    :raises UnknownModel: no such model.
    """
    body = {
        name: _typed(name, text)
        for name, text in form.fields.items()
        if name in _TEXTS or text not in {"", "null"}
    }
    fields = Fields(body)
    # Not 0, which would ask for nothing; the least that is more than nothing is one thousandth.
    strength = fields.milli("strength", DEFAULT_STRENGTH_MILLI)
    if strength == 0 and body["strength"] > 0:
        strength = 1
    target = target_of(fields, catalogue, aliases, WorkKind.IMAGE_TO_IMAGE)
    # Before anything is scaled to it.
    check_shape(target.model, WorkKind.IMAGE_TO_IMAGE, target.width, target.height, 1)
    try:
        source = await in_picture_thread(plain_png, form.upload, target.width, target.height)
    except UnreadableImage as refusal:
        raise BadRequest("image", refusal.reason) from refusal
    further = frozenset({"strength"})
    return parse_generation(
        fields, target, source=source, strength_milli=min(strength, STRENGTH_MILLI_MAX + 1), further=further
    )


def _typed(name: str, text: str) -> Any:
    """A field's text as JSON would have it; anything else stays text, and is refused by name later."""
    with suppress(ValueError):
        # JSON's numbers are ASCII, and have no underscores.
        if name in _WHOLE_NUMBERS | _NUMBERS and text.isascii() and "_" not in text:
            return int(text) if name in _WHOLE_NUMBERS else float(text)
    return _FLAGS.get(text, text) if name in _FLAG_FIELDS else text
