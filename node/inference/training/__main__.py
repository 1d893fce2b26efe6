"""`python -m node.inference.training`: train the embedded model and write its package.

Is: the order of the stages. Each continues from its last checkpoint below the cache folder, so an
interrupted run is simply started again. Is not: used by a peer at run time.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

import torch

from node.inference.training.data import fetch_source, load_icons
from node.inference.training.export import export
from node.inference.training.loop import report
from node.inference.training.unet import train_unet
from node.inference.training.vae import encode_all, reconstruction_decibels, refine_decoder, train_vae

MODEL_FOLDER: Final = Path("node/inference/models/cuckoo-icons")
CACHE_FOLDER: Final = Path("build/training")


def main() -> None:
    """Train both stages, export, measure and pack."""
    parser = argparse.ArgumentParser(description="Train the embedded model and write its package.")
    parser.add_argument("--cache", type=Path, default=CACHE_FOLDER, help="checkpoints and training data")
    parser.add_argument("--folder", type=Path, default=MODEL_FOLDER, help="where the package is written")
    parser.add_argument("--threads", type=int, default=1, help="torch threads")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    icons = load_icons(fetch_source(arguments.cache))
    vae = train_vae(icons, arguments.cache)
    latents = encode_all(vae, icons)
    report(f"vae reconstructs at {reconstruction_decibels(vae, icons):.1f} dB")
    networks, tokenizer = train_unet(latents, arguments.cache)
    vae = refine_decoder(vae, icons, arguments.cache)
    report(f"vae reconstructs at {reconstruction_decibels(vae, icons):.1f} dB after refinement")
    export(networks, vae, tokenizer, arguments.folder)


if __name__ == "__main__":
    main()
