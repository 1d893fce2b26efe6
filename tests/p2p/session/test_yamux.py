"""p2p/session/yamux.py: frames, windows, limits; laws over any bytes and any chunks."""

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2p.session import yamux, yamux_application, yamux_frames
from p2p.session.counts import StreamCounts
from p2p.session.yamux import INBOUND_STREAMS_MAX, Yamux
from p2p.session.yamux_application import OUTPUT_BYTES_FULL, WINDOW_BYTES_MAX
from p2p.session.yamux_frames import (
    ACK,
    DATA,
    FIN,
    FRAME_BODY_BYTES_MAX,
    GO_AWAY,
    HEADER,
    PING,
    RST,
    SYN,
    WINDOW_UPDATE,
)
from p2p.session.yamux_streams import WINDOW_BYTES, Data, Finished, GoneAway, Opened, Pong, Reset, Writable
from protocol.errors import LocalError


def frame(kind, flags=0, stream_id=0, length=None, body=b"", version=0):
    return HEADER.pack(version, kind, flags, stream_id, len(body) if length is None else length) + body


def frames_of(output):
    """What went out, as (kind, flags, stream, length, body)."""
    frames = []
    while output:
        version, kind, flags, stream_id, length = HEADER.unpack_from(output)
        assert version == 0
        end = HEADER.size + (length if kind == DATA else 0)
        frames.append((kind, flags, stream_id, length, output[HEADER.size : end]))
        output = output[end:]
    return frames


def listener():
    return Yamux(initiator=False)


def pair():
    return Yamux(initiator=True), Yamux(initiator=False)


def exchange(one, other):
    """Carry output until there is none; returns the events of each."""
    events = ([], [])
    while one.output_bytes or other.output_bytes:
        events[1].extend(other.receive(one.take_output()))
        events[0].extend(one.receive(other.take_output()))
    return events


def test_a_stream__opens_carries_and_ends():
    dialler, other = pair()
    stream = dialler.open_stream()
    assert dialler.send(stream, b"hello") == 5
    assert dialler.send(stream, b" there") == 6
    dialler.finish(stream)
    output = dialler.take_output()
    assert frames_of(output) == [
        (WINDOW_UPDATE, SYN, 1, 0, b""),
        (DATA, 0, 1, 11, b"hello there"),
        (WINDOW_UPDATE, FIN, 1, 0, b""),
    ]
    assert other.receive(output) == [Opened(1), Data(1, b"hello there"), Finished(1)]
    other.send(1, b"yes")
    other.finish(1)
    assert not other.is_open(1)
    assert frames_of(other.take_output()) == [
        (WINDOW_UPDATE, ACK, 1, 0, b""),
        (DATA, 0, 1, 3, b"yes"),
        (WINDOW_UPDATE, FIN, 1, 0, b""),
    ]


def test_both_sides_open_streams__and_the_numbers_do_not_meet():
    one, other = pair()
    assert [one.open_stream() for _ in range(3)] == [1, 3, 5]
    assert [other.open_stream() for _ in range(3)] == [2, 4, 6]
    events = exchange(one, other)
    assert events == ([Opened(2), Opened(4), Opened(6)], [Opened(1), Opened(3), Opened(5)])


def test_a_reset__is_told_and_later_frames_are_counted():
    one, other = pair()
    stream = one.open_stream()
    exchange(one, other)
    one.reset(stream)
    other.send(stream, b"late")
    assert exchange(one, other) == ([], [Reset(stream)])
    assert one.counts.late_frames == 1
    assert one.violation is other.violation is None
    one.reset(stream)
    one.finish(stream)
    assert one.output_bytes == 0


def test_pings__are_answered_and_answers_told():
    one, other = pair()
    one.ping(7)
    assert exchange(one, other) == ([Pong(7)], [])


def test_going_away__is_told():
    one, other = pair()
    one.go_away()
    assert exchange(one, other) == ([], [GoneAway(0)])


