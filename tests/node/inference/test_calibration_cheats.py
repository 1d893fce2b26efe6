"""The cheats that packages are measured with are what they say."""

import copy

import torch

from node.inference.calibration_cheats import CHEATS, eight_bit_weights, half_in_half_precision


class Block(torch.nn.Module):
    """Takes and gives what blocks of a denoiser do."""

    def __init__(self):
        super().__init__()
        self.inner = torch.nn.Linear(8, 8)

    def forward(self, numbers, place=None, *, shape=()):
        self.seen = (numbers.dtype, place.dtype, [one.dtype for one in shape])
        return (self.inner(numbers), place)


class Denoiser(torch.nn.Module):
    """As far as cheats look at one."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.down_blocks, self.mid_block = torch.nn.ModuleList([Block()]), Block()
        self.up_blocks = torch.nn.ModuleList([Block()])


def test_eight_bits_leave_255_numbers_for_each_output_channel():
    denoiser = Denoiser()
    before = copy.deepcopy(denoiser.state_dict())
    eight_bit_weights(denoiser)
    for name, parameter in denoiser.named_parameters():
        right = before[name]
        if parameter.ndim == 1:
            assert torch.equal(parameter, right)
            continue
        units = right.abs().amax(1, keepdim=True) / 127
        assert torch.allclose(parameter / units, (parameter / units).round(), atol=1e-3)
        assert ((parameter - right).abs() <= units * 0.501).all()
        assert not torch.equal(parameter, right)


def test_half_of_the_network_takes_and_gives_single_precision():
    denoiser = Denoiser()
    half_in_half_precision(denoiser)
    numbers, places = torch.ones(2, 8), torch.arange(2)
    for block in (denoiser.down_blocks[0], denoiser.mid_block):
        found, kept = block(numbers, places, shape=[numbers])
        assert block.seen == (torch.float16, torch.int64, [torch.float16])
        assert (found.dtype, kept.dtype) == (torch.float32, torch.int64)
    denoiser.up_blocks[0](numbers, places)
    assert denoiser.up_blocks[0].seen[0] == torch.float32


def test_each_precision_has_a_cheat():
    assert {precision: list(cheats) for precision, cheats in CHEATS.items()} == {
        "fp32": ["int8 weights, per channel", "half of the network in fp16"],
        "fp16": ["int8 weights, per channel"],
    }
