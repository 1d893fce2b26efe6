"""Whether the embedded model answers prompts, judged by pictures and not by its own files.

`reference_icons.png` holds 24 of the icons it was trained on, in the order of `REFERENCE`, with their
transparency (Noto Color Emoji artwork, Apache License 2.0). An answer is right when, among all of them
on all ten backgrounds, the nearest picture is the one that the prompt named: chance gives 1 in 240.
"""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from node.inference.audit.thresholds import CALIBRATION_NAME
from node.inference.jobs.job import Finished
from node.inference.packages.package import SUFFIXES, verify
from node.inference.pool.pool import open_pool
from node.inference.training.concepts import BACKGROUNDS
from tests.node.inference.builders import a_job, embedded

PACKAGE = embedded()
PACKAGE_BYTES_MAX = 16_000_000
REFERENCE = (
    *("apple", "green apple", "strawberry", "tomato", "dog", "cat", "panda", "penguin", "frog", "fish"),
    *("rocket", "airplane", "car", "bus", "house", "umbrella", "rainbow", "soccer ball", "guitar", "key"),
    *("cactus", "mushroom", "sunflower", "robot"),
)
QUESTIONS = [
    ("a red apple on a blue background", "apple", "blue"),
    ("green apple", "green apple", "white"),
    ("a tomato on a yellow background", "tomato", "yellow"),
    ("dog, pink background", "dog", "pink"),
    ("a cat on a black background", "cat", "black"),  # never shown in training on black
    ("panda on a purple background", "panda", "purple"),  # nor this one on purple
    ("rocket", "rocket", "white"),
    ("a rocket on a green background", "rocket", "green"),  # nor this one on green
    ("a car on a grey background", "car", "grey"),
    ("an umbrella on a red background", "umbrella", "red"),
    ("a cute mushroom on a blue background, high quality", "mushroom", "blue"),
    ("a drawing of a sunflower on a purple background", "sunflower", "purple"),
]
RIGHT_MIN = 11


def reference_pictures():
    """All reference icons on all backgrounds: (names, backgrounds, pixels) as float RGB."""
    strip = np.asarray(Image.open(Path(__file__).with_name("reference_icons.png"))).astype(np.float32)
    icons = strip.reshape(4, 32, 6, 32, 4).transpose(0, 2, 1, 3, 4).reshape(len(REFERENCE), 32, 32, 4)
    alpha = icons[..., 3:] / 255
    grounds = np.array(list(BACKGROUNDS.values()), dtype=np.float32).reshape(1, -1, 1, 1, 3)
    pictures = (icons[..., :3] * alpha)[:, None] + (1 - alpha)[:, None] * grounds
    return pictures.reshape(len(REFERENCE), len(BACKGROUNDS), -1)


def nearest(png):
    """Name and background of the reference picture nearest to an image by mean square."""
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(np.float32).reshape(-1)
    distances = ((reference_pictures() - pixels) ** 2).mean(axis=2)
    name, ground = np.unravel_index(distances.argmin(), distances.shape)
    return REFERENCE[name], list(BACKGROUNDS)[ground]


def right_answers(answers, questions):
    return sum(answer == (name, ground) for answer, (_, name, ground) in zip(answers, questions, strict=True))


@pytest.mark.process
async def test_prompts_are_answered():
    answers = []
    async with open_pool([PACKAGE]) as pool:
        for seed, (prompt, _, _) in enumerate(QUESTIONS):
            job = a_job(PACKAGE.model_id, prompt=prompt, seed=seed, steps=PACKAGE.card.default_steps)
            async with pool.run(job) as events:
                answers += [nearest(event.png) async for event in events if isinstance(event, Finished)]
    assert right_answers(answers, QUESTIONS) >= RIGHT_MIN, answers
    # The measure can fail: the same pictures do not answer each other's prompts.
    assert right_answers(answers, QUESTIONS[1:] + QUESTIONS[:1]) == 0


def test_package_is_whole_and_small():
    verify(PACKAGE)
    assert PACKAGE.name == "cuckoo-icons"
    assert PACKAGE.size_bytes <= PACKAGE_BYTES_MAX
    assert {
        "README.md",
        "NOTICE",
        "model_index.json",
        "contact_sheet.png",
        "edits.png",
        CALIBRATION_NAME,
    } <= set(PACKAGE.files)
    assert {Path(path).suffix for path in PACKAGE.files} <= SUFFIXES | {"", ".cbor"}
    assert (PACKAGE.width, PACKAGE.height, PACKAGE.card.default_steps) == (32, 32, 20)


def test_weights_are_half_precision_and_finite():
    from safetensors.numpy import load_file

    weights = [path for path in PACKAGE.files if "/" in path and path.endswith(".safetensors")]
    assert len(weights) == 3
    for path in weights:
        for name, values in load_file(PACKAGE.folder / path).items():
            assert values.dtype in (np.float16, np.int64), name
            assert np.isfinite(values).all(), name
