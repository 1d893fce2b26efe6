"""Source images as bytes: what an app uploads made into what tasks carry, and that into pixels.

Is: Pillow, with limits before anything is decoded. A coordinator makes a plain PNG of an upload: 8-bit RGB,
of the task's size, without metadata; a worker reads it. Is not: the form itself, which is the protocol's
(`protocol.png`).
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageOps

from protocol.errors import Refusal
from protocol.messages import SOURCE_BYTES_MAX
from protocol.png import is_plain_png

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

UPLOAD_FORMATS: Final = ("PNG", "JPEG", "WEBP")
UPLOAD_PIXELS_MAX: Final = 32 * 1024 * 1024
"""Most pixels of an upload: 128 MiB while it is decoded."""
_TOO_MANY_PIXELS: Final = f"the image has more than {UPLOAD_PIXELS_MAX:,} pixels; scale it down"
_BACKGROUND: Final = "white"
_ORIENTATION: Final = 0x0112
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The turn that each orientation of EXIF asks for (TIFF 6.0, section 8)."""
_LEVELS_PER_LEVEL: Final = 257
"""Levels of 16 bits to one of 8: 65,535 / 255."""


class UnreadableImage(Refusal):
    """The bytes are no image that is taken here; the reason says what to do."""


def plain_png(upload: bytes, width: int, height: int) -> bytes:
    """An upload as the source image of a task.

    Turned as its EXIF says, transparency laid on white, the middle cut out in the task's proportions, and
    scaled.

    :raises UnreadableImage: another format, broken, or too large.
    """
    image = _opened(upload, UPLOAD_FORMATS)
    if image.width * image.height > UPLOAD_PIXELS_MAX:
        raise UnreadableImage(_TOO_MANY_PIXELS)
    try:
        image.load()
        opaque = _opaque(_eight_bit(_upright(image)))
        fitted = ImageOps.fit(opaque, (width, height), Image.Resampling.LANCZOS)
    except Exception as error:
        # Decoders are written in many hands; whatever they stumble over, it is the file's fault.
        raise UnreadableImage("the image is broken") from error
    # A new image, so that nothing of the old one's metadata is written.
    plain = Image.frombytes("RGB", fitted.size, fitted.tobytes())
    buffer = io.BytesIO()
    plain.save(buffer, "PNG")
    png = buffer.getvalue()
    if len(png) > SOURCE_BYTES_MAX:
        raise UnreadableImage(
            f"the image takes more than {SOURCE_BYTES_MAX:,} bytes as PNG; ask for a smaller size"
        )
    return png


def read_source(png: bytes, width: int, height: int) -> PillowImage:
    """The source image of a job, decoded, RGB.

    :raises UnreadableImage: not plain, of another size, or broken.
    """
    if not is_plain_png(png, width, height):
        raise UnreadableImage("the source image is not a plain PNG of the image's size")
    image = _opened(png, ("PNG",))
    try:
        image.load()
    except Exception as error:
        raise UnreadableImage("the source image is broken") from error
    if image.mode != "RGB" or image.size != (width, height):
        raise UnreadableImage("the source image is not a plain PNG of the image's size")
    return image


def _opened(data: bytes, formats: tuple[str, ...]) -> PillowImage:
    """The image, its head read and nothing decoded. :raises UnreadableImage: no image of these formats."""
    try:
        return Image.open(io.BytesIO(data), formats=formats)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnreadableImage(_TOO_MANY_PIXELS) from error
    except Exception as error:
        raise UnreadableImage(f"the file is no {', '.join(formats)} image, or a broken one") from error


def _upright(image: PillowImage) -> PillowImage:
    """The image turned as its EXIF says.

    Not by `ImageOps.exif_transpose`, which writes all of the EXIF anew and fails on fields of odd types.
    """
    try:
        turn = _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001 - metadata that cannot be read does not make the picture bad
        return image
    if turn is None:
        return image
    turned = image.transpose(turn)
    if "transparency" in image.info:
        turned.info["transparency"] = image.info["transparency"]
    return turned


def _eight_bit(image: PillowImage) -> PillowImage:
    """The image, its levels scaled to 8 bits if it is 16-bit grey, which Pillow would clip to white."""
    if not image.mode.startswith("I"):
        return image
    levels = np.asarray(image).astype(np.int64).clip(0, 65_535)
    grey = Image.fromarray(((levels + _LEVELS_PER_LEVEL // 2) // _LEVELS_PER_LEVEL).astype(np.uint8))
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey.putalpha(Image.fromarray(np.where(levels == transparent, 0, 255).astype(np.uint8)))
    return grey


def _opaque(image: PillowImage) -> PillowImage:
    """The image as RGB, on white where it is transparent."""
    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    ground = Image.new("RGBA", layer.size, _BACKGROUND)
    return Image.alpha_composite(ground, layer).convert("RGB")
