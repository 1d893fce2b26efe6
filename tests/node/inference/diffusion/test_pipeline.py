"""The loop around the networks, beside diffusers' own pipelines on the same package; and source images."""

import io
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from node.inference.diffusion.prng import initial_latent
from node.inference.diffusion.replay import noised
from node.inference.diffusion.source_image import UnreadableImage, read_source
from node.inference.jobs.job import Failed, Finished
from node.inference.packages.errors import PackageError
from node.inference.traces.trace_file import TraceFile
from protocol.tensor import NO_TENSOR, tensor_hash
from tests.node.inference.builders import a_job, a_source, embedded

pytestmark = pytest.mark.process  # not one, but torch and diffusers take seconds to import
PACKAGE = embedded()
SOURCE = a_source()
STEPS, SEED = 8, 11
PROMPTS = ("a red apple on a blue background", "a cat")
PIXEL_MAX = 3
"""They keep latents in 32 bits from step to step, we in 16."""


@pytest.fixture(scope="module")
def model():
    import torch

    from node.inference.diffusion.pipeline import Model

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield Model(PACKAGE)
    torch.set_num_threads(threads)


def job(**changes):
    return a_job(PACKAGE.model_id, **({"seed": SEED, "steps": STEPS} | changes))


def edit(run_steps, **changes):
    return job(steps=run_steps, schedule_steps=STEPS, source_png=SOURCE, **changes)


def run(model, *jobs, cancelled=lambda _: False):
    events = []
    model.run(jobs, events.append, cancelled)
    return {event.job_id: event for event in events if isinstance(event, Finished | Failed)}


