"""Second stage: the denoiser and the text model, trained together on the icons' latents.

Is: v-prediction on a schedule rescaled to end in pure noise, captions dropped at times for
classifier-free guidance, weights averaged. Is not: a training framework; one function, one machine.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from torch.nn import functional

from node.inference.training.concepts import BACKGROUNDS, DEFAULT_BACKGROUND, captions, concepts, held_out
from node.inference.training.loop import Recipe, train
from node.inference.training.text import WIDTH, build_text_encoder, build_tokenizer
from node.inference.training.vae import LATENT_CHANNELS

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import CLIPTextModel, CLIPTokenizer

SEED: Final = 20260102
BATCH: Final = 32
RECIPE: Final = Recipe(
    name="unet", steps=6000, peak_rate=1e-3, warmup_steps=200, weight_decay=1e-2, average_decay=0.9993
)
CAPTION_DROP_SHARE: Final = 0.1
"""Share of captions replaced by the empty one, which guidance needs."""
DEFAULT_BACKGROUND_SHARE: Final = 0.2
"""Share of images on the default background, whose captions come in more wordings."""


def build_scheduler() -> DDIMScheduler:
    """Return the scheduler that the package ships, which is also the one trained with."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        # The last training step is pure noise, as the first sampling step is; without this flat
        # backgrounds drift towards grey.
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        clip_sample=False,
        set_alpha_to_one=True,
    )


def build_unet() -> UNet2DConditionModel:
    """Return an untrained denoiser of the shipped shape: 4.28 million parameters."""
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=(64, 128),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=WIDTH,
        attention_head_dim=4,
        norm_num_groups=16,
    )


class Denoiser(torch.nn.Module):
    """The two trained networks under one name, so that they share an optimiser and a checkpoint."""

    def __init__(self, tokenizer: CLIPTokenizer) -> None:
        """Build both, untrained."""
        super().__init__()
        self.text_encoder: CLIPTextModel = build_text_encoder(tokenizer)
        self.unet: UNet2DConditionModel = build_unet()


class Captioner:
    """Draws (latent index, caption tokens) pairs by a seeded generator."""

    def __init__(self, tokenizer: CLIPTokenizer) -> None:
        """Tokenise every caption once; a batch is then a look-up."""
        self.rows: list[list[list[torch.Tensor]]] = []
        self.grounds = list(BACKGROUNDS)
        self.empty = self._tokens(tokenizer, [""])[0]
        self.shown: list[list[int]] = []
        for index, names in enumerate(concepts().values()):
            worded = [[c for name in names for c in captions(name, ground)] for ground in self.grounds]
            self.rows.append([list(self._tokens(tokenizer, lines)) for lines in worded])
            kept = [place for place, ground in enumerate(self.grounds) if ground not in held_out(index)]
            self.shown.append(kept)

    @staticmethod
    def _tokens(tokenizer: CLIPTokenizer, lines: list[str]) -> torch.Tensor:
        encoded = tokenizer(lines, padding="max_length", truncation=True, return_tensors="pt")
        ids: torch.Tensor = encoded.input_ids
        return ids

    def draw(
        self, count: int, random: np.random.Generator
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return `count` concept indices, background indices and token rows."""
        default = self.grounds.index(DEFAULT_BACKGROUND)
        pairs, tokens = [], []
        for concept in random.integers(len(self.rows), size=count):
            shown = self.shown[concept]
            ground = shown[random.integers(len(shown))]
            if random.random() < DEFAULT_BACKGROUND_SHARE:
                ground = default
            lines = self.rows[concept][ground]
            dropped = random.random() < CAPTION_DROP_SHARE
            tokens.append(self.empty if dropped else lines[random.integers(len(lines))])
            pairs.append((int(concept), ground))
        columns = torch.tensor(pairs)
        return columns[:, 0], columns[:, 1], torch.stack(tokens)


def train_unet(latents: torch.Tensor, cache: Path) -> tuple[Denoiser, CLIPTokenizer]:
    """Train, or continue from the last checkpoint below `cache`; return averaged networks and tokenizer."""
    torch.manual_seed(SEED)
    tokenizer = build_tokenizer()
    networks = Denoiser(tokenizer)
    captioner = Captioner(tokenizer)
    scheduler = build_scheduler()
    # A third faster where there is a C++ compiler; the same arithmetic up to rounding where not.
    unet: Any = torch.compile(networks.unet, dynamic=False) if shutil.which("g++") else networks.unet

    def loss_of(step: int) -> torch.Tensor:
        concept, ground, tokens = captioner.draw(BATCH, np.random.default_rng((SEED, step)))
        torch.manual_seed(SEED + step)
        clean = latents[concept, ground]
        noise = torch.randn_like(clean)
        times = torch.randint(0, scheduler.config.num_train_timesteps, (BATCH,))
        text = networks.text_encoder(tokens)[0]
        predicted = unet(scheduler.add_noise(clean, noise, times), times, text).sample
        return functional.mse_loss(predicted, scheduler.get_velocity(clean, noise, times))

    train(networks, loss_of, RECIPE, cache)
    return networks.eval().requires_grad_(requires_grad=False), tokenizer
