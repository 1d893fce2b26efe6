"""p2p/framing.py and frames.py: whatever the cuts and whatever the bytes, frames or one kind of error."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p import frames, framing
from p2p.frames import Abort, Credit, Data, End, Part
from p2p.framing import FrameReader, FrameWriter
from p2p.stream_errors import CorruptStream, CreditExceeded, FrameTooLarge, TruncatedStream
from protocol.errors import DecodeError, LocalError, ProtocolError

payload_lists = st.lists(st.binary(min_size=1, max_size=50), max_size=8)


def read_all(reader: FrameReader, pieces):
    found = []
    for piece in pieces:
        reader.feed(piece)
        while (frame := reader.next_frame()) is not None:
            found.append(frame)
    return found


def encoded(payloads) -> bytes:
    writer = FrameWriter()
    frames_of = [frame for payload in payloads for frame in writer.payload(payload)]
    return b"".join(frames_of) + writer.end()


@given(payload_lists)
def test_round_trip__whole_and_byte_at_a_time(payloads):
    data = encoded(payloads)
    expected = [*map(Data, payloads), End()]
    assert read_all(FrameReader(), [data]) == expected
    assert read_all(FrameReader(), [data[i : i + 1] for i in range(len(data))]) == expected


@given(st.binary(max_size=200))
def test_any_bytes__give_frames_or_a_protocol_error__cut_or_not(data):
    outcomes = []
    for pieces in ([data], [data[i : i + 1] for i in range(len(data))]):
        try:
            outcomes.append(read_all(FrameReader(), pieces))
        except ProtocolError as error:
            outcomes.append(type(error))
    assert outcomes[0] == outcomes[1]


@given(payload_lists, st.data())
def test_a_flipped_bit__is_never_a_clean_end(payloads, data):
    raw = bytearray(encoded(payloads))
    index = data.draw(st.integers(0, len(raw) - 1))
    raw[index] ^= 1 << data.draw(st.integers(0, 7))
    reader = FrameReader()
    try:
        found = read_all(reader, [bytes(raw)])
    except ProtocolError:
        return
    # Or it is an ERROR frame, or still waiting for more: never the same transfer, never a clean end.
    assert End() not in found


@given(payload_lists, st.data())
def test_a_cut__is_a_truncated_stream(payloads, data):
    raw = encoded(payloads)
    reader = FrameReader()
    read_all(reader, [raw[: data.draw(st.integers(0, len(raw) - 1))]])
    with pytest.raises(TruncatedStream):
        reader.end_of_file()


def test_a_frame_over_the_limit__is_refused_by_its_length_alone():
    reader = FrameReader()
    reader.feed((frames.FRAME_BYTES_MAX + 1).to_bytes(4))
    with pytest.raises(FrameTooLarge) as caught:
        reader.next_frame()
    assert caught.value.bytes_max == frames.FRAME_BYTES_MAX


def test_the_largest_payload__passes_in_pieces_with_credit():
    payload = bytes(range(256)) * (frames.PAYLOAD_BYTES_MAX // 256)
    reader = FrameReader()
    reader.allowed_bytes = 2 * frames.PAYLOAD_BYTES_MAX
    found = read_all(reader, [encoded([payload])])
    assert found == [
        *[Part()] * (frames.PAYLOAD_BYTES_MAX // frames.PIECE_BYTES_MAX - 1),
        Data(payload),
        End(),
    ]


def test_a_payload_over_its_protocols_limit__is_refused():
    reader = FrameReader(payload_bytes_max=40_000)
    reader.feed(encoded([bytes(40_001)]))
    assert reader.next_frame() == Part()
    with pytest.raises(FrameTooLarge):
        reader.next_frame()


def test_a_stream_over_its_limit__is_refused_on_both_sides():
    writer = FrameWriter(stream_bytes_max=10)
    writer.payload(b"x" * 10)
    with pytest.raises(LocalError):
        writer.payload(b"x")
    reader = FrameReader(stream_bytes_max=10)
    reader.feed(encoded([b"x" * 10, b"x"]))
    assert reader.next_frame() == Data(b"x" * 10)
    with pytest.raises(FrameTooLarge):
        reader.next_frame()


def test_too_many_crumbs__are_refused(monkeypatch):
    monkeypatch.setattr(framing, "STREAM_FRAMES_MAX", 2)
    reader = FrameReader()
    reader.feed(b"\0\0\0\x02\0x" * 3)
    assert [reader.next_frame(), reader.next_frame()] == [Data(b"x")] * 2
    with pytest.raises(FrameTooLarge):
        reader.next_frame()
    writer = FrameWriter()
    writer.payload(b"x")
    writer.payload(b"x")
    with pytest.raises(LocalError):
        writer.payload(b"x")
    reader = FrameReader()
    writer = FrameWriter()
    reader.feed(b"".join(writer.credit(frames.CREDIT_BYTES + number) for number in range(1, 4)))
    assert [reader.next_frame(), reader.next_frame()]
    with pytest.raises(FrameTooLarge):
        reader.next_frame()


def test_more_than_there_is_credit_for__is_refused():
    count = frames.CREDIT_BYTES // 1_005
    reader = FrameReader()
    found = read_all(reader, [encoded([bytes(1_000)] * count)])
    assert found[-1] == End()
    reader = FrameReader()
    with pytest.raises(CreditExceeded):
        read_all(reader, [encoded([bytes(1_000)] * (count + 1))])
    reader = FrameReader()
    reader.allowed_bytes += 1_005
    assert read_all(reader, [encoded([bytes(1_000)] * (count + 1))])[-1] == End()


def test_credit__only_grows():
    writer = FrameWriter()
    with pytest.raises(LocalError):
        writer.credit(frames.CREDIT_BYTES)
    more = writer.credit(frames.CREDIT_BYTES + 1)
    reader = FrameReader()
    reader.feed(more + more)
    assert reader.next_frame() == Credit(frames.CREDIT_BYTES + 1)
    with pytest.raises(CreditExceeded):
        reader.next_frame()


def test_credit__may_follow_the_end_and_nothing_else_may():
    writer = FrameWriter()
    reader = FrameReader()
    reader.feed(writer.end() + writer.credit(1 << 40))
    assert [reader.next_frame(), reader.next_frame()] == [End(), Credit(1 << 40)]
    reader.end_of_file()
    for more in (b"\0\0\0\x02\0x", writer.credit(1 << 41)[:-1]):
        with pytest.raises(DecodeError):  # noqa: PT012 - by whether the frame is whole
            reader.feed(more)
            reader.next_frame()
            reader.end_of_file()


def test_nothing_follows_an_error():
    writer = FrameWriter()
    reader = FrameReader()
    reader.feed(writer.error(1, "no") + writer.credit(1 << 40))
    assert reader.next_frame() == Abort(1, "no")
    with pytest.raises(DecodeError):
        reader.next_frame()


@pytest.mark.parametrize(("payloads", "length"), [(1, 0), (0, 1), (0, 0)])
def test_a_wrong_end__is_a_corrupt_stream(payloads, length):
    reader = FrameReader()
    good = payloads == length == 0
    digest = hashlib.sha256(b"other" if good else b"").digest()
    reader.feed(b"\0\0\0\x31\x01" + payloads.to_bytes(8) + length.to_bytes(8) + digest)
    with pytest.raises(CorruptStream):
        reader.next_frame()


def test_an_end_within_a_payload__is_a_corrupt_stream():
    writer = FrameWriter()
    first, _ = writer.payload(bytes(frames.PIECE_BYTES_MAX + 1))
    part = hashlib.sha256(bytes(frames.PIECE_BYTES_MAX)).digest()
    reader = FrameReader()
    reader.feed(first + b"\0\0\0\x31\x01" + bytes(8) + frames.PIECE_BYTES_MAX.to_bytes(8) + part)
    assert reader.next_frame() == Part()
    with pytest.raises(CorruptStream):
        reader.next_frame()


@pytest.mark.parametrize("text", ["no", "ü" * 300, ""])
def test_an_error_frame__carries_its_text_cut_at_a_character(text):
    reader = FrameReader()
    reader.feed(FrameWriter().error(7, text))
    found = reader.next_frame()
    assert isinstance(found, Abort)
    assert found.code == 7
    assert text.startswith(found.text)
    assert len(found.text.encode()) <= frames.ERROR_TEXT_BYTES_MAX


@pytest.mark.parametrize(
    "raw",
    [
        b"\0\0\0\0",  # no type
        b"\0\0\0\x01\0",  # DATA without payload
        b"\0\0\0\x01\x01",  # END without count and hash
        b"\0\0\0\x02\x02\0",  # ERROR without a whole code
        b"\0\0\0\x04\x02\0\0\xff",  # ERROR whose text is not UTF-8
        b"\0\0\0\x01\x04",  # PART without payload
        b"\0\0\0\x01\x03",  # CREDIT without its bytes
        b"\0\0\0\x01\x05",  # unknown type
    ],
)
def test_a_malformed_frame__is_refused(raw):
    reader = FrameReader()
    reader.feed(raw)
    with pytest.raises(DecodeError):
        reader.next_frame()


def test_an_empty_payload__is_our_own_fault():
    with pytest.raises(LocalError):
        FrameWriter().payload(b"")


def test_nothing_is_written_after_the_end():
    writer = FrameWriter()
    writer.end()
    for write in (lambda: writer.payload(b"x"), writer.end, lambda: writer.error(1, "no")):
        with pytest.raises(LocalError):
            write()
