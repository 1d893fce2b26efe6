"""What stands for a worker on another host: slots, files for the host, traces from it. No Ray here."""

import io
from dataclasses import replace

import pytest

from node.inference.jobs.frames import (
    LENGTH_BYTES,
    Broken,
    FilePart,
    FileWanted,
    Ready,
    decode_frame,
    encode_frame,
)
from node.inference.jobs.job import REASON_BYTES_MAX, Failed
from node.inference.packages.manifest import MANIFEST_NAME
from node.inference.ray.ray_bridge import Bridge, one_line, slots_of
from node.inference.worker.worker import Outbox
from protocol.errors import DecodeError
from tests.node.inference.builders import embedded

PACKAGE = embedded()
HOSTS = [{"CPU": 8.0, "GPU": 2.0}, {"CPU": 3.0, "memory": 1e9}, {"CPU": 1.0, "GPU": 1.0}]


@pytest.mark.parametrize(
    ("device", "threads", "hosts", "slots"),
    [
        ("auto", 1, HOSTS, ("GPU", 3)),
        ("cuda", 4, HOSTS, ("GPU", 3)),
        ("cuda", 1, HOSTS[1:2], ("GPU", 0)),
        ("cpu", 2, HOSTS, ("CPU", 5)),
        ("auto", 1, HOSTS[1:2], ("CPU", 3)),
        ("auto", 4, HOSTS[1:2], ("CPU", 0)),
        ("auto", 1, [], ("CPU", 0)),
        ("auto", 1, [{"GPU": 0.0, "CPU": 2.0}], ("CPU", 2)),
    ],
)
def test_slots(device, threads, hosts, slots):
    assert slots_of(device, threads, hosts) == slots


class Ends:
    """Both ends of a bridge: what the host is given, and what the node reads."""

    def __init__(self):
        self.given, self.pipe = [], io.BytesIO()
        self.bridge = Bridge([PACKAGE], Outbox(self.pipe), lambda data: self.given.append(decoded(data)))

    def take(self, frame):
        self.bridge.take(encode_frame(frame))


def decoded(data):
    return decode_frame(data[LENGTH_BYTES:])


def test_a_model_is_given_in_parts_and_ends_with_an_empty_one(monkeypatch):
    monkeypatch.setattr("node.inference.ray.ray_bridge.PART_BYTES_MAX", 1000)
    for path in (MANIFEST_NAME, "unet/diffusion_pytorch_model.safetensors"):
        ends = Ends()
        content, offset = b"", 0
        while not ends.given or ends.given[-1].data:
            ends.take(FileWanted(PACKAGE.model_id, path, offset))
            content += ends.given[-1].data
            offset = len(content)
            if offset >= 3000:
                break
        assert content == (PACKAGE.folder / path).read_bytes()[:offset]
    ends.take(FileWanted(PACKAGE.model_id, MANIFEST_NAME, 1 << 40))
    assert ends.given[-1] == FilePart(b"")


@pytest.mark.parametrize(
    ("model_id", "path"), [(PACKAGE.model_id, "../../../etc/passwd"), (bytes(32), MANIFEST_NAME)]
)
def test_a_host_gets_nothing_but_files_of_models(model_id, path):
    ends = Ends()
    with pytest.raises(DecodeError, match="does not belong to a model"):
        ends.take(FileWanted(model_id, path, 0))
    assert not ends.given


def test_other_frames_go_to_the_node():
    ends = Ends()
    frames = [Ready(5), Failed("job-1", "cancelled", 1), Broken("why")]
    for frame in frames:
        ends.take(frame)
    assert ends.pipe.getvalue() == b"".join(map(encode_frame, frames))


def test_an_error_is_one_short_line():
    assert one_line(ValueError("first\nsecond")) == "ValueError: first"
    assert len(one_line(ValueError("ü" * 1000)).encode()) <= REASON_BYTES_MAX
    assert replace(Broken(one_line(ValueError("ü" * 1000)))).encode()
