"""What the node's unit tests share: a model package without files, and an announcement to work on."""

from pathlib import Path

from node.coordinator.catalogue import Catalogue
from node.inference.packages.package import ModelPackage
from node.signing.keys import Key
from protocol.messages import NO_TASK, RankedMiner, TaskAnnouncement
from protocol.model_card import CARD_FORMAT, ModelCard
from protocol.statement import Domain
from protocol.work import Work, WorkKind
from tests.node.inference.builders import TABLE

CARD = ModelCard(
    format=CARD_FORMAT,
    name="cuckoo-icons",
    family="StableDiffusionPipeline",
    licence="Apache-2.0",
    scheduler="DDIMScheduler",
    prng="test",
    default_steps=20,
    steps_max=100,
    default_guidance_milli=4000,
    guidance_milli_max=15_000,
    precision_class="A",
    work_kinds=tuple(WorkKind),
    sizes=((32, 32), (64, 64)),
    prompt_characters_max=1000,
    prompt_bytes_max=4000,
    prompt_tokens_max=16,
    request_files=(),
)
PACKAGE = ModelPackage(b"\x07" * 32, CARD, Path("nowhere"), {}, TABLE)
CATALOGUE = Catalogue([PACKAGE])
COORDINATOR = Key.of(b"\x01" * 32)
DOMAIN = Domain(31337, bytes(20))
STEPS = 4


def image_work(steps: int = STEPS, kind: WorkKind = WorkKind.TEXT_TO_IMAGE) -> Work:
    """An image of 32 x 32 pixels."""
    return Work.image(kind, 32, 32, steps)


def announcement(*ranking: RankedMiner, coordinator: bytes = COORDINATOR.address) -> TaskAnnouncement:
    """The coordinator's first task, of `STEPS` steps."""
    return TaskAnnouncement(
        coordinator=coordinator,
        epoch=1,
        number=0,
        previous=NO_TASK,
        model_id=bytes(32),
        work=image_work(),
        input_commitment=bytes(32),
        price_micro_cai=1,
        upfront_micro_cai=0,
        announced_at_ms=1,
        deadline_ms=10_000,
        ranking=ranking,
        multiaddrs=(),
    )
