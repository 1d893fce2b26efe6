"""`python -m node.inference.training`: train the embedded model and write its package.

Is: the order of the stages. Each continues from its last checkpoint below the cache folder, so an
interrupted run is simply started again. Is not: used by a peer at run time.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

import torch

from node.inference.calibration import calibrate
from node.inference.diffusion.scheduling import write_table
from node.inference.packages.package import pack
from node.inference.training.card import NOTICE, SETTINGS, card
from node.inference.training.contact_sheet import make_sheet
from node.inference.training.data import fetch_source, load_icons
from node.inference.training.edit_sheet import EDITS_NAME, make_edit_sheet
from node.inference.training.export import export
from node.inference.training.loop import report
from node.inference.training.sampling import open_pipeline
from node.inference.training.score import measure
from node.inference.training.text import quieten_unknown
from node.inference.training.unet import train_unet
from node.inference.training.vae import encode_all, reconstruction_decibels, refine_decoder, train_vae

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MODEL_FOLDER: Final = Path("node/inference/models/cuckoo-icons")
CACHE_FOLDER: Final = Path("build/training")


def finish(folder: Path, icons: NDArray[np.float32], decibels: float) -> None:
    """Measure an export as a peer would load it, and write the card, the sheet and the manifest."""
    scores = measure(open_pipeline(folder), icons)
    for kind, score in scores.items():
        report(f"{kind}: thing {score.concept:.3f} colour {score.background:.3f} both {score.both:.3f}")
    (folder / "README.md").write_text(card(scores, decibels), encoding="utf-8")
    (folder / "NOTICE").write_text(NOTICE, encoding="utf-8")
    make_sheet(folder, folder / "contact_sheet.png")
    write_table(folder, SETTINGS.scheduler, SETTINGS.steps_max)
    pack(folder, SETTINGS)
    # By the loop that miners run, which takes packages only; packed again, since the sheet is a file of it.
    make_edit_sheet(folder, folder / EDITS_NAME)
    pack(folder, SETTINGS)
    package = calibrate(folder, tell=report)
    report(f"{package.name} {package.model_id.hex()} {package.size_bytes / 1e6:.1f} MB")


def main() -> None:
    """Train the three stages, export, measure and pack."""
    parser = argparse.ArgumentParser(description="Train the embedded model and write its package.")
    parser.add_argument("--cache", type=Path, default=CACHE_FOLDER, help="checkpoints and training data")
    parser.add_argument("--folder", type=Path, default=MODEL_FOLDER, help="where the package is written")
    parser.add_argument("--threads", type=int, default=1, help="torch threads")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    icons = load_icons(fetch_source(arguments.cache))
    vae = train_vae(icons, arguments.cache)
    latents = encode_all(vae, icons)
    networks, tokenizer = train_unet(latents, arguments.cache)
    report(f"{quieten_unknown(networks.text_encoder, tokenizer)} tokens that no caption holds")
    vae = refine_decoder(vae, icons, arguments.cache)
    # Before the export, which turns the networks to half precision in place.
    decibels = reconstruction_decibels(vae, icons)
    export(networks, vae, tokenizer, arguments.folder)
    finish(arguments.folder, icons, decibels)


if __name__ == "__main__":
    main()
