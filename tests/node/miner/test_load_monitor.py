"""The load that is read of the machine: other programs' work without ours, the battery, temperatures."""

import os
import time
from types import SimpleNamespace

import psutil
import pytest

from node.miner import load_monitor as subject
from node.miner.accelerators import NoAccelerator
from node.miner.load_monitor import TEMPERATURES_MAX, LoadMonitor, on_battery


def test_this_machine():
    """We are busy; what others do is not known, but it is not what we do."""
    monitor = LoadMonitor(NoAccelerator())
    before = monitor._before
    ends = time.process_time() + 0.2
    while time.process_time() < ends:
        pass
    seen = monitor.read(working=True)
    # The system counts in ticks of ten milliseconds.
    assert monitor._before.own_s[os.getpid()] - before.own_s[os.getpid()] > 0.1
    assert 0 <= seen.hour <= 23
    assert 0 <= seen.others_load <= 1
    assert seen.others_device_load == 0


@pytest.mark.parametrize(("plugged", "on"), [(True, False), (False, True), (None, False)])
def test_battery(monkeypatch, plugged, on):
    battery = SimpleNamespace(power_plugged=plugged)
    monkeypatch.setattr(psutil, "sensors_battery", lambda: battery, raising=False)
    assert on_battery() is on


def test_no_battery(monkeypatch):
    monkeypatch.setattr(psutil, "sensors_battery", lambda: None, raising=False)
    assert not on_battery()
    monkeypatch.delattr(psutil, "sensors_battery")
    assert not on_battery()


def test_temperatures(monkeypatch):
    def sensor(label, current):
        return SimpleNamespace(label=label, current=current)

    found = {"k10temp": [sensor("Tctl", 61.25)], "nvme": [sensor("", 40.0), sensor("odd", None)]}
    monkeypatch.setattr(psutil, "sensors_temperatures", lambda: found, raising=False)

    class Warm(NoAccelerator):
        def temperatures(self):
            return {"gpu 0": 70.0}

    expected = {"k10temp Tctl": "61 °C", "nvme": "40 °C", "gpu 0": "70 °C"}
    assert LoadMonitor(Warm()).temperatures() == expected
    many = {"core": [sensor(str(number), 1.0) for number in range(TEMPERATURES_MAX + 1)]}
    monkeypatch.setattr(psutil, "sensors_temperatures", lambda: many, raising=False)
    assert len(LoadMonitor(Warm()).temperatures()) == TEMPERATURES_MAX


def test_a_machine_that_tells_no_temperatures(monkeypatch):
    monkeypatch.delattr(subject.psutil, "sensors_temperatures", raising=False)
    assert LoadMonitor(NoAccelerator()).temperatures() == {}
