"""What a delivered picture must be: the ways in which bytes may be another thing, and honest pictures."""

import io
import zlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from protocol.errors import InvalidMessage
from protocol.messages import OUTPUT_BYTES_MAX
from protocol.png import (
    IDAT_CHUNKS_MAX,
    PNG_HEADER_BYTES,
    PNG_SIGNATURE,
    is_plain_png,
    require_picture,
    require_preview,
)
from tests.protocol.pictures import END, chunk, header, plain_picture
from tests.protocol.strategies import lawful

WIDTH, HEIGHT = 7, 5
ROW = b"\x01" + bytes(range(3 * WIDTH))
ROWS = ROW * HEIGHT
HEADER = header(WIDTH, HEIGHT)


def png(*idats, header=HEADER):
    return PNG_SIGNATURE + header + b"".join(chunk(b"IDAT", idat) for idat in idats) + END


PICTURE = plain_picture(WIDTH, HEIGHT, row=ROW)


def saved(width, height, mode="RGB", form="PNG", **options):
    buffer = io.BytesIO()
    Image.effect_noise((width, height), 60).convert(mode).save(buffer, form, **options)
    return buffer.getvalue()


def refused(data, reason, width=WIDTH, height=HEIGHT, check=require_picture):
    with pytest.raises(InvalidMessage) as caught:
        check(data, width, height)
    assert str(caught.value) == reason


NOT_OF_THE_SIZE = "picture is not an 8-bit RGB PNG of the announced size, not interlaced"
LESS = "picture inflates to less than its size has"
MORE = "picture inflates to more than its size has"
BEHIND = "picture has data after its rows"


@pytest.mark.parametrize("options", [{}, {"optimize": True}, {"compress_level": 0}, {"compress_level": 9}])
@pytest.mark.parametrize("size", [(1, 1), (64, 64), (300, 211)])
def test_what_pillow_saves_is_a_picture(size, options):
    require_picture(saved(*size, **options), *size)
    require_preview(saved(*size, **options), *size)


def test_all_filters_and_any_parts_are_a_picture():
    for filter_type in range(5):
        require_picture(png(zlib.compress((bytes([filter_type]) + ROW[1:]) * HEIGHT)), WIDTH, HEIGHT)
    compressed = zlib.compress(ROWS)
    require_picture(png(*(compressed[i : i + 1] for i in range(len(compressed)))), WIDTH, HEIGHT)


def test_a_large_picture_is_read_in_pieces():
    """More compressed than a piece, and more inflated than a piece, in one chunk."""
    size = (700, 600)
    for level in (0, 9):
        rows = zlib.compress((b"\x00" + bytes(3 * size[0])) * size[1], level)
        require_picture(png(rows, header=header(*size)), *size)
        refused(png(rows + b"\x00", header=header(*size)), BEHIND, *size)


def test_attack_eight_bytes_of_signature_are_no_picture():
    refused(PNG_SIGNATURE, NOT_OF_THE_SIZE)
    refused(PNG_SIGNATURE, NOT_OF_THE_SIZE, check=require_preview)
    refused(PNG_SIGNATURE + HEADER, "picture ends within a chunk")
    refused(PNG_SIGNATURE + HEADER + END, LESS)
    refused(b"", "picture is not a PNG")


def test_attack_png_bomb():
    """A thousand times as many rows as announced, in 100 kB; the check stops at the first byte beyond."""
    packer = zlib.compressobj(9)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(100)) + packer.flush()
    assert len(bomb) < 110_000
    refused(png(bomb), MORE)
    refused(png(bomb[:100], bomb[100:]), MORE, check=require_preview)
    huge = header(30_000, 30_000)
    refused(png(bomb, header=huge), NOT_OF_THE_SIZE)
    refused(png(bomb, header=huge), NOT_OF_THE_SIZE, check=require_preview)


@pytest.mark.parametrize(
    "name", [b"zTXt", b"iCCP", b"iTXt", b"tRNS", b"acTL", b"PLTE", b"IHDR", b"\xff\x00ab"]
)
def test_attack_chunks_that_decoders_inflate_by_themselves(name):
    for data in (
        PNG_SIGNATURE + HEADER + chunk(name, b"a\x00\x00") + PICTURE[len(PNG_SIGNATURE + HEADER) :],
        PICTURE.removesuffix(END) + chunk(name) + END,
    ):
        refused(data, "picture has a chunk other than IHDR, IDAT and IEND")


