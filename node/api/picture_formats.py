"""Pictures in the format that an app asks for, made from the PNG that the miner signed.

Is: formats, media types and quality. Is not: a proof; the receipt proves the PNG.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

from PIL import Image

from node.api.picture_threads import in_picture_thread

Format: TypeAlias = Literal["png", "webp", "jpeg"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)
COMPRESSION_MAX: Final = 100
"""Of `output_compression`: the encoder's quality, the best."""


@dataclass(frozen=True, slots=True)
class PictureFormat:
    """A format. :ivar quality: 0 to 100, of WebP and JPEG; PNG loses nothing."""

    name: Format = "png"
    quality: int = COMPRESSION_MAX

    @property
    def media_type(self) -> str:
        """The media type of its files."""
        return f"image/{self.name}"

    async def of_png(self, png: bytes) -> bytes:
        """A PNG in this format; encoded in a thread, since a large picture takes long."""
        if self.name == "png":
            return png
        return await in_picture_thread(self._encode, png)

    def _encode(self, png: bytes) -> bytes:
        buffer = io.BytesIO()
        with Image.open(io.BytesIO(png)) as picture:
            picture.convert("RGB").save(buffer, self.name, quality=self.quality)
        return buffer.getvalue()
