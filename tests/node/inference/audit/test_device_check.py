"""A device that is nearly as far off as a cheat may not offer the package; TF32 is such a device."""

import pytest
import torch

from node.inference.audit.device_check import require_honest, worst_score
from node.inference.audit.thresholds import class_a, class_b
from node.inference.calibration_cheats import half_in_half_precision
from node.inference.diffusion.device import DeviceError
from node.inference.diffusion.networks import Networks
from tests.cheats.noise import Noise
from tests.cheats.tf32 import Tf32
from tests.node.inference.builders import embedded


@pytest.fixture(scope="module")
def networks():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield Networks(embedded())
    torch.set_num_threads(threads)


def test_the_processor_may(networks):
    require_honest(networks, networks, class_a())
    assert worst_score(networks, networks, class_a()) == 0
    require_honest(networks, networks, class_b())


@pytest.mark.parametrize("cheat", [Tf32(), Noise(1e-4)], ids=lambda cheat: cheat.name)
def test_a_device_of_less_precision_may_not(networks, cheat):
    with pytest.raises(
        DeviceError, match=r"^the device computes cuckoo-icons with an error of .*e-0[45], where 2\.0e-06"
    ):
        require_honest(cheat.networks(networks), networks, class_a())


def test_the_bound_follows_what_accuses(networks):
    altered = networks.altered(half_in_half_precision)
    worst = worst_score(altered, networks, class_a())
    assert class_a().accuse_single < worst < 1e-3
    require_honest(altered, networks, class_a(round(worst * 5e9) + 1))
    with pytest.raises(DeviceError):
        require_honest(altered, networks, class_a(round(worst * 5e9) - 1))
    in_b = worst_score(altered, networks, class_b())
    assert 0.4 < in_b < 1
