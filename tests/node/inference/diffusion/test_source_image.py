"""Uploads made into plain PNGs, and plain PNGs read: what is kept, what is dropped, what is refused."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps, PngImagePlugin

from node.inference.diffusion import source_image
from node.inference.diffusion.source_image import UPLOAD_PIXELS_MAX, UnreadableImage, plain_png, read_source
from protocol.png import is_plain_png
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


def grey_ramp(transparent=None):
    """A 16-bit grey PNG, black on the left to white on the right."""
    levels = np.tile(np.linspace(0, 65_535, 64).astype(np.uint16), (64, 1))
    options = {} if transparent is None else {"transparency": transparent}
    return encoded(Image.fromarray(levels), **options)


def test_grey_of_sixteen_bits_stays_grey():
    found = pixels(plain_png(grey_ramp(), 64, 64), 64, 64)
    expected = np.tile(np.linspace(0, 255, 64)[None, :, None], (64, 1, 3))
    assert np.abs(found - expected).max() <= 1
    found = pixels(plain_png(grey_ramp(transparent=0), 64, 64), 64, 64)
    assert (found[:, 0] == 255).all()
    assert np.abs(found[:, 1:] - expected[:, 1:]).max() <= 1


def exif_of(*entries):
    """EXIF with orientation 6 and further (tag, type, count, bytes) fields, however odd."""
    entries = [(0x0112, 3, 1, struct.pack("<H", 6)), *entries]
    offset, body, data = 8 + 2 + 12 * len(entries) + 4, b"", b""
    for tag, kind, count, value in entries:
        held = value
        if len(value) > 4:
            held, data = struct.pack("<I", offset + len(data)), data + value
        body += struct.pack("<HHI", tag, kind, count) + held.ljust(4, b"\0")
    return b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries)) + body + bytes(4) + data


@pytest.mark.parametrize(
    "entries",
    [
        (),
        ((0x011A, 2, 3, b"72\0"),),
        ((0x0128, 2, 2, b"2\0"),),
        ((0x0213, 1, 1, b"\1"),),
        ((0x0100, 2, 3, b"64\0"),),
        ((0x011A, 10, 1, b"\xff\xff\xff\xff\1\0\0\0"),),
    ],
    ids=["nothing", "resolution-as-text", "unit-as-text", "position-as-byte", "width-as-text", "negative"],
)
def test_a_photograph_is_turned_whatever_else_its_exif_says(entries):
    upload = encoded(halves(32, 32), "JPEG", quality=95, exif=exif_of(*entries))
    found = pixels(plain_png(upload, 32, 32))
    assert np.abs(found[4, 16] - (255, 0, 0)).max() < 12
    assert np.abs(found[28, 16] - (0, 0, 255)).max() < 12


@pytest.mark.parametrize("orientation", range(10))
def test_each_orientation_is_what_pillow_makes_of_it(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    upload = encoded(a_corner(), exif=exif)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(upload)))
    assert (pixels(plain_png(upload, 32, 32)) == np.asarray(expected)).all()


def a_corner():
    """An image that no turn and no mirror leaves as it is."""
    image = Image.new("RGB", (32, 32), "white")
    image.paste((200, 0, 0), (0, 0, 20, 8))
    return image


def test_exif_that_is_none_does_no_harm():
    upload = encoded(halves(32, 32), "JPEG", exif=b"Exif\0\0not at all")
    assert pixels(plain_png(upload, 32, 32)).shape == (32, 32, 3)


@pytest.mark.parametrize("width", [40_000, 15_000])
def test_attack_a_decompression_bomb_is_refused_for_what_it_is(width):
    head = struct.pack(">IIBBBBB", width, 9_000, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(b"")))
    chunks = b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in parts
    )
    with pytest.raises(UnreadableImage) as caught:
        plain_png(b"\x89PNG\r\n\x1a\n" + chunks, 32, 32)
    assert caught.value.reason == "the image has more than 33,554,432 pixels; scale it down"
