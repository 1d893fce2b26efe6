"""Source images that dialects carry in JSON, as base64. Nothing here fetches a URL."""

from __future__ import annotations

import base64
import binascii
from typing import Final

from node.api.openai.generation import Target
from node.api.picture_threads import in_picture_thread
from node.coordinator.requests import BadRequest
from node.inference.diffusion.source_image import UnreadableImage, plain_png
from node.inference.packages.limits import check_shape
from protocol.work import WorkKind

UPLOAD_BYTES_MAX: Final = 16 * 1024 * 1024
"""Longest image."""
BODY_BYTES_MAX: Final = 64 * 1024 + UPLOAD_BYTES_MAX * 4 // 3 + 4
"""Longest body with an image in it."""


async def source_of(field: str, text: str, target: Target) -> bytes:
    """The image of a field as a plain PNG of the target's size; decoded in a thread of its own.

    :raises BadRequest: it is a URL, not base64, or not an image; names the field.
    """
    if text[:8].lower().startswith(("http:", "https:")):
        raise BadRequest(field, f"{field}: this node fetches no URLs; send the image itself")
    if text.startswith("data:"):
        text = text.partition(",")[2]
    check_shape(target.model, WorkKind.IMAGE_TO_IMAGE, target.width, target.height, 1)

    def decode() -> bytes:
        return plain_png(base64.b64decode(text, validate=True), target.width, target.height)

    try:
        return await in_picture_thread(decode)
    except UnreadableImage as refusal:
        raise BadRequest(field, refusal.reason) from refusal
    except (binascii.Error, ValueError) as error:
        raise BadRequest(field, f"{field}: the image is not base64") from error
