"""Folders as people have them: each that cannot be run is refused in one line that says what was found."""

import json
import shutil

import pytest

from node.commands import model as model_cli
from node.inference.packages.diffusers_folder import family_of, prompt_tokens_of, require_runnable
from node.inference.packages.errors import PackageError
from tests.node.inference.builders import EMBEDDED_FOLDER

DDIM = "DDIMScheduler"
BY_HAND = ("manifest.json", "card.cbor", "calibration.json", "replay.safetensors")
WEIGHTS = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture
def folder(tmp_path):
    """The embedded model as diffusers saved it, its weights empty: nothing here reads them."""
    root = tmp_path / "model"
    shutil.copytree(EMBEDDED_FOLDER, root, ignore=shutil.ignore_patterns(*BY_HAND))
    for path in root.rglob("*.safetensors"):
        path.write_bytes(b"")
    return root


def edit(folder, path, **changes):
    document = json.loads((folder / path).read_text())
    (folder / path).write_text(json.dumps(document | changes))


def refusal(folder, scheduler=DDIM) -> tuple[str, str]:
    with pytest.raises(PackageError) as caught:
        require_runnable(folder, scheduler)
    return str(caught.value), caught.value.path


def test_a_folder_that_can_be_run(folder):
    require_runnable(folder, DDIM)
    assert family_of(folder) == "StableDiffusionPipeline"
    assert prompt_tokens_of(folder) == 16


@pytest.mark.parametrize("family", ["StableDiffusionXLPipeline", "StableDiffusion3Pipeline", "FluxPipeline"])
def test_another_family(folder, family):
    edit(folder, "model_index.json", _class_name=family)
    assert refusal(folder) == (
        f"model_index.json is for '{family}', which cannot be run here; StableDiffusionPipeline can",
        "model_index.json",
    )


@pytest.mark.parametrize("scheduler", ["PNDMScheduler", "EulerDiscreteScheduler", "LCMScheduler"])
def test_a_scheduler_that_cannot_be_replayed(folder, scheduler):
    edit(folder, "scheduler/scheduler_config.json", _class_name=scheduler)
    assert refusal(folder) == (
        (
            f"scheduler/scheduler_config.json is for '{scheduler}', whose steps cannot be replayed;"
            " DDIMScheduler, DPMSolverMultistepScheduler, FlowMatchEulerDiscreteScheduler can:"
            " load the pipeline with one of them (from_config) and save it again"
        ),
        "scheduler/scheduler_config.json",
    )


def test_another_scheduler_than_was_said(folder):
    message = "scheduler/scheduler_config.json is for DDIMScheduler, not DPMSolverMultistepScheduler"
    assert refusal(folder, "DPMSolverMultistepScheduler")[0] == message


def test_weights_of_a_variant_only(folder):
    (folder / WEIGHTS).rename(folder / "unet" / "diffusion_pytorch_model.fp16.safetensors")
    assert refusal(folder) == (
        (
            "unet/ has diffusion_pytorch_model.fp16.safetensors, but not"
            " diffusion_pytorch_model.safetensors, which is what is loaded:"
            " save the pipeline without a variant"
        ),
        WEIGHTS,
    )


def test_no_weights_and_no_tokenizer(folder):
    (folder / WEIGHTS).unlink()
    assert refusal(folder)[0].startswith("unet/ has no safetensors, but not ")
    (folder / WEIGHTS).touch()
    shutil.rmtree(folder / "tokenizer")
    assert refusal(folder) == ("tokenizer/ has no tokenizer.json or vocab.json", "tokenizer")


def test_weights_in_several_files(folder):
    (folder / WEIGHTS).rename(folder / "unet" / "diffusion_pytorch_model-00001-of-00001.safetensors")
    (folder / "unet" / "diffusion_pytorch_model.safetensors.index.json").write_text("{}")
    require_runnable(folder, DDIM)


@pytest.mark.parametrize(
    "path", ["model_index.json", "scheduler/scheduler_config.json", "unet/config.json", "vae/config.json"]
)
def test_a_configuration_that_is_missing_or_begins_with_a_byte_order_mark(folder, path):
    content = (folder / path).read_bytes()
    (folder / path).write_bytes(b"\xef\xbb\xbf" + content)
    assert refusal(folder) == (f"{path} is not a JSON document in UTF-8 without a byte order mark", path)
    (folder / path).write_bytes(b"[]")
    assert refusal(folder) == (f"{path} is not a JSON object of at most 1,048,576 bytes", path)
    (folder / path).unlink()
    assert refusal(folder) == (f"{folder / path} cannot be read: No such file or directory", path)


def test_text_models_without_a_limit(folder):
    edit(folder, "tokenizer/tokenizer_config.json", model_max_length=10**30)
    assert prompt_tokens_of(folder) == 16
    shutil.rmtree(folder / "text_encoder")
    assert prompt_tokens_of(folder) == 0


def leave_git(folder):
    (folder / ".gitattributes").write_text("* filter=lfs")
    return ".gitattributes"


def leave_download(folder):
    (folder / ".cache").mkdir()
    (folder / ".cache" / "CACHEDIR.TAG").touch()
    return ".cache/CACHEDIR.TAG"


def leave_finder(folder):
    (folder / "unet" / ".DS_Store").touch()
    return "unet/.DS_Store"


def leave_link(folder):
    (folder / WEIGHTS).rename(folder.parent / "blob")
    (folder / WEIGHTS).symlink_to(folder.parent / "blob")
    return WEIGHTS


def leave_old_weights(folder):
    (folder / "unet" / "diffusion_pytorch_model.bin").touch()
    return "unet/diffusion_pytorch_model.bin"


@pytest.mark.parametrize(
    "leave",
    [leave_git, leave_download, leave_finder, leave_link, leave_old_weights],
    ids=lambda act: act.__name__,
)
def test_pack_names_what_does_not_belong(folder, leave):
    path = leave(folder)
    with pytest.raises(PackageError) as caught:
        model_cli.pack(folder, name="mine", licence="MIT", sizes=["32x32"])
    assert caught.value.path == path
    assert path in str(caught.value)
    assert not (folder / "replay.safetensors").exists()


def test_pack_of_no_folder(tmp_path):
    with pytest.raises(PackageError, match=r"^there is no folder "):
        model_cli.pack(tmp_path / "absent", name="mine", licence="MIT", sizes=["32x32"])


def test_pack_of_a_single_file(folder):
    with pytest.raises(PackageError, match=r"^there is no folder "):
        model_cli.pack(folder / WEIGHTS, name="mine", licence="MIT", sizes=["32x32"])
