"""A diffusers folder before anything is loaded: its pipeline, its scheduler, and whether it is whole.

Is: small JSON files and the names of the others; no torch, no network. Is not: the weights' content.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from node.inference.packages.errors import PackageError

MODEL_INDEX: Final = "model_index.json"
SCHEDULER_CONFIG: Final = "scheduler/scheduler_config.json"
FAMILIES: Final = frozenset({"StableDiffusionPipeline"})
"""Pipelines that can be run here."""
SCHEDULERS: Final = frozenset(
    {"DDIMScheduler", "DPMSolverMultistepScheduler", "FlowMatchEulerDiscreteScheduler"}
)
"""Schedulers whose step can be replayed from the tensors that go into it and those of the step before."""
PRECISION_OF_CLASS: Final = {"A": "fp32", "B": "fp16"}
"""Arithmetic of text model and denoiser by the class of the package."""
DENOISER_CONFIG: Final = "unet/config.json"
AUTOENCODER_CONFIG: Final = "vae/config.json"
NUMBER_MAX: Final = (1 << 16) - 1
WEIGHTS: Final = {
    "text_encoder": "model",
    "unet": "diffusion_pytorch_model",
    "vae": "diffusion_pytorch_model",
}
"""Parts of a pipeline that have weights, and how their files are called."""
CONFIG_BYTES_MAX: Final = 1 << 20


def family_of(folder: Path) -> str:
    """Pipeline class of a folder. :raises PackageError: there is none, or another one than `FAMILIES`."""
    family = _read_config(folder, MODEL_INDEX).get("_class_name")
    if family not in FAMILIES:
        raise PackageError(
            f"{MODEL_INDEX} is for {family!a}, which cannot be run here; {', '.join(sorted(FAMILIES))} can",
            MODEL_INDEX,
        )
    return str(family)


def prompt_tokens_of(folder: Path) -> int:
    """Tokens that the folder's text model reads, 0 if it does not say."""
    counts = [
        _read_config(folder, path).get(name, 0)
        for path, name in (
            ("tokenizer/tokenizer_config.json", "model_max_length"),
            ("text_encoder/config.json", "max_position_embeddings"),
        )
        if (folder / path).is_file()
    ]
    # transformers writes a number of thirty digits for "no limit".
    known = [count for count in counts if type(count) is int and 0 < count <= CONFIG_BYTES_MAX]
    return min(known, default=0)


def latent_of(folder: Path) -> tuple[int, int]:
    """Channels of a latent, and pixels of a side for each of its numbers, as the folder's parts say.

    :raises PackageError: they do not say it, or one another thing than the other.
    """
    denoiser, autoencoder = _read_config(folder, DENOISER_CONFIG), _read_config(folder, AUTOENCODER_CONFIG)
    channels = denoiser.get("in_channels")
    blocks = autoencoder.get("block_out_channels")
    if type(channels) is not int or not 1 <= channels <= NUMBER_MAX:
        raise PackageError(f"{DENOISER_CONFIG} names no channels", DENOISER_CONFIG)
    if denoiser.get("out_channels") != channels or autoencoder.get("latent_channels") != channels:
        raise PackageError("denoiser and autoencoder have latents of other channels", AUTOENCODER_CONFIG)
    # Each block but the last halves the sides.
    if not isinstance(blocks, list) or not 1 <= len(blocks) <= NUMBER_MAX.bit_length():
        raise PackageError(f"{AUTOENCODER_CONFIG} names no blocks", AUTOENCODER_CONFIG)
    return channels, 1 << len(blocks) - 1


def require_runnable(folder: Path, scheduler: str) -> None:
    """Look whether a folder can be made a package that a miner can load.

    :param scheduler: class name that the packager says is in it.
    :raises PackageError: another pipeline or scheduler, or a part or its weights are missing; says what was
        found and what works.
    """
    if not folder.is_dir():
        raise PackageError(f"there is no folder {folder}")
    family_of(folder)
    found = _read_config(folder, SCHEDULER_CONFIG).get("_class_name")
    if found not in SCHEDULERS:
        raise PackageError(
            f"{SCHEDULER_CONFIG} is for {found!a}, whose steps cannot be replayed;"
            f" {', '.join(sorted(SCHEDULERS))} can: load the pipeline"
            " with one of them (from_config) and save it again",
            SCHEDULER_CONFIG,
        )
    if found != scheduler:
        raise PackageError(f"{SCHEDULER_CONFIG} is for {found}, not {scheduler}", SCHEDULER_CONFIG)
    for part, name in WEIGHTS.items():
        _require_weights(folder, part, name)
    if not any((folder / "tokenizer" / name).is_file() for name in ("tokenizer.json", "vocab.json")):
        raise PackageError("tokenizer/ has no tokenizer.json or vocab.json", "tokenizer")


def _require_weights(folder: Path, part: str, name: str) -> None:
    """:raises PackageError: a part has no weights under the name that is loaded."""
    _read_config(folder, f"{part}/config.json")
    whole, index = f"{name}.safetensors", f"{name}.safetensors.index.json"
    if (folder / part / whole).is_file() or (folder / part / index).is_file():
        return
    beside = sorted(path.name for path in (folder / part).glob("*.safetensors")) or ["no safetensors"]
    raise PackageError(
        f"{part}/ has {', '.join(beside[:3])}, but not {whole}, which is what is loaded:"
        " save the pipeline without a variant",
        f"{part}/{whole}",
    )


def _read_config(folder: Path, path: str) -> dict[str, Any]:
    """A configuration of the folder. :raises PackageError: there is none that can be read; names it."""
    try:
        with (folder / path).open("rb") as file:
            content = file.read(CONFIG_BYTES_MAX + 1)
    except OSError as error:
        raise PackageError(f"{folder / path} cannot be read: {error.strerror}", path) from error
    try:
        document = json.loads(content.decode()) if len(content) <= CONFIG_BYTES_MAX else None
    except (ValueError, RecursionError) as error:
        raise PackageError(
            f"{path} is not a JSON document in UTF-8 without a byte order mark", path
        ) from error
    if not isinstance(document, dict):
        raise PackageError(f"{path} is not a JSON object of at most {CONFIG_BYTES_MAX:,} bytes", path)
    return document
