"""What the node's unit tests share: a model package without files, and an ordinary request."""

from pathlib import Path

from node.catalogue import Catalogue
from node.inference.package import ModelPackage

PACKAGE = ModelPackage(
    name="cuckoo-icons",
    licence="Apache-2.0",
    scheduler="DDIMScheduler",
    prng="test",
    default_steps=20,
    steps_max=100,
    default_guidance_milli=4000,
    guidance_milli_max=15_000,
    sizes=((32, 32), (64, 64)),
    folder=Path("nowhere"),
    model_id=b"\x07" * 32,
    files={},
)
CATALOGUE = Catalogue([PACKAGE])