def pixels(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def by_diffusers(pipeline_class, monkeypatch, **arguments):
    """The package through a pipeline of diffusers, with the noise of our seeds and the encoder's mean."""
    import torch
    from diffusers.pipelines.stable_diffusion import pipeline_stable_diffusion_img2img as theirs

    def noise(shape, **_):
        return torch.from_numpy(initial_latent(SEED, tuple(shape)))

    monkeypatch.setattr(theirs, "randn_tensor", noise)
    monkeypatch.setattr(
        theirs, "retrieve_latents", lambda encoded, generator=None: encoded.latent_dist.mode()
    )
    pipeline = pipeline_class.from_pretrained(
        PACKAGE.folder, dtype=torch.float32, safety_checker=None, use_safetensors=True, local_files_only=True
    )
    pipeline.set_progress_bar_config(disable=True)
    made = pipeline(num_inference_steps=STEPS, guidance_scale=4.0, **arguments).images[0]
    return np.asarray(made).astype(int)


@pytest.mark.parametrize("prompt", PROMPTS)
def test_from_text_diffusers_draws_the_same(model, monkeypatch, prompt):
    import torch
    from diffusers import StableDiffusionPipeline

    latents = torch.from_numpy(initial_latent(SEED, (1, 4, 8, 8)))
    theirs = by_diffusers(StableDiffusionPipeline, monkeypatch, prompt=prompt, latents=latents)
    ours = pixels(run(model, job(prompt=prompt))["job-1"].png)
    assert np.abs(ours - theirs).max() <= PIXEL_MAX


@pytest.mark.parametrize("run_steps", [STEPS, 5, 1])
@pytest.mark.parametrize("prompt", PROMPTS)
def test_from_an_image_diffusers_draws_the_same(model, monkeypatch, prompt, run_steps):
    from diffusers import StableDiffusionImg2ImgPipeline

    theirs = by_diffusers(
        StableDiffusionImg2ImgPipeline,
        monkeypatch,
        prompt=prompt,
        image=Image.open(io.BytesIO(SOURCE)),
        strength=run_steps / STEPS,
    )
    ours = pixels(run(model, edit(run_steps, prompt=prompt))["job-1"].png)
    assert np.abs(ours - theirs).max() <= PIXEL_MAX
    # The measure can fail: another strength is another picture.
    other = pixels(run(model, edit(6 if run_steps == 1 else 1, prompt=prompt))["job-1"].png)
    assert np.abs(other - theirs).max() > 10 * PIXEL_MAX


def test_the_first_latent_follows_from_the_committed_source_latent(model, tmp_path):
    path = tmp_path / "trace"
    finished = run(model, edit(5, trace_path=str(path)))["job-1"]
    first = model.networks.replay.steps(STEPS, 5)[0]
    with TraceFile(path) as trace:
        assert finished.source_latent == trace.source_latent == tensor_hash(trace.source()) != NO_TENSOR
        source = np.frombuffer(trace.source(), dtype="<f2").reshape(4, 8, 8)
        expected = noised(first, source, initial_latent(SEED, (4, 8, 8)))
        assert trace.leaves[0].latent == tensor_hash(expected.astype("<f2").tobytes())
        assert len(trace.leaves) == 5
    assert (source == model.networks.encode_sources([edit(5)])[0]).all()


def test_from_noise_nothing_is_committed_to_in_its_place(model):
    assert run(model, job(steps=1))["job-1"].source_latent == NO_TENSOR


def test_what_the_prompt_says_changes_and_the_rest_stays(model):
    """An apple on blue, asked to be on yellow, with little noise: the ground turns, the apple stays."""
    apple = run(model, job(prompt="a red apple on a blue background", steps=20))["job-1"].png
    asked = job(
        prompt="a red apple on a yellow background", steps=6, schedule_steps=20, source_png=apple, seed=5
    )
    before, after = pixels(apple), pixels(run(model, asked)["job-1"].png)
    corner, middle = (slice(0, 4), slice(0, 4)), (slice(14, 24), slice(10, 22))
    assert before[corner][..., 2].mean() - before[corner][..., 0].mean() > 50
    assert after[corner][..., 0].mean() - after[corner][..., 2].mean() > 50
    assert np.abs(after[middle] - before[middle]).mean() < 40


def test_a_broken_source_fails_its_own_job_alone(model):
    whole = edit(2, job_id="whole")
    broken = replace(edit(2, job_id="broken"), source_png=SOURCE[:-60])
    with pytest.raises(UnreadableImage, match="broken"):
        read_source(broken.source_png, 32, 32)
    last = run(model, broken, whole)
    assert last["broken"] == Failed("broken", "the source image is broken", retry=0)
    assert pixels(last["whole"].png).shape == (32, 32, 3)
    assert isinstance(run(model, broken)["broken"], Failed)


def test_jobs_from_noise_and_from_images_are_computed_together(model):
    """The same shape is all that a batch asks for."""
    jobs = [job(job_id="noise"), job(job_id="image", source_png=SOURCE), job(job_id="other", seed=12)]
    assert len({item.shape for item in jobs}) == 1
    together = run(model, *jobs)
    for item in jobs:
        alone = run(model, item)[item.job_id]
        assert np.abs(pixels(alone.png) - pixels(together[item.job_id].png)).max() <= 1
    # Where the whole schedule is run, a model that starts from nothing but noise keeps nothing of the image.
    assert together["noise"].png == together["image"].png != together["other"].png
    assert together["noise"].source_latent == NO_TENSOR != together["image"].source_latent


@pytest.mark.parametrize("field", ["channels", "factor", "steps_max", "scheduler_rule", "rows_root"])
def test_attack_a_package_whose_networks_are_not_those_of_its_id(field):
    """What was loaded is held against the id once more, not the configuration files alone."""
    from node.inference.diffusion.networks import Networks

    head, root = PACKAGE.table
    changed = {"rows_root": bytes(32)} if field == "rows_root" else {"head": replace(head, **{field: 2})}
    with pytest.raises(PackageError, match=r"^the table under the package's id is not that of its files$"):
        Networks(replace(PACKAGE, table=PACKAGE.table._replace(**changed)))
    assert root != bytes(32)


@pytest.mark.parametrize(("precision", "loaded"), [("fp32", []), ("fp16", ["fp32"])])
def test_an_audit_is_computed_in_single_precision_whatever_the_packages_is(monkeypatch, precision, loaded):
    """What is loaded for it is let go again."""
    from node.inference.diffusion import pipeline

    model, found = object.__new__(pipeline.Model), []
    own = SimpleNamespace(precision=precision, package="package")
    model.networks, model._device = own, "device"

    def load(package, device, precision):
        assert (package, device) == ("package", "device")
        found.append(precision)
        return SimpleNamespace(precision=precision)

    monkeypatch.setattr(pipeline, "Networks", load)
    monkeypatch.setattr(pipeline, "run_audit", lambda networks, job, rows_max: (networks, job, rows_max))
    networks, job, rows_max = model.audit("job", 3)
    assert (networks.precision, job, rows_max, found) == ("fp32", "job", 3, loaded)
    assert model.networks is own