def test_a_window__shuts_and_opens_when_the_reader_has_read_half():
    one, other = pair()
    stream = one.open_stream()
    exchange(one, other)
    sent = 0
    while accepted := one.send(stream, bytes(100_000)):
        sent += accepted
        other.receive(one.take_output())
    assert sent == WINDOW_BYTES
    assert not other.consume(stream, WINDOW_BYTES // 2 - 1)
    assert other.consume(stream, 1)
    other.grant(stream, 0)
    assert one.receive(other.take_output()) == [Writable(stream)]
    assert one.send(stream, bytes(WINDOW_BYTES)) == WINDOW_BYTES // 2


def test_the_output__takes_no_more_than_its_room():
    one, other = pair()
    streams = [one.open_stream(), one.open_stream()]
    exchange(one, other)
    assert one.send(streams[0], bytes(200_000)) == 200_000
    assert one.send(streams[1], bytes(200_000)) < 200_000
    assert one.is_full
    assert one.send(streams[1], b"more") == 0
    assert one.output_bytes <= OUTPUT_BYTES_FULL + 10 * HEADER.size
    one.take_output()
    assert one.send(streams[1], b"more") == 4


def test_a_window_that_is_used_up_fast__grows_up_to_its_bound_and_to_the_connections():
    one, other = pair()
    other.round_trip_ms = 10
    grown = []
    for _ in range(8):
        stream = one.open_stream()
        exchange(one, other)
        for now_ms in range(0, 60, 10):
            other.consume(stream, WINDOW_BYTES_MAX)
            other.grant(stream, now_ms)
        grown.append(other._streams[stream].window_bytes)
    assert max(grown) == WINDOW_BYTES_MAX
    assert sum(grown) == 8 * WINDOW_BYTES + yamux_application.WINDOWS_GROWTH_BYTES_MAX
    other.reset(1)
    stream = one.open_stream()
    exchange(one, other)
    other.grant(stream, 0)
    assert other._streams[stream].window_bytes > WINDOW_BYTES, "the growth of a stream that is gone is free"


def test_a_window_that_is_used_up_slowly__stays():
    one, other = pair()
    other.round_trip_ms = 10
    stream = one.open_stream()
    exchange(one, other)
    other.consume(stream, WINDOW_BYTES)
    other.grant(stream, 1_000)
    assert other._streams[stream].window_bytes == WINDOW_BYTES


def test_a_stream_that_we_have_left__is_reset_by_what_still_comes_and_tells_nothing():
    one, other = pair()
    stream = one.open_stream()
    exchange(one, other)
    one.abandon(stream)
    other.send(stream, b"unwanted")
    assert exchange(one, other) == ([], [Finished(stream), Reset(stream)])
    quiet = one.open_stream()
    exchange(one, other)
    one.abandon(quiet)
    other.finish(quiet)
    assert exchange(one, other)[0] == []
    assert not one.is_open(quiet)
    assert not other.is_open(quiet)


def test_streams_left_but_never_ended__are_reset_from_the_oldest():
    one, other = pair()
    for _ in range(yamux_application.ABANDONED_STREAMS_MAX + 1):
        one.abandon(one.open_stream())
    assert one.counts.abandoned_reset == 1
    assert Reset(1) in exchange(one, other)[1]
    assert len(one._streams) == yamux_application.ABANDONED_STREAMS_MAX


def test_streams_of_our_own__are_bounded():
    one = Yamux(initiator=True)
    assert [one.open_stream() for _ in range(yamux_application.OUTBOUND_STREAMS_MAX)][-1] is not None
    assert one.open_stream() is None
    one.reset(1)
    assert one.open_stream() is not None


def test_sending_where_we_cannot__is_our_own_fault():
    one = Yamux(initiator=True)
    stream = one.open_stream()
    one.finish(stream)
    for number in (stream, 99):
        with pytest.raises(LocalError):
            one.send(number, b"x")


def test_finishing_twice__says_it_once():
    one = Yamux(initiator=True)
    stream = one.open_stream()
    one.finish(stream)
    one.finish(stream)
    assert len(frames_of(one.take_output())) == 2


OPEN_1 = frame(WINDOW_UPDATE, SYN, 1)
VIOLATIONS = {
    "another version": ("yamux_version", frame(DATA, SYN, 1, version=1)),
    "an unknown type": ("yamux_type", frame(4)),
    "data on the session itself": ("yamux_stream_id", frame(DATA, 0, 0)),
    "a window for the session itself": ("yamux_stream_id", frame(WINDOW_UPDATE, 0, 0, 1)),
    "a stream with our parity": ("yamux_stream_id", frame(WINDOW_UPDATE, SYN, 2)),
    "a stream with our parity and data": ("yamux_stream_id", frame(DATA, SYN, 2, body=b"x")),
    "a stream 0": ("yamux_stream_id", frame(WINDOW_UPDATE, SYN, 0)),
    "a stream that is open already": ("yamux_stream_id", OPEN_1 + OPEN_1),
    "data beyond the window": ("yamux_window", frame(DATA, SYN, 1, WINDOW_BYTES + 1)),
    "a frame for nobody longer than any window": ("yamux_window", frame(DATA, 0, 1, WINDOW_BYTES_MAX + 1)),
    "a window of more than 32 bits": ("yamux_window", OPEN_1 + frame(WINDOW_UPDATE, 0, 1, 2**32 - 1)),
    "data after the end": ("yamux_finished", frame(DATA, SYN | FIN, 1) + frame(DATA, 0, 1, body=b"x")),
}


@pytest.mark.parametrize("case", VIOLATIONS)
def test_a_violation__is_named_and_ends_the_session(case):
    name, attack = VIOLATIONS[case]
    machine = listener()
    machine.receive(attack)
    assert machine.violation == name
    assert frames_of(machine.take_output())[-1][:4] == (GO_AWAY, 0, 0, yamux_frames.PROTOCOL_ERROR)
    assert machine.receive(OPEN_1) == []


def test_attack_window_overrun__is_seen_before_its_body_is_waited_for():
    machine = listener()
    machine.receive(OPEN_1 + frame(DATA, 0, 1, body=bytes(WINDOW_BYTES)))
    machine.receive(frame(DATA, 0, 1, 1))
    assert machine.violation == "yamux_window"


def test_attack_ping_flood_without_reading__ends_the_session():
    machine = listener()
    flood = frame(PING, SYN, 0, 1) * 10_000
    while machine.violation is None:
        machine.receive(flood)
    assert machine.violation == "yamux_flood"
    assert machine.output_bytes <= yamux.OUTPUT_BYTES_MAX + 2 * HEADER.size


def test_attack_open_and_reset_without_reading__ends_the_session():
    machine = listener()
    numbers = iter(range(1, 2**32, 2))
    while machine.violation is None:
        number = next(numbers)
        machine.receive(frame(WINDOW_UPDATE, SYN, number) + frame(WINDOW_UPDATE, RST, number))
    assert machine.violation == "yamux_flood"


def test_attack_too_many_streams__are_refused_and_the_rest_goes_on():
    machine = listener()
    for number in range(INBOUND_STREAMS_MAX):
        assert machine.receive(frame(WINDOW_UPDATE, SYN, 2 * number + 1))
    machine.take_output()
    further = 2 * INBOUND_STREAMS_MAX + 1
    assert machine.receive(frame(DATA, SYN, further, body=b"with data")) == []
    assert frames_of(machine.take_output()) == [(WINDOW_UPDATE, RST, further, 0, b"")]
    assert machine.counts == StreamCounts(refused=1, late_frames=1)
    assert machine.receive(frame(WINDOW_UPDATE, RST, 1) + frame(WINDOW_UPDATE, SYN, further)) == [
        Reset(1),
        Opened(further),
    ]


def test_a_grant_to_a_remote_that_has_finished__is_not_sent():
    machine = listener()
    machine.receive(frame(DATA, SYN | FIN, 1, body=bytes(WINDOW_BYTES)))
    assert not machine.consume(1, WINDOW_BYTES)


KINDS = st.sampled_from([DATA, WINDOW_UPDATE, PING, GO_AWAY, 4])
NUMBERS = st.sampled_from([0, 1, 2, 3, 5, 7])
LENGTHS = st.sampled_from([0, 1, 5, 300, WINDOW_BYTES, WINDOW_BYTES + 1, 2**31, 2**32 - 1])


@st.composite
def remotes_bytes(draw):
    """Frames that mean something, mostly, and then any bytes."""
    parts = []
    for _ in range(draw(st.integers(0, 12))):
        kind, flags, number = draw(KINDS), draw(st.integers(0, 15)), draw(NUMBERS)
        if kind == DATA:
            parts.append(frame(kind, flags, number, body=draw(st.binary(max_size=40))))
        else:
            parts.append(frame(kind, flags, number, draw(LENGTHS)))
    return b"".join(parts) + draw(st.binary(max_size=30))


def heard(data, cuts):
    machine = listener()
    machine.open_stream()
    events = []
    places = [0, *sorted(cuts), len(data)]
    for start, end in itertools.pairwise(places):
        events += machine.receive(data[start:end])
    return events, machine.violation, machine.take_output(), machine.counts, windows(machine)


def windows(machine):
    return [(one.send_window, one.receive_window) for one in machine._streams.values()]


@given(st.data(), remotes_bytes())
def test_law_any_bytes__give_the_same_however_they_are_cut(data, attack):
    whole = heard(attack, [])
    cuts = data.draw(st.lists(st.integers(0, len(attack)), max_size=8))
    assert heard(attack, cuts) == whole
    assert heard(attack, range(len(attack))) == whole
    assert all(min(pair) >= 0 for pair in whole[-1])


def assert_windows_hold(machine, unread):
    for number, stream in machine._streams.items():
        assert stream.send_window >= 0
        assert stream.receive_window >= 0
        assert stream.receive_window + stream.consumed + unread[number] == stream.window_bytes


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 3), round_trip_ms=st.sampled_from([0, 5]))
def test_law_two_sides_over_any_pipe__carry_all_in_order_within_the_windows(seed, count, round_trip_ms):
    rng = random.Random(seed)
    one, other = pair()
    other.round_trip_ms = round_trip_ms
    texts = {one.open_stream(): rng.randbytes(rng.randint(1, 800_000)) for _ in range(count)}
    sent, unread = dict.fromkeys(texts, 0), dict.fromkeys(texts, 0)
    got = {number: bytearray() for number in texts}
    for now_ms in range(10_000):
        if got == texts:
            break
        for number, text in texts.items():
            piece = text[sent[number] : sent[number] + rng.choice([100, 70_000, 400_000])]
            sent[number] += one.send(number, piece)
        output = one.take_output()
        while output:
            cut = rng.randint(1, len(output))
            for event in other.receive(output[:cut]):
                if isinstance(event, Data):
                    got[event.stream_id] += event.data
                    unread[event.stream_id] += len(event.data)
            output = output[cut:]
            assert_windows_hold(other, unread)
        for number in texts:
            take = rng.randint(0, unread[number])
            unread[number] -= take
            if take and other.consume(number, take):
                other.grant(number, now_ms)
        one.receive(other.take_output())
        assert one.violation is other.violation is None
    assert got == texts


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_law_small_writes_in_a_row__share_frames_and_lose_nothing(pieces):
    one, other = pair()
    stream = one.open_stream()
    exchange(one, other)
    for piece in pieces:
        one.send(stream, piece)
    output = one.take_output()
    assert len(frames_of(output)) == (1 if any(pieces) else 0)
    assert b"".join(event.data for event in other.receive(output)) == b"".join(pieces)


def test_a_long_write__is_cut_into_frames_that_fit_a_record():
    one = Yamux(initiator=True)
    stream = one.open_stream()
    one.take_output()
    assert one.send(stream, memoryview(bytes(150_000))) == 150_000
    assert [length for *_, length, _ in frames_of(one.take_output())] == [
        FRAME_BODY_BYTES_MAX,
        FRAME_BODY_BYTES_MAX,
        150_000 - 2 * FRAME_BODY_BYTES_MAX,
    ]
