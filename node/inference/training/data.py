"""The training images: where they come from and how an icon gets its background.

Is: one pinned npm package fetched by the ordinary client, checked by its hash, and read as numbers.
Is not: a drawing routine; every pixel of every icon is Noto's artwork (Apache-2.0, see NOTICE).
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tarfile
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image

from node.inference.training.concepts import BACKGROUNDS, concepts
from protocol.errors import LocalError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SOURCE_PACKAGE: Final = "emoji-datasource-google"
SOURCE_VERSION: Final = "16.0.0"
SOURCE_SHA256: Final = "fb5fd131b362aab7a55542d2a147a79708cce0a8b1c1bbacd470172708b5c438"
"""SHA-256 of the tarball that the pinned version has always been."""

IMAGE_FOLDER: Final = "package/img/google/64"
IMAGE_PIXELS: Final = 32
"""Width and height of a training image."""
MARGIN_PIXELS: Final = 2
"""Free border around an icon, so that the background shows even behind a square one."""


class SourceError(LocalError):
    """The training data cannot be fetched, or is not what was pinned."""


def fetch_source(cache: Path) -> Path:
    """Return the folder with the unpacked icons below `cache`, fetching them at the first call.

    :raises SourceError: `npm` is absent or fails, or the tarball's hash is not the pinned one.
    """
    images = cache / IMAGE_FOLDER
    if images.is_dir() and (cache / "package" / "emoji.json").is_file():
        return cache / "package"
    cache.mkdir(parents=True, exist_ok=True)
    tarball = cache / f"{SOURCE_PACKAGE}-{SOURCE_VERSION}.tgz"
    if not tarball.is_file():
        npm = shutil.which("npm")
        if npm is None:
            raise SourceError("npm is not installed")
        command = [npm, "pack", "--silent", f"{SOURCE_PACKAGE}@{SOURCE_VERSION}"]
        # Nothing in the command comes from outside this file.
        if subprocess.run(command, cwd=cache, check=False).returncode != 0:  # noqa: S603
            raise SourceError("npm could not fetch the icons")
    if hashlib.sha256(tarball.read_bytes()).hexdigest() != SOURCE_SHA256:
        raise SourceError("the icons' tarball is not the pinned one")
    with tarfile.open(tarball) as archive:
        wanted = [
            member
            for member in archive.getmembers()
            if member.name.startswith(IMAGE_FOLDER + "/") or member.name.count("/") == 1
        ]
        archive.extractall(cache, members=wanted, filter="data")
    return cache / "package"


def load_icons(source: Path) -> NDArray[np.float32]:
    """Return the icons as premultiplied RGBA in 0..1, shape (concepts, 4, pixels, pixels).

    :raises SourceError: a concept of the table has no icon of its own in the package.
    """
    entries = {entry["short_name"]: entry for entry in json.loads((source / "emoji.json").read_text())}
    icons = []
    for short_name in concepts():
        entry = entries.get(short_name)
        # Without this flag the package falls back on another vendor's picture, under another licence.
        if entry is None or not entry["has_img_google"]:
            raise SourceError("a concept has no icon in the package")
        picture = Image.open(source / "img" / "google" / "64" / entry["image"]).convert("RGBA")
        icons.append(_shrink(picture))
    return np.stack(icons)


def _shrink(picture: Image.Image) -> NDArray[np.float32]:
    """Return one icon with a margin at the training size, colours multiplied by alpha."""
    straight = np.asarray(picture, dtype=np.float32) / 255.0
    alpha = straight[..., 3]
    inner = IMAGE_PIXELS - 2 * MARGIN_PIXELS
    planes = []
    for plane in (*(straight[..., channel] * alpha for channel in range(3)), alpha):
        resized = Image.fromarray(plane, mode="F").resize((inner, inner), Image.Resampling.BOX)
        planes.append(np.pad(np.asarray(resized, dtype=np.float32), MARGIN_PIXELS))
    return np.clip(np.stack(planes), 0.0, 1.0)


def compose(icons: NDArray[np.float32], colour: tuple[int, int, int]) -> NDArray[np.float32]:
    """Return the icons on one background, RGB in -1..1, shape (n, 3, pixels, pixels)."""
    ground = np.asarray(colour, dtype=np.float32).reshape(1, 3, 1, 1) / 255.0
    rgb = icons[:, :3] + (1.0 - icons[:, 3:]) * ground
    return (rgb * 2.0 - 1.0).astype(np.float32)


def compose_all(icons: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return each icon on each background, shape (concepts, backgrounds, 3, pixels, pixels)."""
    return np.stack([compose(icons, colour) for colour in BACKGROUNDS.values()], axis=1)
