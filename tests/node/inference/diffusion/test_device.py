"""Choosing a device through torch itself; other machines than processors are not tested here."""

import pytest

pytestmark = pytest.mark.process  # torch takes seconds to import


@pytest.fixture
def subject():
    from node.inference.diffusion import device

    return device


def test_a_processor_passes_its_test_and_has_memory(subject):
    opened = subject.open_device("cpu")
    assert opened.torch_device.type == "cpu"
    assert 0 < opened.memory_bytes <= subject.free_memory_bytes()
    assert subject.open_device("cpu", memory_bytes=5).memory_bytes == 5


def test_automatic_is_what_torch_finds(subject):
    import torch

    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    assert subject.open_device().torch_device == (found or torch.device("cpu"))


@pytest.mark.parametrize("name", ["no such device", "cuda:99", "mps:7"])
def test_a_device_that_is_not_there(subject, name):
    with pytest.raises(subject.DeviceError, match="cannot be used"):
        subject.open_device(name)


def test_a_device_that_computes_with_less_precision_is_refused(subject, monkeypatch):
    """As TF32 would: ten bits of mantissa where there should be 23."""
    import torch

    exact = torch.Tensor.__matmul__

    def coarse(one, other):
        rounded = [tensor.bfloat16().to(tensor.dtype) for tensor in (one, other)]
        return exact(*rounded) if one.dtype == torch.float32 else exact(one, other)

    monkeypatch.setattr(torch.Tensor, "__matmul__", coarse)
    with pytest.raises(subject.DeviceError, match="single precision"):
        subject.open_device("cpu")


def test_what_torch_says_without_memory_is_understood():
    import torch

    from node.inference.worker.worker import is_out_of_memory

    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 55)
    for error in (
        caught.value,
        MemoryError(),
        torch.OutOfMemoryError("HIP out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("MPS backend out of memory (MPS allocated: 9.06 GB, max allowed: 9.07 GB)"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ):
        assert is_out_of_memory(error)
    assert not is_out_of_memory(RuntimeError("shapes cannot be multiplied"))
