"""Uploads made into plain PNGs, and plain PNGs read: what is kept, what is dropped, what is refused."""

import io
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from node.inference.diffusion import source_image
from node.inference.diffusion.source_image import UPLOAD_PIXELS_MAX, UnreadableImage, plain_png, read_source
from protocol.task_input import is_plain_png
from tests.node.inference.builders import a_source
from tests.protocol.strategies import lawful, mutations


def encoded(image, form="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def halves(width=64, height=32, mode="RGB"):
    """Red on the left, blue on the right."""
    image = Image.new(mode, (width, height), (255, 0, 0, 255)[: len(mode)])
    image.paste((0, 0, 255, 255)[: len(mode)], (width // 2, 0, width, height))
    return image


def pixels(png, width=32, height=32):
    return np.asarray(read_source(png, width, height)).astype(int)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_formats_of_apps_become_a_plain_png(form):
    png = plain_png(encoded(halves(), form), 64, 32)
    assert is_plain_png(png, 64, 32)
    found = pixels(png, 64, 32)
    assert np.abs(found[16, 4] - (255, 0, 0)).max() < 12
    assert np.abs(found[16, 60] - (0, 0, 255)).max() < 12


def test_a_plain_png_of_the_size_keeps_its_pixels():
    upload = a_source()
    assert (pixels(plain_png(upload, 32, 32)) == np.asarray(Image.open(io.BytesIO(upload)))).all()


def test_the_middle_is_cut_out_and_scaled():
    wide = Image.new("RGB", (300, 100), "red")
    wide.paste("blue", (100, 0, 200, 100))
    found = pixels(plain_png(encoded(wide), 32, 32))
    assert np.abs(found[:, 6:26] - (0, 0, 255)).max() < 6


@pytest.mark.parametrize("mode", ["RGBA", "P"])
def test_transparency_becomes_white(mode):
    image = Image.new("RGBA", (32, 32), (9, 9, 9, 0)).convert(mode)
    assert (pixels(plain_png(encoded(image), 32, 32)) == 255).all()


@pytest.mark.parametrize("mode", ["1", "L", "LA", "I;16", "P"])
def test_other_modes_are_understood(mode):
    assert pixels(plain_png(encoded(Image.new(mode, (40, 40))), 32, 32)).shape == (32, 32, 3)


def test_a_photograph_is_turned_as_it_says():
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn to the right
    found = pixels(plain_png(encoded(halves(32, 32), exif=exif), 32, 32))
    assert (found[4, 16] == (255, 0, 0)).all()
    assert (found[28, 16] == (0, 0, 255)).all()


def test_nothing_of_the_metadata_is_passed_on():
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "where I live")
    exif = Image.Exif()
    exif[0x010E] = "where I live"
    for upload in (encoded(halves(), pnginfo=info, exif=exif), encoded(halves(), "JPEG", exif=exif)):
        assert b"where I live" in upload
        assert b"where I live" not in plain_png(upload, 32, 32)
    chunks, png = [], plain_png(upload, 32, 32)
    at = 8
    while at < len(png):
        chunks.append(png[at + 4 : at + 8])
        at += 12 + int.from_bytes(png[at : at + 4], "big")
    assert set(chunks) == {b"IHDR", b"IDAT", b"IEND"}


@pytest.mark.parametrize(
    "upload",
    [b"", b"hello", encoded(halves(), "GIF"), encoded(halves(), "BMP"), encoded(halves(), "TIFF")],
    ids=["empty", "text", "gif", "bmp", "tiff"],
)
def test_other_formats_are_refused_by_name(upload):
    with pytest.raises(UnreadableImage, match="PNG, JPEG, WEBP"):
        plain_png(upload, 32, 32)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_a_cut_upload_is_refused(form):
    with pytest.raises(UnreadableImage):
        plain_png(encoded(halves(), form)[:-40], 32, 32)


def bomb(width, height):
    """A small PNG that says it is of a large size, black throughout."""

    def chunk(name, body):
        return len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")

    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    body = zlib.compress(bytes(1 << 20))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [6_000, 12_000, 100_000])
def test_attack_a_bomb_is_refused_before_it_is_decoded(monkeypatch, side):
    monkeypatch.setattr(source_image.ImageOps, "exif_transpose", lambda image: pytest.fail("decoded"))
    assert side * side > UPLOAD_PIXELS_MAX
    with pytest.raises(UnreadableImage):
        plain_png(bomb(side, side), 32, 32)
    with pytest.raises(UnreadableImage, match="plain PNG"):
        read_source(bomb(side, side), 32, 32)


def test_what_is_too_long_as_a_png_is_refused(monkeypatch):
    monkeypatch.setattr(source_image, "SOURCE_BYTES_MAX", 100)
    with pytest.raises(UnreadableImage, match="smaller size"):
        plain_png(a_source(), 32, 32)


@lawful
@given(
    mutations(st.just(a_source()) | st.just(encoded(halves(), "JPEG")) | st.just(encoded(halves(), "WEBP")))
)
def test_any_upload_is_read_or_refused(upload):
    try:
        png = plain_png(upload, 16, 16)
    except UnreadableImage as refused:
        assert refused.reason
    else:
        assert pixels(png, 16, 16).shape == (16, 16, 3)


@lawful
@given(mutations(st.just(a_source())))
def test_any_source_is_read_or_refused(png):
    try:
        assert pixels(png).shape == (32, 32, 3)
    except UnreadableImage as refused:
        assert refused.reason
