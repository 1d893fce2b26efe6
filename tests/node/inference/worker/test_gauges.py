"""Memory as it is taken: this process' own, and an accelerator's by torch's calls."""

import sys
from types import SimpleNamespace

import pytest

from node.inference.worker import gauges as subject
from node.inference.worker.gauges import AcceleratorGauge, ProcessorGauge, open_gauge

MIB = 1 << 20


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells the peak")
def test_a_peak_is_seen_and_forgotten():
    gauge = ProcessorGauge()
    assert gauge.peak_bytes() is None
    gauge.begin()
    taken = bytearray(64 * MIB)
    taken[::4096] = b"x" * len(taken[::4096])
    del taken
    assert 60 * MIB < gauge.peak_bytes() < 100 * MIB
    gauge.begin()
    assert gauge.peak_bytes() < 30 * MIB
    assert gauge.free_bytes() > 16 * MIB


def test_a_system_that_tells_no_peak(monkeypatch, tmp_path):
    monkeypatch.setattr(subject, "CLEAR_REFS", tmp_path / "not" / "there")
    gauge = ProcessorGauge()
    gauge.begin()
    assert gauge.peak_bytes() is None


class Accelerator:
    """The calls of `torch.accelerator` that are used."""

    allocated, reserved, peak = 100, 150, 0

    def memory_allocated(self, device):
        return self.allocated

    def memory_reserved(self, device):
        return self.reserved

    def max_memory_allocated(self, device):
        return self.peak

    def reset_peak_memory_stats(self, device):
        self.peak = self.allocated

    def get_memory_info(self, device):
        return 1000, 5000


def test_an_accelerator():
    torch = Accelerator()
    gauge = AcceleratorGauge(torch, "cuda:0")
    assert gauge.free_bytes() == 1050
    gauge.begin()
    assert gauge.peak_bytes() == 0
    torch.peak = 700
    assert gauge.peak_bytes() == 600


@pytest.mark.process
def test_the_stand_in_has_the_names_of_torch():
    import torch

    for name in vars(Accelerator):
        assert (
            name.startswith("_")
            or name in {"allocated", "reserved", "peak"}
            or hasattr(torch.accelerator, name)
        )
    assert isinstance(open_gauge(torch.device("cpu")), ProcessorGauge)
    assert isinstance(open_gauge(SimpleNamespace(type="mps")), ProcessorGauge)
    assert isinstance(open_gauge(SimpleNamespace(type="cuda")), AcceleratorGauge)
