"""First stage: an autoencoder that turns a 32 x 32 icon into an 8 x 8 x 4 latent and back.

Is: a diffusers `AutoencoderKL` trained on icons over random colours, seeded. Is not: able to carry
photographs; it has seen nothing but flat-coloured icons.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch.nn import functional

from node.inference.training.concepts import BACKGROUNDS
from node.inference.training.data import IMAGE_PIXELS, compose, compose_all
from node.inference.training.loop import Recipe, train

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SEED: Final = 20260101
BATCH: Final = 16
RECIPE: Final = Recipe(
    name="vae", steps=2200, peak_rate=2e-3, warmup_steps=50, weight_decay=1e-4, average_decay=0.998
)
DECODER_RECIPE: Final = Recipe(
    name="decoder", steps=3500, peak_rate=2e-3, warmup_steps=100, weight_decay=1e-4, average_decay=0.998
)
DIVERGENCE_WEIGHT: Final = 1e-3
"""Weight of the KL term, per latent number; keeps the latents near a unit Gaussian."""
CHANNELS: Final = (24, 48, 64)
LATENT_CHANNELS: Final = 4
DECODER_NOISE: Final = 0.1
"""Noise on the latents while the decoder is refined, in units of their spread: what the denoiser
leaves behind should not show."""
PALETTE_SHARE: Final = 0.8
"""Share of the images whose background is one of the ten named colours; the rest are random."""


def build_vae() -> AutoencoderKL:
    """Return an untrained autoencoder of the shipped shape."""
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        block_out_channels=CHANNELS,
        down_block_types=("DownEncoderBlock2D",) * len(CHANNELS),
        up_block_types=("UpDecoderBlock2D",) * len(CHANNELS),
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=8,
        sample_size=IMAGE_PIXELS,
    )


def _batch(icons: NDArray[np.float32], random: np.random.Generator) -> torch.Tensor:
    """Return random icons on random backgrounds, (BATCH, 3, pixels, pixels) in -1..1."""
    palette = list(BACKGROUNDS.values())
    images = []
    for index in random.integers(len(icons), size=BATCH):
        if random.random() < PALETTE_SHARE:
            colour = palette[random.integers(len(palette))]
        else:
            red, green, blue = random.integers(256, size=3)
            colour = (int(red), int(green), int(blue))
        images.append(compose(icons[index : index + 1], colour)[0])
    return torch.from_numpy(np.stack(images))


def train_vae(icons: NDArray[np.float32], cache: Path) -> AutoencoderKL:
    """Train, or continue from the last checkpoint below `cache`, and return the averaged autoencoder."""
    torch.manual_seed(SEED)
    vae = build_vae()

    def loss_of(step: int) -> torch.Tensor:
        images = _batch(icons, np.random.default_rng((SEED, step)))
        torch.manual_seed(SEED + step)
        posterior = vae.encode(images).latent_dist
        restored = vae.decode(posterior.sample()).sample
        error = functional.l1_loss(restored, images) + functional.mse_loss(restored, images)
        divergence = -0.5 * (1 + posterior.logvar - posterior.mean.pow(2) - posterior.logvar.exp()).mean()
        return error + DIVERGENCE_WEIGHT * divergence

    train(vae, loss_of, RECIPE, cache)
    return vae.eval().requires_grad_(requires_grad=False)


def refine_decoder(vae: AutoencoderKL, icons: NDArray[np.float32], cache: Path) -> AutoencoderKL:
    """Train the decoder alone for longer, on the latents that the denoiser has learnt; return it all.

    The encoder stays as it is, and so the latents do; this can come after the second stage.
    """
    images = torch.from_numpy(compose_all(icons)).flatten(0, 1)
    with torch.no_grad():
        batches = torch.chunk(images, len(icons))
        latents = torch.cat([vae.encode(batch).latent_dist.mean for batch in batches])
    trained = (
        torch.nn.ModuleList([vae.post_quant_conv, vae.decoder]).requires_grad_(requires_grad=True).train()
    )
    noise_spread = DECODER_NOISE / vae.config.scaling_factor

    def loss_of(step: int) -> torch.Tensor:
        torch.manual_seed(SEED + step)
        chosen = torch.randint(len(images), (BATCH,))
        noisy = latents[chosen] + torch.randn_like(latents[chosen]) * noise_spread
        return _sharp_error(vae.decode(noisy).sample, images[chosen])

    train(trained, loss_of, DECODER_RECIPE, cache)
    return vae.eval().requires_grad_(requires_grad=False)


def _sharp_error(restored: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Return the error of pixels and, so that outlines stay crisp, of differences between neighbours."""
    error = functional.l1_loss(restored, images) + functional.mse_loss(restored, images)
    for axis in (2, 3):
        error = error + functional.l1_loss(restored.diff(dim=axis), images.diff(dim=axis))
    return error


@torch.no_grad()
def encode_all(vae: AutoencoderKL, icons: NDArray[np.float32]) -> torch.Tensor:
    """Return the latents of every icon on every background, (concepts, backgrounds, 4, 8, 8), unit spread.

    Sets the autoencoder's `scaling_factor`, which the pipeline divides by before it decodes.
    """
    images = torch.from_numpy(compose_all(icons))
    rows = [vae.encode(row).latent_dist.mean for row in images]
    latents = torch.stack(rows)
    factor = round(1.0 / float(latents.std()), 5)
    vae.register_to_config(scaling_factor=factor)
    return latents * factor


@torch.no_grad()
def reconstruction_decibels(vae: AutoencoderKL, icons: NDArray[np.float32]) -> float:
    """Return the peak signal-to-noise ratio of decoding what was encoded, over all images, in dB."""
    images = torch.from_numpy(compose_all(icons))
    squared = [
        ((vae.decode(vae.encode(row).latent_dist.mean).sample - row) / 2).pow(2).mean() for row in images
    ]
    return float(-10 * torch.log10(torch.stack(squared).mean()))
