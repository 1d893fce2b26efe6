"""`python -m node.inference.training.contact_sheet`: 48 prompts and what the model makes of them.

Is: a fixed list of prompts with fixed seeds, good and bad results alike. Is not: a choice of the best.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageDraw

from node.inference.training.concepts import BACKGROUNDS, captions, concepts
from node.inference.training.sampling import open_pipeline, sample

if TYPE_CHECKING:
    from numpy.typing import NDArray

COLUMNS: Final = 8
ROWS: Final = 6
ZOOM: Final = 4
CAPTION_PIXELS: Final = 26
CELL_PIXELS: Final = 140
LINE_CHARACTERS: Final = 23


def sheet_prompts() -> list[str]:
    """Return 48 prompts: every fifth concept, colours in turn, and every fourth time the bare name."""
    grounds = list(BACKGROUNDS)
    names = [names[0] for names in concepts().values()]
    count = COLUMNS * ROWS
    chosen = [names[index * len(names) // count] for index in range(count)]
    return [
        name if index % 4 == 0 else captions(name, grounds[(index * 3 + 1) % len(grounds)])[0]
        for index, name in enumerate(chosen)
    ]


def draw_sheet(images: NDArray[np.uint8], prompts: list[str]) -> Image.Image:
    """Return the images in a grid, enlarged without smoothing, each with its prompt below."""
    side = images.shape[1] * ZOOM
    sheet = Image.new("RGB", (COLUMNS * CELL_PIXELS, ROWS * (side + CAPTION_PIXELS + 8)), "white")
    draw = ImageDraw.Draw(sheet)
    for index, (pixels, prompt) in enumerate(zip(images, prompts, strict=True)):
        left = index % COLUMNS * CELL_PIXELS + (CELL_PIXELS - side) // 2
        top = index // COLUMNS * (side + CAPTION_PIXELS + 8) + 4
        icon = Image.fromarray(pixels).resize((side, side), Image.Resampling.NEAREST)
        sheet.paste(icon, (left, top))
        draw.rectangle((left - 1, top - 1, left + side, top + side), outline=(200, 200, 200))
        cut = prompt.rfind(" ", 0, LINE_CHARACTERS) if len(prompt) > LINE_CHARACTERS else len(prompt)
        text = prompt[:cut] + "\n" + prompt[cut + 1 :]
        draw.multiline_text((left, top + side + 1), text, fill=(0, 0, 0), spacing=1, font_size=10)
    return sheet


def make_sheet(folder: Path, target: Path) -> None:
    """Write the contact sheet of the package below `folder` as a PNG."""
    prompts = sheet_prompts()
    images = np.asarray(sample(open_pipeline(folder), prompts))
    draw_sheet(images, prompts).quantize(128, dither=Image.Dither.NONE).save(target, optimize=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Make the contact sheet of the embedded model.")
    parser.add_argument("--folder", type=Path, default=Path("node/inference/models/cuckoo-icons"))
    parser.add_argument("--target", type=Path, help="PNG to write; in the folder if not given")
    arguments = parser.parse_args()
    make_sheet(arguments.folder, arguments.target or arguments.folder / "contact_sheet.png")
