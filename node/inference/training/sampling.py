"""Making many images with an exported package, to look at and to measure.

Is: the pipeline as a peer loads it, fed by the same seed rule, but in batches. Is not: how a peer runs
jobs; batches change the last bits of a result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch
from diffusers import StableDiffusionPipeline

from node.inference.diffusion.prng import initial_latent

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

BATCH: Final = 16
STEPS: Final = 20
GUIDANCE: Final = 4.0


def open_pipeline(folder: Path) -> Any:
    """Return the pipeline in single precision, exactly as a worker loads it."""
    pipeline: Any = StableDiffusionPipeline
    opened = pipeline.from_pretrained(
        folder, dtype=torch.float32, safety_checker=None, use_safetensors=True, local_files_only=True
    )
    opened.set_progress_bar_config(disable=True)
    return opened


def sample(
    pipeline: Any,
    prompts: Sequence[str],
    steps: int = STEPS,
    guidance: float = GUIDANCE,
    first_seed: int = 0,
) -> NDArray[np.uint8]:
    """Return an image per prompt, seeds counting up, as uint8 of shape (n, height, width, 3)."""
    channels, side = pipeline.unet.config.in_channels, pipeline.unet.config.sample_size
    made = []
    for start in range(0, len(prompts), BATCH):
        chosen = list(prompts[start : start + BATCH])
        seeds = range(first_seed + start, first_seed + start + len(chosen))
        latents = np.concatenate([initial_latent(seed, (1, channels, side, side)) for seed in seeds])
        images = pipeline(
            prompt=chosen,
            num_inference_steps=steps,
            guidance_scale=guidance,
            latents=torch.from_numpy(latents),
            output_type="np",
        ).images
        made.append((images * 255).round().astype(np.uint8))
    return np.concatenate(made)
