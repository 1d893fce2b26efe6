"""`cuckoo-peer model …`: make, measure, check, fetch and look at model packages.

Is: flags and what is printed.
Is not: the package (`inference/package`) or its transfer (`inference/download`).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import App

from node.settings import EMBEDDED_MODELS, embedded_folders
from protocol.errors import LocalError

if TYPE_CHECKING:
    from node.inference.packages.package import ModelPackage, Settings
    from protocol.work import WorkKind

MODELS_FOLDER = Path("models")
CARD_NAME = "README.md"
CARD_CHARACTERS_MAX = 20_000
MODEL_ID_BYTES = 32
BYTES_PER_MB = 1_000_000
_PROGRESS_PARTS = 10

model = App(name="model", help="Make, check, fetch and look at model packages.")


class BadModelId(LocalError):
    """The text is not a model id."""


@model.command
def pack(
    folder: Path,
    /,
    *,
    name: str,
    licence: str,
    sizes: list[str],
    scheduler: str = "DDIMScheduler",
    default_steps: int = 20,
    steps_max: int = 50,
    default_guidance: float = 7.5,
    guidance_max: float = 20.0,
    precision_class: str = "A",
    work_kinds: tuple[str, ...] = ("text-to-image", "image-to-image"),
    prompt_characters_max: int = 1000,
) -> None:
    """Make a package of a diffusers folder: its table of steps, its card, its manifest, its id.

    Parameters
    ----------
    folder
        As `save_pretrained` of diffusers writes it, weights as safetensors.
    name
        Lower-case name to offer it under.
    licence
        SPDX expression.
    sizes
        Image sizes such as 512x512, the default one first.
    scheduler
        The one in the folder: DDIMScheduler, DPMSolverMultistepScheduler or FlowMatchEulerDiscreteScheduler.
    default_steps
        Steps when nobody asks for a number.
    steps_max
        Most steps that a task may ask for.
    default_guidance
        Guidance when nobody asks.
    guidance_max
        Strongest guidance that a task may ask for.
    precision_class
        A: text model and denoiser in fp32. B: in fp16, with a tolerance for each step, measured now.
    work_kinds
        Kinds of work that it is for.
    prompt_characters_max
        Longest prompt that a task may have, up to 4000.
    """
    from node.inference.diffusion.prng import PRNG_ID  # noqa: PLC0415
    from node.inference.packages.package import Settings  # noqa: PLC0415 - `--help` should not wait

    settings = Settings(
        name=name,
        licence=licence,
        scheduler=scheduler,
        prng=PRNG_ID,
        default_steps=default_steps,
        steps_max=steps_max,
        default_guidance_milli=round(default_guidance * 1000),
        guidance_milli_max=round(guidance_max * 1000),
        precision_class=precision_class,
        work_kinds=tuple(sorted({_work_kind(name) for name in work_kinds})),
        sizes=tuple(_size(text) for text in sizes),
        prompt_characters_max=prompt_characters_max,
    )
    _print_line(_pack(folder, settings))


@model.command
def calibrate(folder: Path, /, *, device: str = "cpu", prompts: tuple[str, ...] = ()) -> None:
    """Measure how far honest machines are from single precision, and cheats, and pack what follows.

    The package gets another id: thresholds are part of it, and the measurements beside them. A package whose
    cheats could not be told from honest work is refused.

    Parameters
    ----------
    folder
        Of the package.
    device
        That works, as torch calls it; what is compared with is the processor.
    prompts
        One job each; default: eight of the embedded model's.
    """
    from node.inference.calibration import calibrate as calibrate_folder  # noqa: PLC0415 - as above

    _print_line(calibrate_folder(folder, device=device, prompts=prompts, tell=print))


@model.command
def verify(*folders: Path) -> None:
    """Hash all files of packages again; an altered one is named.

    Parameters
    ----------
    folders
        Package folders; default: those that come with the node.
    """
    from node.inference.packages.package import load  # noqa: PLC0415
    from node.inference.packages.package import verify as verify_package  # noqa: PLC0415

    for folder in folders or embedded_folders():
        package = load(folder)
        verify_package(package)
        _print_line(package)


@model.command(name="list")
def list_(folder: Path = MODELS_FOLDER, /) -> None:
    """List the packages in a folder of packages, and those that come with the node.

    Parameters
    ----------
    folder
        Folder whose subfolders are packages.
    """
    from node.inference.packages.manifest import MANIFEST_NAME  # noqa: PLC0415
    from node.inference.packages.package import load  # noqa: PLC0415

    for root in (EMBEDDED_MODELS, folder):
        for manifest in sorted(root.glob(f"*/{MANIFEST_NAME}")):
            if not manifest.parent.name.endswith(".partial"):
                _print_line(load(manifest.parent))


@model.command
def card(folder: Path, /) -> None:
    """Show what a package says of itself: its limits, its files and its card.

    Parameters
    ----------
    folder
        Of the package.
    """
    from node.inference.packages.diffusers_folder import PRECISION_OF_CLASS  # noqa: PLC0415
    from node.inference.packages.package import load  # noqa: PLC0415
    from protocol.work import kind_name  # noqa: PLC0415

    package = load(folder)
    said = package.card
    _print_line(package)
    print(f"licence {said.licence}, {said.family}, scheduler {said.scheduler}, seeds by {said.prng}")
    kinds = ", ".join(kind_name(kind) for kind in said.work_kinds)
    print(f"class {said.precision_class} ({PRECISION_OF_CLASS[said.precision_class]}), for {kinds}")
    _print_tolerances(package)
    print(f"sizes {', '.join(f'{width}x{height}' for width, height in said.sizes)}")
    print(f"steps {said.default_steps}, at most {said.steps_max}")
    print(f"guidance {said.default_guidance_milli / 1000:g}, at most {said.guidance_milli_max / 1000:g}")
    print(f"prompts of {said.prompt_characters_max:,} characters and {said.prompt_bytes_max:,} bytes at most")
    if said.prompt_tokens_max:
        print(f"of a prompt the model reads {said.prompt_tokens_max:,} tokens")
    for needed in said.request_files:
        print(f"needed for requests: {needed.path}, {needed.size_bytes:,} bytes")
    for path, file in sorted(package.files.items()):
        print(f"{file.sha256.hex()} {file.size_bytes:>14,} {path}")
    if CARD_NAME in package.files:
        text = (package.folder / CARD_NAME).read_text(encoding="utf-8", errors="replace")
        # A stranger wrote it; it must not steer the terminal.
        shown = (part for part in text[:CARD_CHARACTERS_MAX] if part.isprintable() or part == "\n")
        print("\n" + "".join(shown))


@model.command
def pull(
    source: str,
    /,
    *,
    model_id: str,
    folder: Path = MODELS_FOLDER,
    hub_url: str | None = None,
) -> None:
    """Fetch a package, or go on where an earlier try broke off. One flipped byte is refused.

    Parameters
    ----------
    source
        Multiaddr of a miner (/ip4/…/tcp/…/p2p/…), or a hub's owner/name or owner/name@revision.
    model_id
        Of the package, 64 hexadecimal digits; whatever comes is held against it.
    folder
        Where packages are; this one goes into a subfolder.
    hub_url
        Of the hub.
    """
    import trio  # noqa: PLC0415

    wanted = parse_model_id(model_id)
    from node.exchange.model_pull import pull_package  # noqa: PLC0415

    _print_line(trio.run(pull_package, source, wanted, folder, hub_url, _Progress().tell))


def parse_model_id(text: str) -> bytes:
    """The 32 bytes of a model id. :raises BadModelId: it is not 64 hexadecimal digits."""
    try:
        model_id = bytes.fromhex(text)
    except ValueError:
        model_id = b""
    if len(model_id) != MODEL_ID_BYTES:
        raise BadModelId(f"{text!r} is not a model id, which is 64 hexadecimal digits")
    return model_id


def _pack(folder: Path, settings: Settings) -> ModelPackage:
    """Write table, card and manifest of a folder, after a look at all that can be refused before."""
    from node.inference.packages.diffusers_folder import PRECISION_OF_CLASS, require_runnable  # noqa: PLC0415
    from node.inference.packages.package import pack as pack_folder  # noqa: PLC0415
    from node.inference.packages.package import require_packable  # noqa: PLC0415

    require_packable(folder, settings)
    require_runnable(folder, settings.scheduler)
    from node.inference.diffusion.scheduling import write_table  # noqa: PLC0415 - torch takes seconds; errors first

    precision_class = settings.precision_class
    write_table(folder, settings.scheduler, settings.steps_max, PRECISION_OF_CLASS[precision_class])
    package = pack_folder(folder, settings)
    if precision_class != "A":
        from node.inference.calibration import calibrate as calibrate_folder  # noqa: PLC0415

        # The tolerances that the table has so far are those of single precision.
        package = calibrate_folder(folder, tell=print)
    return package


def _print_tolerances(package: ModelPackage) -> None:
    """By how much outputs may be off, and on what that was measured."""
    from node.inference.audit.thresholds import CALIBRATION_NAME, thresholds_of  # noqa: PLC0415
    from node.inference.diffusion.replay import REPLAY_NAME, read_replay  # noqa: PLC0415

    measured = "measured" if CALIBRATION_NAME in package.files else "as for all of its class"
    thresholds = thresholds_of(package)
    if not thresholds.by_tolerance:
        print(f"excess that accuses ({measured}): {thresholds.accuse_single:.1e}")
    elif REPLAY_NAME in package.files:
        steps = read_replay(package.folder / REPLAY_NAME).steps(package.card.default_steps)
        shown = ", ".join(f"{float(step.tolerance):.1e}" for step in steps)
        print(f"tolerance of each step ({measured}): {shown}")


class _Progress:
    """Prints a line now and then."""

    def __init__(self) -> None:
        self._printed = -1

    def tell(self, path: str, here: int, whole: int) -> None:
        part = _PROGRESS_PARTS * here // max(1, whole)
        if part > self._printed:
            self._printed = part
            print(f"{here / BYTES_PER_MB:,.1f} of {whole / BYTES_PER_MB:,.1f} MB, {path}", flush=True)


def _size(text: str) -> tuple[int, int]:
    """:raises LocalError: it is no size."""
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise LocalError(f"{text!r} is no size such as 512x512")
    return int(width), int(height)


def _work_kind(name: str) -> WorkKind:
    """:raises LocalError: there is no such kind of work."""
    from protocol.work import kind_named  # noqa: PLC0415

    try:
        return kind_named(name)
    except ValueError as error:
        raise LocalError(str(error)) from error


def _print_line(package: ModelPackage) -> None:
    size = f"{package.size_bytes / BYTES_PER_MB:,.1f} MB"
    print(f"{package.model_id.hex()} {size} {package.name} {package.folder}")
