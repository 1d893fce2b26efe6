"""`python -m node.inference.training.edit_sheet`: images that the model drew, and what it makes of them.

Is: a fixed list of prompts, edits, seeds and strengths, good and bad results alike, by the loop that miners
run. Is not: a choice of the best.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PIL import Image, ImageDraw

from node.inference.diffusion.pipeline import Model
from node.inference.jobs.job import Finished, ImageJob
from node.inference.packages.package import load

if TYPE_CHECKING:
    from node.inference.packages.package import ModelPackage

EDITS_NAME: Final = "edits.png"
EDITS: Final = (
    ("a red apple on a blue background", "a red apple on a yellow background"),
    ("a red apple on a blue background", "a green apple on a blue background"),
    ("a red apple on a blue background", "a tomato on a blue background"),
    ("a dog on a pink background", "a cat on a pink background"),
    ("a rocket on a black background", "a rocket on a white background"),
    ("a sunflower on a purple background", "a tulip on a purple background"),
)
"""The prompts that are drawn first, and the edits asked of their images."""
RUN_STEPS: Final = (2, 4, 8, 12, 16)
"""Of a schedule of 20: strengths of 0.1 to 0.8."""
SCHEDULE_STEPS: Final = 20
SEED: Final = 3
EDIT_SEED: Final = 5
ZOOM: Final = 3
GAP_PIXELS: Final = 8
CAPTION_PIXELS: Final = 230
HEAD_PIXELS: Final = 18


def draw_row(model: Model, package: ModelPackage, prompt: str, edit: str) -> list[bytes]:
    """The image of a prompt, then what each strength makes of it."""
    source = _png(model, _job(package, prompt, SEED, SCHEDULE_STEPS, b""))
    return [source, *(_png(model, _job(package, edit, EDIT_SEED, steps, source)) for steps in RUN_STEPS)]


def _job(package: ModelPackage, prompt: str, seed: int, steps: int, source: bytes) -> ImageJob:
    return ImageJob(
        job_id="sheet",
        model_id=package.model_id,
        prompt=prompt,
        negative_prompt="",
        seed=seed,
        steps=steps,
        guidance_milli=package.card.default_guidance_milli,
        width=package.width,
        height=package.height,
        preview_every_steps=0,
        schedule_steps=SCHEDULE_STEPS,
        source_png=source,
        trace_path="",
    )


def _png(model: Model, job: ImageJob) -> bytes:
    found: list[bytes] = []
    model.run(
        [job], lambda event: found.append(event.png) if isinstance(event, Finished) else None, lambda _: False
    )
    return found[0]


def draw_sheet(rows: list[list[bytes]]) -> Image.Image:
    """A row for each edit: its two prompts, the source, and the strengths."""
    pictures = [[Image.open(io.BytesIO(png)) for png in row] for row in rows]
    width, height = (side * ZOOM for side in pictures[0][0].size)
    cell = (width + GAP_PIXELS, height + GAP_PIXELS)
    columns = len(pictures[0])
    sheet = Image.new("RGB", (CAPTION_PIXELS + columns * cell[0], HEAD_PIXELS + len(rows) * cell[1]), "white")
    draw = ImageDraw.Draw(sheet)
    for column in range(columns):
        label = "source" if column == 0 else f"strength {RUN_STEPS[column - 1] / SCHEDULE_STEPS:g}"
        draw.text((CAPTION_PIXELS + column * cell[0], 3), label, fill="black", font_size=11)
    for line, (row, (prompt, edit)) in enumerate(zip(pictures, EDITS, strict=True)):
        top = HEAD_PIXELS + line * cell[1]
        draw.multiline_text((6, top + height // 3), f"{prompt}\nthen: {edit}", fill="black", font_size=11)
        for column, picture in enumerate(row):
            enlarged = picture.resize((width, height), Image.Resampling.NEAREST)
            sheet.paste(enlarged, (CAPTION_PIXELS + column * cell[0], top))
    return sheet


def make_edit_sheet(folder: Path, target: Path) -> None:
    """Write the sheet of the package below `folder` as a PNG."""
    package = load(folder)
    model = Model(package)
    rows = [draw_row(model, package, prompt, edit) for prompt, edit in EDITS]
    draw_sheet(rows).quantize(128, dither=Image.Dither.NONE).save(target, optimize=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Make the sheet of edits of the embedded model.")
    parser.add_argument("--folder", type=Path, default=Path("node/inference/models/cuckoo-icons"))
    parser.add_argument("--target", type=Path, help="PNG to write; in the folder if not given")
    arguments = parser.parse_args()
    make_edit_sheet(arguments.folder, arguments.target or arguments.folder / EDITS_NAME)
