"""Traces on disk: what is written is read, and nothing incomplete or altered passes."""

import pytest

from node.inference.traces.trace_file import PARTIAL, TraceError, TraceFile, TraceWriter
from protocol.tensor import tensor_hash
from protocol.trace import TraceLeaf

FINAL = b"f" * 8


def rows(guided):
    return [(bytes([i]) * 8, bytes([i + 9]) * 8 if guided else b"", bytes([i + 99]) * 8) for i in range(3)]


def written(path, guided=True, source=b""):
    writer = TraceWriter(path, 3, source)
    for row in rows(guided):
        writer.add(*row)
    assert writer.finish(FINAL) == tensor_hash(FINAL)
    return writer


@pytest.mark.parametrize("source", [b"", b"s" * 8])
@pytest.mark.parametrize("guided", [True, False])
def test_round_trip(tmp_path, guided, source):
    path = tmp_path / "trace"
    writer = written(path, guided, source)
    with TraceFile(path) as trace:
        assert trace.leaves == writer.leaves == [TraceLeaf.of(*row) for row in rows(guided)]
        assert [trace.tensors(step) for step in (2, 0, 1)] == [rows(guided)[step] for step in (2, 0, 1)]
        assert (trace.final(), trace.final_latent) == (FINAL, tensor_hash(FINAL))
        assert (trace.source(), trace.source_latent) == (source, tensor_hash(source))
        assert writer.source_latent == tensor_hash(source)
    assert list(tmp_path.iterdir()) == [path]


def test_without_a_path_only_hashes_are_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert written(None).leaves == written(tmp_path / "trace").leaves
    assert [path.name for path in tmp_path.iterdir()] == ["trace"]


def test_an_unfinished_trace_has_no_name_and_leaves_nothing(tmp_path):
    path = tmp_path / "trace"
    writer = TraceWriter(path, 3)
    writer.add(*rows(guided=True)[0])
    assert [found.name for found in tmp_path.iterdir()] == ["trace" + PARTIAL]
    with pytest.raises(TraceError, match="not there"):
        TraceFile(path)
    writer.discard()
    writer.discard()
    assert list(tmp_path.iterdir()) == []


def test_discarding_a_finished_trace_keeps_it(tmp_path):
    written(tmp_path / "trace").discard()
    TraceFile(tmp_path / "trace").__exit__(None, None, None)


@pytest.mark.parametrize("cut", [0, 5, 22, 100, -1])
def test_cut(tmp_path, cut):
    path = tmp_path / "trace"
    written(path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(TraceError, match="incomplete"):
        TraceFile(path)


@pytest.mark.parametrize("source", [b"", b"s" * 8])
def test_every_flipped_byte_is_seen(tmp_path, source):
    path = tmp_path / "trace"
    written(path, source=source)
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(TraceError):
            read_all(path)


def read_all(path):
    with TraceFile(path) as trace:
        return [trace.tensors(step) for step in range(3)], trace.final(), trace.source()