def test_attack_a_million_chunks_of_nothing():
    refused(png(zlib.compress(ROWS), b""), "picture has an empty IDAT chunk")
    parts = [bytes([byte]) for byte in zlib.compress(ROWS)]
    empty_blocks = [b"\x00", b"\x00\x00\xff\xff"]  # stored blocks of no bytes: deflate allows any number
    longest = png(*parts[:2], *empty_blocks * ((IDAT_CHUNKS_MAX - len(parts)) // 2), *parts[2:])
    require_picture(longest, WIDTH, HEIGHT)
    too_many = png(*parts[:2], *empty_blocks * (IDAT_CHUNKS_MAX // 2), *parts[2:])
    refused(too_many, f"picture has more than {IDAT_CHUNKS_MAX} IDAT chunks")


def test_a_picture_longer_than_may_travel_is_not_read():
    refused(PICTURE.ljust(OUTPUT_BYTES_MAX + 1), f"picture is longer than {OUTPUT_BYTES_MAX} bytes")
    refused(PICTURE.ljust(OUTPUT_BYTES_MAX), "picture goes on after its end")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (saved(WIDTH, HEIGHT, form="GIF"), "picture is not a PNG"),
        (saved(WIDTH, HEIGHT, "RGBA"), NOT_OF_THE_SIZE),
        (saved(WIDTH, HEIGHT, "L"), NOT_OF_THE_SIZE),
        (saved(WIDTH, HEIGHT, "P"), NOT_OF_THE_SIZE),
        (saved(HEIGHT, WIDTH), NOT_OF_THE_SIZE),
        (png(zlib.compress(ROWS), header=header(WIDTH, HEIGHT, bytes([16, 2, 0, 0, 0]))), NOT_OF_THE_SIZE),
        (png(zlib.compress(ROWS), header=header(WIDTH, HEIGHT, bytes([8, 2, 0, 0, 1]))), NOT_OF_THE_SIZE),
        (PICTURE + b"\x00", "picture goes on after its end"),
        (PICTURE.removesuffix(END) + chunk(b"IEND", b"\x00"), "picture goes on after its end"),
        (PICTURE.removesuffix(END), "picture ends within a chunk"),
        (PICTURE[:-1], "picture ends within a chunk"),
        (PICTURE[:-1] + b"\x00", "picture has a chunk with a wrong checksum"),
        (
            PICTURE[:PNG_HEADER_BYTES] + bytes(4) + PICTURE[PNG_HEADER_BYTES + 4 :],
            "picture has a chunk with a wrong checksum",
        ),
        (png(zlib.compress(ROWS[:-1])), LESS),
        (png(zlib.compress(b"")), LESS),
        (png(zlib.compress(ROWS)[:-1]), LESS),
        (png(zlib.compress(ROWS + b"\x00")), MORE),
        (png(zlib.compress(ROWS) + b"\x00"), BEHIND),
        (png(zlib.compress(ROWS), b"\x00"), BEHIND),
        (png(zlib.compress(ROWS)[:-1] + b"\x00"), "picture does not inflate"),
        (png(b"no deflate"), "picture does not inflate"),
        (png(zlib.compress(b"\x05" + ROWS[1:])), "picture has a row with an unknown filter"),
        (
            png(zlib.compress(ROWS[: -len(ROW)] + b"\xff" + ROW[1:])),
            "picture has a row with an unknown filter",
        ),
    ],
)
def test_anything_else_is_refused_with_its_reason(data, reason):
    refused(data, reason)


def test_attack_rows_that_need_a_dictionary():
    packer = zlib.compressobj(zdict=ROW)
    refused(png(packer.compress(ROWS) + packer.flush()), "picture does not inflate")


def test_a_preview_may_be_smaller_and_never_larger():
    smaller = saved(WIDTH - 3, HEIGHT)
    require_preview(smaller, WIDTH, HEIGHT)
    refused(smaller, NOT_OF_THE_SIZE)
    for size in ((WIDTH + 1, HEIGHT), (WIDTH, HEIGHT + 1)):
        refused(saved(*size), NOT_OF_THE_SIZE, check=require_preview)
    none = header(0, 0)
    refused(png(zlib.compress(b""), header=none), NOT_OF_THE_SIZE, check=require_preview)


def test_the_header_alone():
    assert is_plain_png(PICTURE[:PNG_HEADER_BYTES], WIDTH, HEIGHT)
    assert not is_plain_png(PICTURE[: PNG_HEADER_BYTES - 1], WIDTH, HEIGHT)
    assert not is_plain_png(PICTURE, WIDTH + 1, HEIGHT)


@lawful
@given(st.binary(max_size=200) | st.builds(png, st.binary(max_size=100)))
@example(PICTURE)
def test_any_bytes_are_a_picture_or_an_invalid_message(data):
    for check in (require_picture, require_preview):
        try:
            check(data, WIDTH, HEIGHT)
        except InvalidMessage as error:
            assert str(error).startswith("picture ")
        else:
            assert Image.open(io.BytesIO(data)).convert("RGB").size == (WIDTH, HEIGHT)


@lawful
@given(st.integers(0, len(PICTURE) - 1), st.integers(1, 255))
def test_a_flipped_byte_is_never_a_picture(place, mask):
    changed = bytearray(PICTURE)
    changed[place] ^= mask
    with pytest.raises(InvalidMessage):
        require_picture(bytes(changed), WIDTH, HEIGHT)


@lawful
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 9))
def test_every_size_that_pillow_saves_passes_and_its_cuts_do_not(width, height, level):
    data = saved(width, height, compress_level=level)
    require_picture(data, width, height)
    with pytest.raises(InvalidMessage):
        require_picture(data[: len(data) // 2], width, height)
