"""Jobs and packages for the tests of inference."""

import io
import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from node.inference.diffusion.prng import PRNG_ID
from node.inference.diffusion.replay import REPLAY_NAME, Replay, write_replay
from node.inference.jobs.audit_job import AuditJob, OpenedLeaf, OpenedStep
from node.inference.jobs.job import ImageJob
from node.inference.packages.package import ModelPackage, Settings, load
from node.inference.packages.table import PackagedTable
from protocol.model_card import CARD_FORMAT, ModelCard
from protocol.model_table import ModelHead, SchedulerRule
from protocol.tensor import NO_TENSOR
from protocol.trace import TraceLeaf
from protocol.work import WorkKind

REPOSITORY = Path(__file__).resolve().parents[3]
EMBEDDED_FOLDER = REPOSITORY / "node" / "inference" / "models" / "cuckoo-icons"

HEAD = ModelHead(scheduler_rule=SchedulerRule.ONE_STEP, channels=4, factor=8, steps_max=60)
TABLE = PackagedTable(HEAD, bytes(32))
"""Of a package without files."""
MODEL_INDEX = '{"_class_name": "StableDiffusionPipeline"}'
"""Least content of a `model_index.json`."""
SETTINGS = Settings(
    name="test-model",
    licence="MIT",
    scheduler="DDIMScheduler",
    prng="sha256-counter-normal16/1",
    default_steps=20,
    steps_max=50,
    default_guidance_milli=4000,
    guidance_milli_max=20_000,
    precision_class="A",
    work_kinds=tuple(WorkKind),
    sizes=((32, 32), (64, 32)),
)


def write_parts(root: Path) -> None:
    """The files of a folder that a package cannot be without, under a table of a one-step scheduler."""
    for part, config in {
        "unet": {"in_channels": 4, "out_channels": 4},
        "vae": {"latent_channels": 4, "block_out_channels": [8, 8, 8, 8]},
    }.items():
        (root / part).mkdir(parents=True, exist_ok=True)
        (root / part / "config.json").write_text(json.dumps(config))
    (root / "model_index.json").write_text(MODEL_INDEX)
    rows = np.tile(np.float32([500, 0.75, -0.5, 0, 0, 0.75, -0.5, 0.5, 0.5, 5e-4]), (HEAD.rows, 1))
    write_replay(root / REPLAY_NAME, Replay(PRNG_ID, "DDIMScheduler", "fp32", 500, rows))


def card(settings: Settings = SETTINGS) -> ModelCard:
    """The card of a package with such settings and no tokenizer."""
    return ModelCard(
        format=CARD_FORMAT,
        family="StableDiffusionPipeline",
        prompt_bytes_max=4 * settings.prompt_characters_max,
        prompt_tokens_max=0,
        request_files=(),
        **asdict(settings),
    )


def with_card(package: ModelPackage, **changes: object) -> ModelPackage:
    """The package as if its card said something else."""
    return replace(package, card=replace(package.card, **changes))  # type: ignore[arg-type]


def embedded() -> ModelPackage:
    """The model that comes with the source tree."""
    return load(EMBEDDED_FOLDER)


def a_job(model_id: bytes, **changes: object) -> ImageJob:
    """A job for the embedded model that any test may change; its schedule is as long as it, if not said."""
    changes.setdefault("schedule_steps", changes.get("steps", 10))
    job = ImageJob(
        job_id="job-1",
        model_id=model_id,
        prompt="a red apple on a blue background",
        negative_prompt="",
        seed=7,
        steps=10,
        guidance_milli=4000,
        width=32,
        height=32,
        preview_every_steps=0,
        schedule_steps=10,
        source_png=b"",
        trace_path="",
    )
    return replace(job, **changes)  # type: ignore[arg-type]


def a_source(width: int = 32, height: int = 32) -> bytes:
    """A plain PNG: a red disc on white."""
    image = Image.new("RGB", (width, height), "white")
    ImageDraw.Draw(image).ellipse((4, 4, width - 5, height - 5), fill=(210, 30, 40))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def is_alive(process_id: int) -> bool:
    """Whether the process exists and is more than an unreaped entry."""
    try:
        fields = Path(f"/proc/{process_id}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return False
    return fields[0] not in {"Z", "X"}


def an_audit(
    *steps: int, model_id: bytes = bytes(32), leaves: tuple[int, ...] = (), **changes: object
) -> AuditJob:
    """A job that audits steps of `a_job`; what was opened is nonsense."""
    tensor = bytes(2)
    leaf = TraceLeaf.of(tensor, tensor, tensor)
    job = AuditJob(
        image=a_job(model_id),
        auditor=bytes(20),
        dice=bytes(32),
        leaves=tuple(OpenedLeaf(step, leaf) for step in leaves or sorted({0, *steps})),
        steps=tuple(OpenedStep(step, tensor, tensor, tensor) for step in steps),
        final_hash=bytes(32),
        source_hash=NO_TENSOR,
        final_latent=tensor,
        source_latent=b"",
        picture=b"png",
    )
    return replace(job, **changes)  # type: ignore[arg-type]
