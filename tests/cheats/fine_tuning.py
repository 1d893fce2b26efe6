"""Another model of the same descent: some steps of training from the right weights."""

import torch

from tests.cheats.strategy import Cheat, own_unet

STEPS = 10


class FineTuning(Cheat):
    """Ten steps of Adam; a smaller rate is a smaller change."""

    def __init__(self, rate):
        self.rate, self.name = rate, f"fine-tuned, {STEPS} steps of rate {rate:.0e}"

    def networks(self, networks):
        altered, generator = own_unet(networks), torch.Generator().manual_seed(1)
        unet = altered._pipeline.unet
        optimiser = torch.optim.Adam(unet.parameters(), lr=self.rate)
        latents = torch.randn(4, unet.config.in_channels, 8, 8, generator=generator)
        prompts = torch.randn(4, 8, unet.config.cross_attention_dim, generator=generator)
        for _ in range(STEPS):
            optimiser.zero_grad()
            times = torch.randint(0, 1000, (4,), generator=generator)
            found = unet(latents, times, encoder_hidden_states=prompts, return_dict=False)[0]
            (found - latents).square().mean().backward()
            optimiser.step()
        for parameter in unet.parameters():
            parameter.grad = None
            parameter.requires_grad_(requires_grad=False)
        return altered
