"""What others do with a GPU: whose process it is where the driver tells, and all of it where we are idle.

No GPU is here: NVML is a stand-in with the calls, the fields and the errors of NVIDIA's `pynvml`.
"""

from types import SimpleNamespace

import pynvml
import pytest

from node.miner import accelerators as subject
from node.miner.accelerators import AmdAccelerator, NoAccelerator, NvidiaAccelerator, numbers_of, others_share

OURS, THEIRS = 10, 20


def sample(pid, percent, at=1):
    return SimpleNamespace(pid=pid, smUtil=percent, timeStamp=at)


class Nvml:
    """Devices by number: what `nvmlDeviceGetProcessUtilization` gives or raises."""

    NVMLError = pynvml.NVMLError
    NVMLError_NotFound = pynvml.NVMLError_NotFound
    NVML_TEMPERATURE_GPU = pynvml.NVML_TEMPERATURE_GPU

    def __init__(self, *devices, all_percent=90):
        self.devices, self.all_percent, self.asked = devices, all_percent, []

    def nvmlDeviceGetHandleByIndex(self, number):  # noqa: N802 - NVIDIA's name, as below
        return number

    def nvmlDeviceGetProcessUtilization(self, handle, since):  # noqa: N802
        self.asked.append(since)
        if isinstance(self.devices[handle], Exception):
            raise self.devices[handle]
        return self.devices[handle]

    def nvmlDeviceGetUtilizationRates(self, handle):  # noqa: N802
        return SimpleNamespace(gpu=self.all_percent)

    def nvmlDeviceGetTemperature(self, handle, kind):  # noqa: N802
        if handle == 1:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
        return 55


def test_the_stand_in_has_the_names_of_the_library():
    for name in vars(Nvml):
        assert name.startswith("_") or hasattr(pynvml, name)
    assert {"pid", "smUtil", "timeStamp"} <= {
        field for field, _ in pynvml.c_nvmlProcessUtilizationSample_t._fields_
    }
    assert "gpu" in {field for field, _ in pynvml.c_nvmlUtilization_t._fields_}


def test_only_what_is_not_ours_counts_and_samples_of_a_process_are_averaged():
    samples = [(OURS, 95), (THEIRS, 10), (THEIRS, 30), (THEIRS + 1, 5)]
    assert others_share(samples, {OURS}) == pytest.approx(0.25)
    assert others_share([(THEIRS, 90), (THEIRS + 1, 90)], set()) == 1
    assert others_share([], set()) == 0


def test_nvidia_asks_for_what_is_new_and_takes_the_busiest():
    nvml = Nvml([sample(OURS, 90, at=5), sample(THEIRS, 20, at=7)], [sample(THEIRS, 50, at=9)])
    found = NvidiaAccelerator(nvml, [0, 1])
    assert found.others_load({OURS}, working=True) == pytest.approx(0.5)
    found.others_load({OURS}, working=True)
    assert nvml.asked == [0, 0, 7, 9]
    assert found.temperatures() == {"gpu 0": 55.0}


@pytest.mark.parametrize(
    ("error", "working", "share"),
    [
        (pynvml.NVML_ERROR_NOT_FOUND, False, 0.0),
        (pynvml.NVML_ERROR_NOT_SUPPORTED, False, 0.9),
        (pynvml.NVML_ERROR_NOT_SUPPORTED, True, 0.0),
    ],
)
def test_nvidia_that_does_not_tell_whose_work_it_is(error, working, share):
    found = NvidiaAccelerator(Nvml(pynvml.NVMLError(error)), [0])
    assert found.others_load(set(), working=working) == share


@pytest.mark.parametrize(
    ("devices", "visible", "numbers"),
    [
        (("auto",), "", [0]),
        (("auto",), "3,1", [3]),
        (("cuda:1", "cuda:0"), "", [0, 1]),
        (("cuda:1", "cuda"), "3,1", [1, 3]),
        (("cuda:1",), "GPU-8932f937", [1]),
        (("cpu",), "", []),
        (("mps", "cpu"), "", []),
    ],
)
def test_numbers(devices, visible, numbers):
    environment = {"CUDA_VISIBLE_DEVICES": visible} if visible else {}
    assert numbers_of(devices, environment) == numbers


def test_amd_counts_only_while_we_are_idle(tmp_path):
    for card, text in (("card0", "12\n"), ("card1", "40\n"), ("card2", "nonsense")):
        file = tmp_path / card / "device" / "gpu_busy_percent"
        file.parent.mkdir(parents=True)
        file.write_text(text)
    found = AmdAccelerator(tmp_path)
    assert found.others_load(set(), working=False) == pytest.approx(0.4)
    assert found.others_load(set(), working=True) == 0
    assert found.temperatures() == {}


def test_finding(monkeypatch, tmp_path):
    monkeypatch.setattr(subject, "AMD_ROOT", tmp_path)

    def no_driver():
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    assert isinstance(subject.find_accelerator(("cpu",), {}), NoAccelerator)
    monkeypatch.setattr(pynvml, "nvmlInit", no_driver)
    assert isinstance(subject.find_accelerator(("auto",), {}), NoAccelerator)
    (tmp_path / "card0" / "device").mkdir(parents=True)
    (tmp_path / "card0" / "device" / "gpu_busy_percent").write_text("1")
    assert isinstance(subject.find_accelerator(("auto",), {}), AmdAccelerator)
    monkeypatch.setattr(pynvml, "nvmlInit", lambda: None)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByIndex", lambda number: number)
    assert isinstance(subject.find_accelerator(("auto",), {}), NvidiaAccelerator)
