"""Third stage: the trained networks as a diffusers folder, in half precision, without pickles.

Is: `StableDiffusionPipeline.save_pretrained` and a few files beside it. Is not: a format of ours;
what is written here is loaded by the same call that loads any Stable Diffusion.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

import torch
from diffusers import StableDiffusionPipeline

from node.inference.training.unet import build_scheduler

if TYPE_CHECKING:
    from pathlib import Path

    from diffusers import AutoencoderKL
    from transformers import CLIPTokenizer

    from node.inference.training.unet import Denoiser

PARTS: Final = ("text_encoder", "tokenizer", "unet", "vae", "scheduler")
"""Subfolders that an export replaces; everything else in the folder is written by hand."""


def export(networks: Denoiser, vae: AutoencoderKL, tokenizer: CLIPTokenizer, folder: Path) -> None:
    """Write the pipeline below `folder`, weights in fp16, replacing an earlier export's parts."""
    pipeline = StableDiffusionPipeline(
        vae=vae,
        text_encoder=networks.text_encoder,
        tokenizer=tokenizer,
        unet=networks.unet,
        scheduler=build_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.to(dtype=torch.float16)
    folder.mkdir(parents=True, exist_ok=True)
    for part in PARTS:
        shutil.rmtree(folder / part, ignore_errors=True)
    pipeline.save_pretrained(folder, safe_serialization=True)
